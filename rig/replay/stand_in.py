"""Play a recorded session, instead of a rig, to processes that run live.

The log is played in hub order, without the recorded messages of the live processes. The messages
that they publish now go to the other live processes and, optionally, into the log of a new folder,
together with the rest of the recording. Time runs as in the recording, faster, slower, or virtual.
"""

import shutil
import time
from collections import Counter, deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from rig.clock import Clock, SetClock, monotonic_ns
from rig.errors import Refused
from rig.messages import Ended, Fault, Flip, Frame, Heartbeat, Message, Scan, Start, Stop, kind
from rig.node import drive
from rig.process import RECORDER, make, node_class
from rig.replay.replay import read_recording
from rig.settings.config import SETTINGS_FILE, SessionSettings, apply_sets, located
from rig.transport.envelope import Envelope, Sender, pack, rewrap
from rig.transport.frame_pixels import Pixels, imaging_file
from rig.transport.log import LOG_FILE, Completeness, LogReader, LogWriter

DISPLAY = "display"
Messages = Sequence[tuple[Envelope, Message]]


class Played(msgspec.Struct, frozen=True):
    """The result of playing a session."""

    live: tuple[str, ...]
    """The processes that ran live."""
    session_s: float
    """Length of the recording, s."""
    took_s: float
    published: dict[str, Counter[str]]
    """Number of messages that each live process published, by type."""
    recorded: dict[str, Counter[str]]
    """Number of messages that each of these processes published in the recording, by type."""
    late_flips: int
    ended: dict[str, str]
    """Why each live process ended."""


def play(
    folder: Path,
    live: Sequence[str],
    here: dict[str, str],
    sets: Sequence[str] = (),
    speed: float | None = None,
    to: Path | None = None,
) -> Played:
    """Play a recorded session to live processes.

    Args:
        folder: The session folder.
        live: The processes that run live: deciders, and the display.
        here: Versions and CPU of this machine.
        sets: `--set` texts that change the settings of the live processes.
        speed: Seconds of the session per second of real time; None: as fast as possible.
        to: A new folder for the resulting session; None to keep nothing.

    Raises:
        Refused: The session cannot be played, or a process cannot run live.
    """
    completeness, recorded, deciders = read_recording(folder, here)
    _check_live(live, recorded, deciders)
    session = apply_sets(recorded, list(sets))
    keep = None if to is None else _NewFolder(folder, to, session, completeness)
    clock: Clock = SetClock() if speed is None else _PlayClock()
    transport = _StandIn(
        folder, completeness.in_hub_order, session, tuple(live), clock, speed, keep
    )
    began = time.monotonic()
    try:
        _run(transport, located(session, folder), clock)
    except BaseException:
        if keep is not None:
            keep.discard()
        raise
    if keep is not None:
        keep.close()
    return transport.played(time.monotonic() - began)


def _run(transport: "_StandIn", session: SessionSettings, clock: Clock) -> None:
    """Create the live processes, and run them until the log ends."""
    nodes = [make(session, name, partial(transport.publish, name)) for name in transport.live]
    for node in nodes:
        node.check(session.task)
    transport.reads_pixels = any(Frame in n.subscribes and n.reads_pixels for n in nodes)
    drive(nodes, transport, clock, alone=True)


def _check_live(live: Sequence[str], session: SessionSettings, deciders: Sequence[str]) -> None:
    for name in live:
        if name in deciders or (name == DISPLAY and DISPLAY in session.nodes):
            continue
        known = ", ".join([*deciders, *([DISPLAY] if DISPLAY in session.nodes else [])])
        if name not in session.nodes or name == RECORDER:
            raise Refused(f"the session has no process {name!r} to run; choose from {known}")
        kind_ = node_class(str(session.nodes[name]["run"]))
        why = "drives devices" if kind_.period_s is not None else "cannot be run again"
        raise Refused(f"{name} {why}, so it is never run in a replay; choose from {known}")


class _PlayClock:
    """A clock of real time that starts at the first message of the recording."""

    def __init__(self) -> None:
        self._zero = monotonic_ns()

    def start(self, at: int) -> None:
        """Start the clock at session time `at`, ns."""
        self._zero = monotonic_ns() - at

    def now(self) -> int:
        return monotonic_ns() - self._zero


