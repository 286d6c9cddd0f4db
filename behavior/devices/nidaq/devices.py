"""The devices on an NI card: wheel, lick sensors, valves, lines, outputs and cameras."""

from collections import deque
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from behavior.devices.nidaq.ball import Ball
from behavior.devices.nidaq.board import Board, nidaq_board
from behavior.devices.nidaq.inputs import TICK_NS
from behavior.devices.nidaq.tasks import Counter, CounterName, Level, Pulser, Terminal
from behavior.devices.protocols import (
    Fired,
    OutputSettings,
    TriggerLineSettings,
    ValveSettings,
    WheelSettings,
)

__all__ = [
    "ArmedValve",
    "Ball",
    "Board",
    "Camera",
    "Lick",
    "Line",
    "Output",
    "TriggerLine",
    "Valve",
    "Wheel",
]

InputLine = Annotated[int, msgspec.Meta(ge=0, le=31)]
_REMEMBERED_TOUCHES = 64


class Wheel:
    """A quadrature encoder on a counter, with four counts per period."""

    simulated: ClassVar[bool] = False

    class Settings(WheelSettings, frozen=True, kw_only=True):
        """The calibration of the wheel, and the wiring of its encoder."""

        counter: CounterName = "ctr0"
        a: Terminal = ""
        b: Terminal = ""

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        found = nidaq_board(board, name)
        self._encoder = Counter(found.card, settings.counter, (settings.a, settings.b))
        found.on_open(self._encoder.open)

    def counts(self, now: int) -> int:
        return self._encoder.count()


class Lick:
    """A lick sensor on an input line."""

    simulated: ClassVar[bool] = False

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The input line, and its level during a touch."""

        line: InputLine
        touch: Literal["high", "low"] = "high"

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        self._board = nidaq_board(board, name)
        self._queue = self._board.edge_queue(settings.line, f"lick {name}")
        self._touched = settings.touch == "high"
        self._since: int | None = None
        self._seen = False

    def onsets(self, now: int) -> list[int]:
        self._board.poll(now)
        if not self._seen:
            self._seen = True
            if self._board.is_high(self.settings.line) is self._touched and not self._queue.edges:
                self._since = now  # the touch began before the first call
        onsets = []
        for t, up in self._queue.take(now):
            self._since = t if up is self._touched else None
            onsets += [t] if up is self._touched else []
        return onsets

    def touched_since(self, now: int) -> int | None:
        return self._since


class Valve:
    """A valve on a counter, which ends the pulse by itself."""

    simulated: ClassVar[bool] = False

    class Settings(ValveSettings, frozen=True, kw_only=True):
        """The calibration of the valve, and its wiring."""

        counter: CounterName = "ctr2"
        terminal: Terminal = ""

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        self._board = nidaq_board(board, name)
        self._board.add_valve(settings.counter, settings.terminal)
        self._pulser = Pulser(self._board.card, settings.counter, settings.terminal)
        self._board.on_open(self._pulser.open, drives_output=True)

    def pulse(self, now: int, open_ms: float) -> int:
        return max(now, self._board.session_ns(self._pulser.fire(open_ms)))

    def close(self) -> None:
        self._pulser.stop()


class ArmedValve(Valve):
    """A valve whose counter is triggered by the lick line, within a microsecond.

    The valve's line is also wired to an input, `sense`, which measures when the valve opened and
    for how long. The card must have a watchdog, because a driver that hangs would leave the valve
    armed. It must have change detection, because samples come in packets, so a reward that is not
    read yet could be given twice.
    """

    class Settings(Valve.Settings, frozen=True, kw_only=True):
        """The keys of a valve, and the wiring of the lick line and of the valve's own line."""

        lick: InputLine
        """The input line of the lick sensor; it must be high during a touch."""
        trigger: Annotated[str, msgspec.Meta(pattern=r"^PFI\d+$")]
        """The terminal to which the lick sensor is also wired."""
        sense: InputLine
        """The input line to which the valve's line is also wired."""

    settings: Settings

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        super().__init__(settings, name, board)
        self._board.require_armed_support(name)
        self._licks = self._board.edge_queue(settings.lick, f"valve {name}, lick")
        self._sense = self._board.edge_queue(settings.sense, f"valve {name}, sense")
        self._touches: deque[int] = deque(maxlen=_REMEMBERED_TOUCHES)
        self._open_ms: float | None = None
        """Pulse length if the valve is armed, ms; otherwise None."""
        self._until = 0
        self._rose: int | None = None
        self._fell: int | None = None

    def arm(self, now: int, open_ms: float, until: int) -> None:
        self._read(now, again=True)
        self._rose = self._fell = None
        self._open_ms, self._until = open_ms, until
        self._pulser.arm(open_ms, self.settings.trigger)

    def keep(self, until: int) -> None:
        self._until = until

    def fired(self, now: int) -> Fired | None:
        if self._open_ms is None:
            return None
        rose = self._read(now)
        if rose is None:
            return self.disarm(now) if now > self._until else None
        return self._report(rose, self._open_ms)

    def disarm(self, now: int) -> Fired | None:
        if self._open_ms is None:
            return None
        rose = self._read(now, again=True)
        if rose is not None:  # the valve has opened; the counter ends the pulse
            return self._report(rose, self._open_ms)
        self._pulser.stop()
        rose = self._read(now, again=True)
        open_ms, self._open_ms = self._open_ms, None
        if rose is None:
            return None
        if (
            self._fell is not None
        ):  # the valve opened just before it was stopped, and the stop shortened the pulse
            open_ms = (self._fell - rose) / 1e6
        return self._report(rose, open_ms)

    def close(self) -> None:
        self._open_ms = None
        super().close()

    def _read(self, now: int, again: bool = False) -> int | None:
        """Return the time (ns) at which the valve's line rose since it was armed, or None."""
        self._board.poll(now, again)
        self._touches += (t for t, up in self._licks.edges if up)
        self._licks.edges.clear()
        while self._sense.edges:
            t, up = self._sense.edges.popleft()
            if up and self._rose is None:
                self._rose = t
            elif not up and self._rose is not None and self._fell is None:
                self._fell = t
        return self._rose

    def _report(self, rose: int, open_ms: float) -> Fired:
        self._open_ms = None
        # The two lines may be latched one tick apart; report the time of the Lick message.
        lick_t = max((t for t in self._touches if t <= rose + TICK_NS), default=rose)
        return Fired(lick_t, max(rose, lick_t), open_ms)


