"""An NI card as a board: its input lines, its clock, its watchdog, and the tasks of its devices.

All input lines are the lowest ones of one port and share one task; the times of their changes come
from the card's own clock, fitted to the session's.
"""

from collections import deque
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import msgspec

from behavior.devices.clock_sync import DeviceClock
from behavior.devices.nidaq.card import Card, UnsupportedError
from behavior.devices.nidaq.inputs import Inputs, Latched, Sampled, Timing
from behavior.devices.nidaq.tasks import Watchdog
from rig.clock import monotonic_ns
from rig.errors import Refused
from rig.messages import DeviceTime, Message, Start

_WATCHDOG_EVERY_NS = 100_000_000
_SYNC_EVERY_NS = 200_000_000
_SYNCS_AT_START = 20
_UNWATCHED = (
    "If the driver falls silent, its counters end the pulse that is under way, and its outputs "
    "stay as they are"
)


class EdgeQueue:
    """One input line, as one device sees it: its changes in order, each once."""

    def __init__(self) -> None:
        self.edges: deque[tuple[int, bool]] = deque()

    def until(self, now: int) -> list[tuple[int, bool]]:
        """Return the changes (t, up) up to now that were not handed out yet."""
        seen = []
        while self.edges and self.edges[0][0] <= now:
            seen.append(self.edges.popleft())
        return seen