class _StandIn:
    """The transport of the live processes, with a log instead of the hub."""

    def __init__(
        self,
        folder: Path,
        in_hub_order: int,
        session: SessionSettings,
        live: tuple[str, ...],
        clock: Clock,
        speed: float | None,
        keep: "_NewFolder | None",
    ) -> None:
        self.live = live
        self.reads_pixels = True
        self._log = LogReader(folder / LOG_FILE).messages()
        self._left = in_hub_order
        self._session, self._clock, self._speed, self._keep = session, clock, speed, keep
        self._pixels = Pixels(folder)
        self._senders = {name: Sender(name, clock, session=session.id) for name in live}
        self._back: deque[tuple[Envelope, Message]] = deque()
        """Messages of the live processes that are not delivered to them yet."""
        self._next: tuple[Envelope, Message] | None = None
        self._first = self._last = 0
        self._published: dict[str, Counter[str]] = {name: Counter() for name in live}
        self._recorded: dict[str, Counter[str]] = {name: Counter() for name in live}
        self._late_flips = 0
        self._ended: dict[str, str] = {}

    def connect(self) -> None:
        self._next = self._read()
        if self._next is not None:
            self._first = self._last = self._next[0].sent
            if isinstance(self._clock, _PlayClock):
                self._clock.start(self._first)

    def publish(self, sender: str, message: Message) -> None:
        envelope = self._senders[sender].wrap(message)
        self._published[sender][kind(message)] += 1
        self._late_flips += isinstance(message, Flip) and message.late
        self._back.append((envelope, message))
        if self._keep is not None:
            self._keep.add(envelope, message)

    def receive(self, until: int | None) -> Messages:
        if self._back:
            envelope, message = self._back.popleft()
            return [(envelope, self._with_pixels(message))]
        if self._next is None:
            return [self._stop()]
        envelope, message = self._next
        due = self._due(envelope.sent)
        if until is not None and until < due:
            self._wait(until)
            return []
        self._wait(due)
        self._last = max(self._last, envelope.sent)
        if self._keep is not None:
            self._keep.add(envelope, message)
        self._next = self._read()
        return [(envelope, self._with_pixels(message))]

    def end(self, sender: str, reason: str, failed: bool) -> None:
        self._ended[sender] = reason
        messages = self._senders[sender].published()
        self.publish(sender, Ended(self._clock.now(), reason, failed, messages))

    def played(self, took_s: float) -> Played:
        """Return the result; playing took took_s seconds."""
        return Played(
            self.live,
            (self._last - self._first) / 1e9,
            took_s,
            self._published,
            self._recorded,
            self._late_flips,
            self._ended,
        )

    def _read(self) -> tuple[Envelope, Message] | None:
        """Return the next recorded message of a process that does not run live."""
        for envelope, message, _ in self._log:
            if not self._left:
                return None
            self._left -= 1
            if envelope.sender in self.live:
                if not isinstance(message, Heartbeat):
                    self._recorded[envelope.sender][kind(message)] += 1
            elif isinstance(message, Start):
                return envelope, Start(message.t, msgspec.to_builtins(self._session))
            elif not (isinstance(message, Fault) and message.outside):
                return envelope, message
        return None

    def _stop(self) -> tuple[Envelope, Message]:
        stop = Stop(self._clock.now(), "the log ends here", self.live)
        return Envelope("", 0, 0, 0, 0, msgspec.Raw()), stop

    def _due(self, sent: int) -> int:
        """Return the time at which a message is due, on the clock of the live processes, ns."""
        if self._speed is None:
            return max(sent, self._clock.now())
        return self._first + round((sent - self._first) / self._speed)

    def _wait(self, until: int) -> None:
        if isinstance(self._clock, SetClock):
            self._clock.set(until)
        else:
            time.sleep(max(0.0, (until - self._clock.now()) / 1e9))

    def _with_pixels(self, message: Message) -> Message:
        if not (isinstance(message, Frame) and self.reads_pixels):
            return message
        filled = self._pixels.of(message)
        if filled.pixels is None:
            raise Refused(
                f"the pixels of frame {message.index} are missing; restore {message.file}"
            )
        return filled


class _NewFolder:
    """A session folder with the recording, except the messages of the live processes."""

    def __init__(
        self, folder: Path, to: Path, session: SessionSettings, recorded: Completeness
    ) -> None:
        """Create the folder. Raises Refused if it exists, or is beside recorded sessions."""
        if to.exists() or to.resolve().parent == folder.resolve().parent:
            raise Refused(
                f"{to} exists, or is beside the recorded session; name a new folder elsewhere"
            )
        self._folder, self._to, self._recorded = folder.resolve(), to, recorded
        try:
            to.mkdir(parents=True)
            for name in session.files:
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self._folder / name, to / name)
            settings = msgspec.json.format(msgspec.json.encode(session), indent=2)
            (to / SETTINGS_FILE).write_bytes(settings)
            self._writer = LogWriter(to / LOG_FILE)
        except OSError as error:
            raise Refused(f"{to} cannot be made ({error}); name another folder") from error

    def add(self, envelope: Envelope, message: Message) -> None:
        """Add a message; files that it names remain in the recorded folder."""
        if isinstance(message, Start | Frame | Scan):
            if isinstance(message, Frame | Scan):
                message = msgspec.structs.replace(
                    message, file=str(imaging_file(self._folder, message.file))
                )
            envelope = rewrap(envelope, message)
        self._writer.append(kind(message), envelope, pack(envelope))

    def close(self) -> None:
        """Finish the log."""
        whole = self._recorded.whole
        missing = self._recorded.missing
        self._writer.close(Completeness(whole, self._writer.count, missing))

    def discard(self) -> None:
        """Remove the unfinished folder."""
        self._writer.close()
        shutil.rmtree(self._to)
