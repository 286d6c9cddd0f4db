"""The Board of an NI card: its input lines, its clock, its watchdog, and the tasks of its devices.

The input lines are the first lines of one port and share one task. The times of their changes
come from the card's own clock, which is fitted to the session clock.
"""

from collections import deque
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import msgspec

from behavior.devices.clock_sync import TOLERANCE_NS, ClockStep, DeviceClock
from behavior.devices.nidaq.card import Card, UnsupportedError
from behavior.devices.nidaq.inputs import Inputs, Latched, Sampled, Timing
from behavior.devices.nidaq.tasks import Watchdog
from rig.clock import monotonic_ns
from rig.errors import Refused
from rig.messages import DeviceTime, Message, Start

_WATCHDOG_EVERY_NS = 100_000_000
_SYNC_EVERY_NS = 200_000_000
_FIRST_EXCHANGES = 20
_RESYNC_EXCHANGES = 5
"""Number of clock exchanges at the start, and when the card's clock may have been set."""
_NO_WATCHDOG = (
    "If the driver stops responding, the card's counters end the pulse that is under way, and its "
    "outputs stay as they are"
)


class EdgeQueue:
    """The changes of one input line, for one device; each change is returned once, in order."""

    def __init__(self) -> None:
        self.edges: deque[tuple[int, bool]] = deque()

    def take(self, now: int) -> list[tuple[int, bool]]:
        """Return the changes (t, up) up to `now` (ns) that were not returned before."""
        taken = []
        while self.edges and self.edges[0][0] <= now:
            taken.append(self.edges.popleft())
        return taken


