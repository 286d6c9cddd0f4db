"""One run, begun and ended: the hub, the processes, Start, the operator's keys, and the end."""

import signal
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Literal, cast

import msgspec
from rich.console import Console
from rich.live import Live
from rich.text import Text

from rig.bus import Bus, BusError, Hub, Pace
from rig.clock import RealClock, monotonic_ns
from rig.config import Answers, Session
from rig.envelope import Envelope, Voice
from rig.log import Journal, Verdict
from rig.messages import Beat, Ended, Message, Order, Start, Stop
from rig.process import RECORDER, completed, node_class, prioritise
from rig.refused import Refused
from rig.session import folder as folders
from rig.session.about import about
from rig.session.keys import Keys
from rig.session.line import Line
from rig.session.recover import settle
from rig.session.watch import Watch

LAUNCH = "launch"
_MEET_NS = 60_000_000_000
_LOOK_S = 0.05
_SHOW_NS = 200_000_000
_LAST_WORDS_NS = 2_000_000_000
_LEAVE_S = 2.0
_ORDER_NS = 2_000_000_000


class Outcome(msgspec.Struct, frozen=True):
    """How a session ended."""

    folder: Path
    reason: str
    failed: bool
    verdict: Verdict


def launch(answers: Answers, data: Path, console: Console) -> Outcome:
    """Run one session to its end. Raises Refused before anything moves if it cannot be run."""
    answers = _completed(answers)
    lock = folders.SubjectLock(data, answers.session.subject)
    try:
        folders.check_space(data, answers.session)
        prioritise(answers.session.rig.hub_realtime)
        hub = Hub(answers.session.rig.hub_port)
        prioritise(False)  # the hub's threads stay as they were started
        try:
            return _in_folder(answers, lock.folder, console)
        finally:
            hub.close()
    finally:
        lock.release()


def _completed(answers: Answers) -> Answers:
    nodes = {RECORDER: {"run": "rig.recorder"}, **answers.session.nodes}
    session = msgspec.structs.replace(answers.session, nodes=nodes)
    return Answers(completed(session), answers.files)


def _in_folder(answers: Answers, subject_folder: Path, console: Console) -> Outcome:
    t0_ns = monotonic_ns()
    began = datetime.now().astimezone().isoformat(timespec="milliseconds")
    folder, session = folders.make(answers, subject_folder, t0_ns, began, about())
    clock = RealClock(t0_ns)
    try:
        with Journal(folder, LAUNCH) as journal, Keys() as keys:
            hears = (*Line.hears, Beat, Ended)
            bus = Bus(
                Voice(LAUNCH, clock), session.rig.hub_port, hears, clock, journal, Pace(_LOOK_S)
            )
            try:
                run = _Run(folder, session, clock, bus, keys, console)
                reason, failed = run.to_its_end()
            finally:
                bus.close()
    except Refused:
        folders.unmake(folder, session)
        raise
    folders.sweep(session)
    return Outcome(folder, reason, failed, settle(folder))


class _Run:
    """The session between the first process and the last."""

    def __init__(
        self,
        folder: Path,
        session: Session,
        clock: RealClock,
        bus: Bus,
        keys: Keys,
        console: Console,
    ) -> None:
        self._session, self._clock, self._bus, self._keys = session, clock, bus, keys
        self._console = console
        self._watch = Watch(folder, session)
        self._line = Line()
        self._asked_to_end: str | None = None
        self._orders = 0

    def to_its_end(self) -> tuple[str, bool]:
        """Begin, look on, end; return the reason and whether it is a failure."""
        old = {n: signal.signal(n, self._signalled) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            try:
                self._meet()
            except Refused as refusal:
                everyone = tuple(self._session.nodes)
                self._bus.say(Stop(self._clock.now(), str(refusal), everyone))
                raise
            try:
                reason, failed = self._look_on()
            except BusError as error:
                reason, failed = f"{LAUNCH}: {error}", True
            self._stop(reason)
            return reason, failed
        finally:
            self._watch.end(_LEAVE_S)
            self._watch.sweep()
            for number, handler in old.items():
                signal.signal(number, handler)

    def _meet(self) -> None:
        """Start the recorder, then the others; return when all hear. Raises Refused."""
        deadline = self._clock.now() + _MEET_NS
        self._bus.meet()
        others = [name for name in self._session.nodes if name != RECORDER]
        with self._console.status("starting") as status:
            for names in ([RECORDER], others):
                for name in names:
                    self._watch.start(name)
                while unready := self._watch.unready():
                    status.update(f"waiting for {', '.join(unready)}")
                    self._hear()
                    gone = self._watch.ended()
                    if gone is not None:
                        raise Refused(gone[0])
                    if self._asked_to_end is not None:
                        raise Refused(f"ended before it began: {self._asked_to_end}")
                    if self._clock.now() > deadline:
                        raise Refused(f"{', '.join(unready)} did not get ready within a minute")
        self._bus.say(Start(self._clock.now(), msgspec.to_builtins(self._session)))

    def _look_on(self) -> tuple[str, bool]:
        shown = 0
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                self._hear()
                now = self._clock.now()
                if now - shown > _SHOW_NS:
                    live.update(self._line.text(now, self._keys.note), refresh=True)
                    shown = now
                for verb, text in self._keys.poll():
                    self._order(verb, text)
                if self._asked_to_end is not None:
                    return self._asked_to_end, False
                if (ended := self._watch.ended()) is not None:
                    return ended
                if (hung := self._watch.end_hanging()) is not None:
                    return hung, True

    def _order(self, verb: str, text: str) -> None:
        if verb == "quit":
            self._asked_to_end = "stopped by the operator"
            return
        if verb == "pause" and self._line.paused:
            verb = "resume"
        self._orders += 1
        now = self._clock.now()
        known = cast(Literal["pause", "resume", "note", "stop"], verb)
        self._bus.say(Order(now, self._orders, now + _ORDER_NS, known, text))

    def _stop(self, reason: str) -> None:
        """Stop drivers, then deciders, then the recorder, each once those before have ended."""
        names = [name for name in self._session.nodes if name != RECORDER]
        drivers = [n for n in names if self._period(n) is not None]
        deciders = [n for n in names if n not in drivers]
        for stage in (drivers, deciders, [RECORDER]):
            self._bus.say(Stop(self._clock.now(), reason, tuple(stage)))
            deadline = self._clock.now() + _LAST_WORDS_NS
            while (late := self._watch.running(stage)) and self._clock.now() < deadline:
                self._hear()
            for name in late:
                self._console.print(f"[red]{name} did not end within 2 s: killed[/red]")
                self._watch.kill(name)

    def _period(self, name: str) -> float | None:
        return node_class(str(self._session.nodes[name]["run"])).period_s

    def _hear(self) -> None:
        for envelope, word in self._bus.hear(self._clock.now() + int(_LOOK_S * 1e9)):
            self._take(envelope, word)

    def _take(self, envelope: Envelope, word: Message) -> None:
        self._watch.hear(envelope, word)
        known = len(self._line.faults)
        self._line.hear(envelope, word)
        for fault in self._line.faults[known:]:
            self._console.print(Text(fault, "bold red"))

    def _signalled(self, number: int, at: FrameType | None) -> None:
        self._asked_to_end = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
