"""The session between its first process and its last: begin, look on, end in order."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Literal, cast

import msgspec
from rich.console import Console
from rich.live import Live
from rich.text import Text

from rig.clock import RealClock
from rig.errors import Refused
from rig.messages import COMMON_MESSAGES, Message, OperatorRequest, Start, Stop, kind
from rig.process import RECORDER, node_class, stages
from rig.session.operator_input import OperatorInput
from rig.session.process_monitor import ProcessMonitor
from rig.session.session_folder import FolderWatch
from rig.session.status_line import StatusLine
from rig.settings.config import SessionSettings
from rig.subjects.session_water import WaterCount
from rig.transport.bus import Bus, BusError
from rig.transport.envelope import Envelope
from rig.transport.gate import Publisher

LAUNCH = "launch"
PUBLISHER = Publisher(tuple(kind(m) for m in (Start, Stop, OperatorRequest, *COMMON_MESSAGES)))
LOOK_S = 0.05
_MEET_NS = 60_000_000_000
_SHOW_NS = 200_000_000
_LAST_WORDS_NS = 2_000_000_000
_LEAVE_S = 2.0
_ORDER_NS = 2_000_000_000
_ENDING = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
_SUSPENDING = [getattr(signal, n) for n in ("SIGTSTP", "SIGTTOU") if hasattr(signal, n)]
"""A suspended launch would stop the hub."""


class SessionLoop:
    """The session between the first process and the last."""

    def __init__(
        self,
        folder: Path,
        session: SessionSettings,
        clock: RealClock,
        bus: Bus,
        keys: OperatorInput,
        console: Console,
        folder_watch: FolderWatch,
        water: WaterCount,
    ) -> None:
        self._session, self._clock, self._bus, self._keys = session, clock, bus, keys
        self._console, self._folder_watch, self._water = console, folder_watch, water
        self._watch = ProcessMonitor(folder, session)
        self._line = StatusLine()
        self._asked_to_end: str | None = None
        self._began = False
        self._orders = 0

    def to_its_end(self, book: Callable[[], None]) -> tuple[str, bool]:
        """Begin, look on, end; return the reason and whether it is a failure.

        `book` enters the session in the water ledger, just before Start. Raises Refused if the
        session did not begin.
        """
        old = {number: signal.signal(number, self._signalled) for number in _ENDING}
        old |= {number: signal.signal(number, signal.SIG_IGN) for number in _SUSPENDING}
        try:
            try:
                self._meet(book)
            except Refused as refusal:
                everyone = tuple(self._session.nodes)
                self._bus.publish(Stop(self._clock.now(), str(refusal), everyone))
                raise
            try:
                reason, failed = self._look_on()
            except (BusError, OSError) as error:
                reason, failed = f"{LAUNCH}: {error}", True
            late = self._stop(reason)
            if not failed and (why := late or self._watch.failure()):
                reason, failed = f"{reason}; {why}", True
            return reason, failed
        finally:
            self._watch.end(_LEAVE_S)
            traced = self._watch.sweep()
            for number, handler in old.items():
                # what was begun is now brought to its end, whatever keys are pressed
                signal.signal(number, signal.SIG_IGN if self._began else handler)
            for path in traced if self._began else ():
                text = f"a mistake in the program; where it is stands in {path}"
                self._console.print(Text(text, "bold red"), soft_wrap=True)

    def _meet(self, book: Callable[[], None]) -> None:
        """Start the recorder, then the others; return when all hear. Raises Refused."""
        deadline = self._clock.now() + _MEET_NS
        self._bus.connect()
        others = [name for name in self._session.nodes if name != RECORDER]
        with self._console.status("starting") as status:
            for names in ([RECORDER], others):
                for name in names:
                    self._watch.start(name)
                while unready := self._watch.unready():
                    status.update(f"waiting for {', '.join(unready)}")
                    self._handle()
                    gone = self._watch.ended()
                    if gone is not None:
                        raise Refused(gone[0])
                    if self._asked_to_end is not None:
                        raise Refused(f"ended before it began: {self._asked_to_end}")
                    if self._clock.now() > deadline:
                        raise Refused(f"{', '.join(unready)} did not get ready within a minute")
        book()
        self._bus.publish(Start(self._clock.now(), msgspec.to_builtins(self._session)))
        self._began = True

    def _look_on(self) -> tuple[str, bool]:
        shown = 0
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                self._handle()
                now = self._clock.now()
                if now - shown > _SHOW_NS:
                    live.update(self._line.text(now, self._keys.question), refresh=True)
                    shown = now
                for verb, text in self._keys.poll():
                    self._order(verb, text)
                if self._asked_to_end is not None:
                    return self._asked_to_end, False
                if (ended := self._watch.ended()) is not None:
                    return ended
                if lost := self._folder_watch.lost():
                    return lost, True
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
        if verb == "water":
            self._console.print(f"water by hand asked for at {now / 1e9:.1f} s")
        if verb == "note":
            self._console.print(f"note at {now / 1e9:.1f} s: {text}", markup=False)
        self._line.stopping |= verb == "stop"
        known = cast(Literal["pause", "resume", "note", "stop", "water"], verb)
        why = text or "stopped by the operator" * (verb == "stop")
        self._bus.publish(OperatorRequest(now, self._orders, now + _ORDER_NS, known, why))

    def _stop(self, reason: str) -> str:
        """Stop one stage after the other, the recorder last, each once those before have ended.

        Goes on whatever the bus does. Returns a sentence if a node had to be killed.
        """
        nodes = self._session.nodes
        kinds = {n: node_class(str(nodes[n]["run"])) for n in nodes if n != RECORDER}
        killed: list[str] = []
        for stage in [*stages(kinds), [RECORDER]]:
            with suppress(BusError, OSError):  # who does not hear it is terminated below
                self._bus.publish(Stop(self._clock.now(), reason, tuple(stage)))
            deadline = self._clock.now() + _LAST_WORDS_NS
            while (late := self._watch.running(stage)) and self._clock.now() < deadline:
                try:
                    self._handle()
                except (BusError, OSError):
                    time.sleep(LOOK_S)
            for name in late:
                self._watch.kill(name)
            killed += late
        return f"{', '.join(killed)} did not end within 2 s and was killed" if killed else ""

    def _handle(self) -> None:
        for envelope, message in self._bus.receive(self._clock.now() + int(LOOK_S * 1e9)):
            self._take(envelope, message)

    def _take(self, envelope: Envelope, message: Message) -> None:
        self._watch.handle(envelope, message)
        self._water.add(envelope, message)
        known, remarked = len(self._line.faults), len(self._line.remarks)
        self._line.handle(envelope, message)
        for fault in self._line.faults[known:] if self._began else ():
            self._console.print(Text(fault, "bold red"))
        for remark in self._line.remarks[remarked:]:
            self._console.print(Text(remark, "yellow"))

    def _signalled(self, number: int, at: FrameType | None) -> None:
        name = signal.Signals(number).name
        if name == "SIGHUP":  # the terminal is gone: nothing may be printed to it any more
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.dup2(nowhere, sys.stderr.fileno())
        self._asked_to_end = "Ctrl-C" if number == signal.SIGINT else name