class Board:
    """An NI card and the devices that are wired to it."""

    simulated: ClassVar[bool] = False

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The name and address of the card, and which of its lines are inputs."""

        device: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][\w-]*$")] = "Dev1"
        """Name of the card in NI MAX."""
        address: str = ""
        """"" for a card of this computer, or "host:port" of an NI gRPC device server."""
        deadline_s: Annotated[float, msgspec.Meta(ge=0.05, le=1.0)] = 0.4
        """Longest time that a call of the card may take, s."""
        port: str = "port0"
        input_lines: Annotated[int, msgspec.Meta(ge=1, le=32)] = 8
        """Number of input lines of `port`, from line 0 on."""
        latch_counter: str = "ctr1"
        """The counter that times changes; "" for a card without change detection."""
        sample_hz: Annotated[float, msgspec.Meta(ge=0, le=50_000)] = 10_000.0
        """Without change detection: how often the card samples its lines, Hz. 0 if it cannot; a
        change then gets the time at which it is read, once a tick."""
        watchdog_lines: list[str] = []
        """Lines that the card lowers if the driver stops responding: those of the valves, for
        example "port1/line4"."""
        watchdog_s: Annotated[float, msgspec.Meta(ge=0.2, le=2.0)] = 1.0
        """The card lowers these lines after this time without a sign of life of the driver, s."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings, self.name = settings, name
        self.card = Card(settings.device, settings.address, settings.deadline_s)
        self._timing = _timing(self.card, settings)
        self._inputs = Inputs(self.card, settings.port, settings.input_lines, self._timing)
        self._watchdog: Watchdog | None = None
        self._needs_watchdog = self._drives_outputs = False
        self._warnings: list[str] = []
        self._on_open: list[Callable[[], None]] = []
        self._queues: list[tuple[int, EdgeQueue]] = []
        self._valve_wires: set[str] = set()
        self._clock = self._new_clock()
        self._zero = 0
        self._polled = self._watchdog_due = self._sync_due = self._last_t = -1
        self._time: DeviceTime | None = None
        self._is_open = self._begun = False

    def on_open(self, open_task: Callable[[], None], drives_output: bool = False) -> None:
        """Register a device's task, to be opened with the board."""
        self._on_open.append(open_task)
        self._drives_outputs |= drives_output

    def edge_queue(self, line: int, where: str) -> EdgeQueue:
        """Return a new reader of the changes of an input line.

        Args:
            line: Number of the line.
            where: The line's key in the setup, for errors.

        Raises:
            Refused: The line is not an input.
        """
        if line >= self.settings.input_lines:
            raise Refused(
                f"{where}: line {line} is not an input of board {self.name}, which has "
                f"input_lines = {self.settings.input_lines}; correct one of them"
            )
        self._inputs.changing.add(line)
        self._queues.append((line, EdgeQueue()))
        return self._queues[-1][1]

    def add_valve(self, counter: str, terminal: str) -> None:
        """Register the counter and the terminal of a valve."""
        self._valve_wires |= _wires(counter, terminal)

    def refuse_valve_wires(self, counter: str, terminal: str, name: str) -> None:
        """Raise Refused if a trigger line uses the counter or the terminal of a valve."""
        shared = sorted(_wires(counter, terminal) & self._valve_wires)
        if shared:
            raise Refused(
                f"trigger line {name}: {' and '.join(shared)} of board {self.name} opens a valve; "
                "choose another counter and terminal"
            )

    def require_armed_support(self, valve: str) -> None:
        """Raise Refused if the card has no watchdog or no change detection, for an armed valve."""
        missing = ""
        if not self.settings.watchdog_lines:
            missing = "watchdog_lines; name the valve's line there"
        elif not self.settings.latch_counter:
            missing = "latch_counter; name a counter there"
        if missing:
            raise Refused(
                f"valve {valve} is an ArmedValve, but board {self.name} has no {missing}, or use "
                'is = "behavior.devices.nidaq:Valve"'
            )
        self._needs_watchdog = True

    def is_high(self, line: int) -> bool:
        """Return True if an input line was high when it was last read."""
        return bool(self._inputs.level >> line & 1)

    def open(self) -> None:
        self.card.open()
        self._clock = self._new_clock()
        self._is_open = True
        self._warnings = self._capability_warnings()
        self._open_watchdog()  # first, as some cards cannot reserve it after other tasks
        for open_task in self._on_open:
            open_task()
        self._inputs.open()
        self._sync_clock()
        self.card.opened()

    def handle(self, message: Message) -> None:
        if isinstance(message, Start) and self._is_open:
            self._begin(int(message.session.get("t0_ns", 0)))
            self.poll(self.session_ns(monotonic_ns()))
            for _, queue in self._queues:  # drop changes from before the session
                queue.edges.clear()

    def session_ns(self, host_ns: int) -> int:
        """Convert a time of the computer's monotonic clock (ns) to session time (ns)."""
        return host_ns - self._zero

    def poll(self, now: int, again: bool = False) -> None:
        """Read the changes of the inputs, once for each `now` unless `again` is True."""
        if not self._is_open or (now == self._polled and not again):
            return
        self._polled = now
        if not self._begun:  # there is no session in rig check, flush and calibrate
            self._begin(monotonic_ns() - now)
        if self._watchdog is not None and now >= self._watchdog_due:
            self._watchdog_due = now + _WATCHDOG_EVERY_NS
            self._watchdog.reset()
        changes = self._inputs.read()
        received = monotonic_ns()
        for lines, card_ns in changes:
            changed, self._inputs.level = lines ^ self._inputs.level, lines
            t = now if card_ns is None else self._date(card_ns, received)
            self._last_t = t = max(t, self._last_t)
            for line, queue in self._queues:
                if changed >> line & 1:
                    queue.edges.append((t, bool(lines >> line & 1)))
        if now >= self._sync_due:  # after the changes: they are from before a step that it shows
            self._sync_due = now + _SYNC_EVERY_NS
            self._sync_clock()

    def pop_warnings(self) -> list[str]:
        warnings, self._warnings = self._warnings, []
        return warnings

    def close(self) -> None:
        was_open, self._is_open, self._begun = self._is_open, False, False
        if was_open:
            self.card.close()

    def device_time(self) -> DeviceTime | None:
        device_time, self._time = self._time, None
        return device_time

    def _begin(self, zero: int) -> None:
        """Set the session's zero (ns, monotonic); start the watchdog and the inputs."""
        self._zero = zero
        if not self._begun:
            self._begun = True
            self._inputs.begin()
            if self._watchdog is not None:
                self._watchdog.begin()
        for _ in range(_FIRST_EXCHANGES):
            self._sync_clock()

    def _open_watchdog(self) -> None:
        lines = self.settings.watchdog_lines
        self._watchdog = Watchdog(self.card, lines, self.settings.watchdog_s) if lines else None
        try:
            if self._watchdog is not None:
                self._watchdog.open()
        except UnsupportedError as unsupported:
            if self._needs_watchdog:
                raise
            self._watchdog = None
            self._warnings.append(f"{unsupported}. {_NO_WATCHDOG}")

    def _capability_warnings(self) -> list[str]:
        """Return a warning for each feature of an X series card that this setup does not use."""
        settings, label = self.settings, f"board {self.name}"
        warnings = []
        if self._drives_outputs and not settings.watchdog_lines:
            warnings.append(f"{label} has no watchdog_lines. {_NO_WATCHDOG}")
        if not settings.latch_counter and settings.sample_hz:
            warnings.append(
                f"{label} has no latch_counter: the card samples its lines {settings.sample_hz:g} "
                "times a second, by its own clock"
            )
        elif not settings.latch_counter:
            warnings.append(
                f"{label} has no latch_counter and no sample_hz: its lines are read once a tick"
            )
        return warnings

    def _new_clock(self) -> DeviceClock:
        tolerance_ns = TOLERANCE_NS if self._timing is None else self._timing.tolerance_ns
        return DeviceClock(tolerance_ns, rare_events=True)

    def _date(self, card_ns: int, received: int) -> int:
        """Return the session time (ns) of a change, after checking if the card's clock was set."""
        if self._clock.needs_exchange(card_ns, received):
            exchanges = _RESYNC_EXCHANGES if self._sync_clock() else 1
            for _ in range(exchanges - 1):
                self._sync_clock()
        return self.session_ns(self._clock.date_event(card_ns, received))

    def _sync_clock(self) -> bool:
        """Make an exchange; return whether it shows that the card's clock was set."""
        exchange = self._inputs.read_clock()
        found = None if exchange is None else self._clock.add_exchange(*exchange)
        if isinstance(found, ClockStep):
            self._warnings.append(found.describe(f"board {self.name}"))
        elif found is not None:
            t = self.session_ns(found.host)
            self._time = DeviceTime(t, self.name, found.device, found.residual_ns)
        return isinstance(found, ClockStep)


def _timing(card: Card, settings: Board.Settings) -> Timing | None:
    if settings.latch_counter:
        return Latched(card, settings.latch_counter)
    return Sampled(card, settings.sample_hz) if settings.sample_hz else None


def _wires(counter: str, terminal: str) -> set[str]:
    """Return a counter and the terminal of its output; by default ctr0 to ctr3 use PFI12 to 15."""
    return {counter, terminal or f"PFI{12 + int(counter.removeprefix('ctr'))}"}


def nidaq_board(board: Any, name: str) -> Board:
    """Return a device's board. Raises Refused if it is not an NI card."""
    if not isinstance(board, Board):
        raise Refused(
            f'NI device {name} needs a board with is = "behavior.devices.nidaq:Board"; name it '
            "with the key `board`"
        )
    return board