class Board:
    """An NI card and what is wired to it."""

    simulated: ClassVar[bool] = False

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """Where the card is, and which of its lines are inputs."""

        device: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][\w-]*$")] = "Dev1"
        """Its name in NI MAX."""
        address: str = ""
        """"" for the driver on this machine, or "host:port" of NI's gRPC device server."""
        deadline_s: Annotated[float, msgspec.Meta(ge=0.05, le=1.0)] = 0.4
        """How long any call may wait."""
        port: str = "port0"
        input_lines: Annotated[int, msgspec.Meta(ge=1, le=32)] = 8
        """Lines 0 up to this one, without it, are inputs."""
        latch_counter: str = "ctr1"
        """The counter that times changes; "" on a card without change detection."""
        sample_hz: Annotated[float, msgspec.Meta(ge=0, le=50_000)] = 10_000.0
        """How often such a card samples its lines, by its own clock; 0 on one that cannot: then a
        change is when it was read, once a tick."""
        watchdog_lines: list[str] = []
        """Lines that go down when the driver is silent: those of the valves, as "port1/line4"."""
        watchdog_s: Annotated[float, msgspec.Meta(ge=0.2, le=2.0)] = 1.0

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings, self.name = settings, name
        self.card = Card(settings.device, settings.address, settings.deadline_s)
        timing = _timing(self.card, settings)
        self._inputs = Inputs(self.card, settings.port, settings.input_lines, timing)
        self._watchdog: Watchdog | None = None
        self._must_watch = self._drives = False
        self._warnings: list[str] = []
        self._openings: list[Callable[[], None]] = []
        self._taps: list[tuple[int, EdgeQueue]] = []
        self._clock = DeviceClock()
        self._zero = 0
        self._polled = self._watchdog_due = self._sync_due = self._last_t = -1
        self._time: DeviceTime | None = None
        self._is_open = self._begun = False

    def join(self, opening: Callable[[], None], drives: bool = False) -> None:
        """Have a device's task opened with the board; whether it drives a line of the card."""
        self._openings.append(opening)
        self._drives |= drives

    def tap(self, line: int, where: str) -> EdgeQueue:
        """Return an input line as one more device sees it. Raises Refused if it is none."""
        if line >= self.settings.input_lines:
            raise Refused(
                f"{where}: line {line} is no input of board {self.name}, which has "
                f"input_lines = {self.settings.input_lines}; correct one of them"
            )
        self._inputs.changing.add(line)
        self._taps.append((line, EdgeQueue()))
        return self._taps[-1][1]

    def require_armed_support(self, valve: str) -> None:
        """Have the card be one that may hold an armed reward. Raises Refused if it is not."""
        lack = "" if self.settings.watchdog_lines else "watchdog_lines: name the valve's line there"
        lack = lack or (
            "" if self.settings.latch_counter else "latch_counter: name a counter there"
        )
        if lack:
            raise Refused(
                f"valve {valve} can be armed, and board {self.name} has no {lack}, or take "
                'is = "behavior.devices.nidaq:Valve"'
            )
        self._must_watch = True

    def up(self, line: int) -> bool:
        """Return whether an input line was up when it was last read."""
        return bool(self._inputs.level >> line & 1)

    def open(self) -> None:
        self.card.open()
        self._clock = DeviceClock()
        self._is_open = True
        self._warnings = self._capability_warnings()
        self._open_watchdog()  # before the others: some cards reserve it only while they are free
        for opening in self._openings:
            opening()
        self._inputs.open()
        self._sync_clock()
        self.card.opened()

    def handle(self, message: Message) -> None:
        if isinstance(message, Start) and self._is_open:
            self._begin(int(message.session.get("t0_ns", 0)))
            self.poll(self.session_ns(monotonic_ns()))
            for _, tap in self._taps:  # what came before the session is no part of it
                tap.edges.clear()

    def session_ns(self, host_ns: int) -> int:
        """Return a time of the machine's monotonic clock as session time."""
        return host_ns - self._zero

    def poll(self, now: int, again: bool = False) -> None:
        """Read what has changed; once for each now, unless it is asked for again."""
        if not self._is_open or (now == self._polled and not again):
            return
        self._polled = now
        if not self._begun:  # there is no session: someone looks at the devices by hand
            self._begin(monotonic_ns() - now)
        if self._watchdog is not None and now >= self._watchdog_due:
            self._watchdog_due = now + _WATCHDOG_EVERY_NS
            self._watchdog.reset()
        if now >= self._sync_due:
            self._sync_due = now + _SYNC_EVERY_NS
            self._sync_clock()
        for lines, card_ns in self._inputs.read():
            changed, self._inputs.level = lines ^ self._inputs.level, lines
            t = now if card_ns is None else self.session_ns(self._clock.host_ns(card_ns))
            self._last_t = t = max(t, self._last_t)
            for line, tap in self._taps:
                if changed >> line & 1:
                    tap.edges.append((t, bool(lines >> line & 1)))

    def pop_warnings(self) -> list[str]:
        warnings, self._warnings = self._warnings, []
        return warnings

    def close(self) -> None:
        was_open, self._is_open, self._begun = self._is_open, False, False
        if was_open:
            self.card.close()

    def device_time(self) -> DeviceTime | None:
        told, self._time = self._time, None
        return told

    def _begin(self, zero: int) -> None:
        """Date all from that time of the machine's clock on; let the card watch the driver."""
        self._zero = zero
        if not self._begun:
            self._begun = True
            self._inputs.begin()
            if self._watchdog is not None:
                self._watchdog.begin()
        for _ in range(_SYNCS_AT_START):
            self._sync_clock()

    def _open_watchdog(self) -> None:
        lines = self.settings.watchdog_lines
        self._watchdog = Watchdog(self.card, lines, self.settings.watchdog_s) if lines else None
        try:
            if self._watchdog is not None:
                self._watchdog.open()
        except UnsupportedError as lacking:
            if self._must_watch:
                raise
            self._watchdog = None
            self._warnings.append(f"{lacking}. {_UNWATCHED}")

    def _capability_warnings(self) -> list[str]:
        """Return what this card is not asked for, though a better one could do it."""
        settings, who = self.settings, f"board {self.name}"
        said = []
        if self._drives and not settings.watchdog_lines:
            said.append(f"{who} has no watchdog_lines. {_UNWATCHED}")
        if not settings.latch_counter and settings.sample_hz:
            said.append(
                f"{who} has no latch_counter: its lines are sampled {settings.sample_hz:g} times a "
                "second by its own clock"
            )
        elif not settings.latch_counter:
            said.append(
                f"{who} has no latch_counter and no sample_hz: its lines are read each tick"
            )
        return said

    def _sync_clock(self) -> None:
        pair = self._inputs.read_clock()
        told = None if pair is None else self._clock.add_exchange(*pair)
        if told is not None:
            t = self.session_ns(told.host)
            self._time = DeviceTime(t, self.name, told.device, told.residual_ns)


def _timing(card: Card, settings: Board.Settings) -> Timing | None:
    if settings.latch_counter:
        return Latched(card, settings.latch_counter)
    return Sampled(card, settings.sample_hz) if settings.sample_hz else None


def nidaq_board(board: Any, name: str) -> Board:
    """Return a device's board. Raises Refused if it is not an NI card."""
    if not isinstance(board, Board):
        raise Refused(
            f'NI device {name}: it needs a board whose `is` is "behavior.devices.nidaq:Board"; '
            "name it with the key `board`"
        )
    return board