class Line:
    """An input line: a frame clock, a photodiode behind a comparator, a camera's exposures."""

    simulated: ClassVar[bool] = False

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The wiring of the device."""

        line: InputLine

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        self._board = nidaq_board(board, name)
        self._queue = self._board.edge_queue(settings.line, f"line {name}")

    def edges(self, now: int) -> list[tuple[int, bool]]:
        self._board.poll(now)
        return self._queue.take(now)


class Output:
    """An output line, raised and lowered by the driver."""

    simulated: ClassVar[bool] = False

    class Settings(OutputSettings, frozen=True, kw_only=True):
        """When the output is raised, and its wiring."""

        line: Annotated[str, msgspec.Meta(pattern=r"^port\d/line\d+$")]

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        found = nidaq_board(board, name)
        self._level = Level(found.card, settings.line)
        found.on_open(self._level.open, drives_output=True)

    def set(self, now: int, up: bool) -> int:
        self._level.write(up)
        return now

    def close(self) -> None:
        self._level.close()


class TriggerLine:
    """A line for the closed loop on a counter, which ends the pulse by itself."""

    simulated: ClassVar[bool] = False

    class Settings(TriggerLineSettings, frozen=True, kw_only=True):
        """The wiring of the device."""

        counter: CounterName = "ctr3"
        terminal: Terminal = ""

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        self._board = nidaq_board(board, name)
        counter, terminal = settings.counter, settings.terminal
        self._board.refuse_valve_wires(counter, terminal, name)
        self._pulser = Pulser(self._board.card, counter, terminal, f"trigger line {name}")
        self._board.on_open(self._pulser.open, drives_output=True)

    def pulse(self, now: int, up_ms: float) -> int:
        return max(now, self._board.session_ns(self._pulser.fire(up_ms)))

    def end(self, now: int) -> int:
        self._pulser.stop()
        return now

    def close(self) -> None:
        self._pulser.stop()


class Camera:
    """A camera whose exposures are counted by a counter."""

    simulated: ClassVar[bool] = False

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The wiring of the device."""

        counter: CounterName = "ctr3"
        terminal: Terminal = ""

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        found = nidaq_board(board, name)
        self._counter = Counter(found.card, settings.counter, (settings.terminal,))
        found.on_open(self._counter.open)

    def exposures(self, now: int) -> int:
        return self._counter.count()
