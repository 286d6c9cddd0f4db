"""Simulated devices: wheel and spout of a simulated mouse, lines of a simulated microscope."""

from collections import deque
from typing import Annotated, Any, ClassVar

import msgspec

from behavior.devices.protocols import (
    BallSettings,
    Fired,
    OutputSettings,
    TriggerLineSettings,
    ValveSettings,
    WheelSettings,
)
from behavior.devices.simulated.board import Board, simulated_board

__all__ = [
    "SPOUT",
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

SPOUT = "centre"
"""Name of the spout that the simulated mouse licks."""


class _Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Wheel:
    """The wheel under the simulated mouse."""

    simulated: ClassVar[bool] = True

    class Settings(WheelSettings, frozen=True, kw_only=True):
        """The calibration of the wheel."""

        cm_per_count: Annotated[float, msgspec.Meta(gt=0, le=1)]

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        self._mouse = simulated_board(board, name).mouse

    def counts(self, now: int) -> int:
        return self._mouse.counts(now)


class Ball:
    """A ball that the simulated mouse also turns a little to the right as it runs."""

    simulated: ClassVar[bool] = True

    class Settings(BallSettings, frozen=True, kw_only=True):
        """The calibration of the ball."""

        cm_per_count: Annotated[float, msgspec.Meta(gt=0, le=1)]
        side_share: Annotated[float, msgspec.Meta(ge=-1, le=1)] = 0.1
        """Number of sideways counts per forward count."""

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        self._mouse = simulated_board(board, name).mouse

    def counts(self, now: int) -> int:
        return self._mouse.counts(now)

    def side_counts(self, now: int) -> int:
        return round(self._mouse.counts(now) * self.settings.side_share)


class Lick:
    """The lick sensor of a spout. The simulated mouse licks only the one named "centre"."""

    simulated: ClassVar[bool] = True

    Settings = _Settings

    def __init__(self, settings: _Settings, name: str, board: Any) -> None:
        self.settings = settings
        self._licks = simulated_board(board, name).licks() if name == SPOUT else None

    def onsets(self, now: int) -> list[int]:
        return [] if self._licks is None else self._licks.until(now)

    def touched_since(self, now: int) -> int | None:
        return None  # simulated licks have no duration


class Valve:
    """A valve that opens at once and records its pulses."""

    simulated: ClassVar[bool] = True

    Settings = ValveSettings

    def __init__(self, settings: ValveSettings, name: str, board: Any) -> None:
        self.settings = settings
        self.name = name
        simulated_board(board, name)
        self.pulses: list[tuple[int, float]] = []

    def pulse(self, now: int, open_ms: float) -> int:
        self.pulses.append((now, open_ms))
        return now

    def close(self) -> None:
        pass


class ArmedValve(Valve):
    """A valve that can be armed in its device, as on a board with our firmware."""

    def __init__(self, settings: ValveSettings, name: str, board: Any) -> None:
        super().__init__(settings, name, board)
        self._licks = simulated_board(board, name).licks() if name == SPOUT else None
        self._armed_ms: float | None = None
        self._until = 0

    def arm(self, now: int, open_ms: float, until: int) -> None:
        self._read_licks(now)
        self._armed_ms, self._until = open_ms, until

    def keep(self, until: int) -> None:
        self._until = until

    def fired(self, now: int) -> Fired | None:
        licks = self._read_licks(now)
        if self._armed_ms is None or not licks or licks[0] > self._until:
            return None
        open_ms, self._armed_ms = self._armed_ms, None
        self.pulses.append((licks[0], open_ms))
        return Fired(licks[0], licks[0], open_ms)

    def disarm(self, now: int) -> Fired | None:
        fired = self.fired(now)
        self._armed_ms = None
        return fired

    def close(self) -> None:
        self._armed_ms = None

    def _read_licks(self, now: int) -> list[int]:
        return [] if self._licks is None else self._licks.until(now)


class Line:
    """An input line of the simulated microscope: each Pulse message of its name raises it once."""

    simulated: ClassVar[bool] = True

    class Settings(_Settings, frozen=True, kw_only=True):
        """The length of a pulse."""

        pulse_ms: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 5.0

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        self._pulses = simulated_board(board, name).lines.setdefault(name, deque())
        self._edges: deque[tuple[int, bool]] = deque()

    def edges(self, now: int) -> list[tuple[int, bool]]:
        while self._pulses:
            t = self._pulses.popleft()
            self._edges += ((t, True), (t + round(self.settings.pulse_ms * 1e6), False))
        edges = []
        while self._edges and self._edges[0][0] <= now:
            edges.append(self._edges.popleft())
        return edges


class Photodiode:
    """An input line that follows the photodiode patch of the display."""

    simulated: ClassVar[bool] = True

    class Settings(_Settings, frozen=True, kw_only=True):
        """The delay of the photodiode."""

        delay_ms: Annotated[float, msgspec.Meta(ge=0, le=200)] = 8.0

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        self._flips: deque[tuple[int, bool]] = deque()
        simulated_board(board, name).light.append(self._flips)
        self._bright = False

    def edges(self, now: int) -> list[tuple[int, bool]]:
        edges = []
        delay_ns = round(self.settings.delay_ms * 1e6)
        while self._flips and self._flips[0][0] + delay_ns <= now:
            t, bright = self._flips.popleft()
            if bright != self._bright:
                self._bright = bright
                edges.append((t + delay_ns, bright))
        return edges


class Output:
    """An output line whose changes are recorded."""

    simulated: ClassVar[bool] = True

    class Settings(OutputSettings, frozen=True, kw_only=True):
        """When the output is raised."""

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        simulated_board(board, name)
        self.changes: list[tuple[int, bool]] = []

    def set(self, now: int, up: bool) -> int:
        self.changes.append((now, up))
        return now

    def close(self) -> None:
        if self.changes and self.changes[-1][1]:
            self.changes.append((self.changes[-1][0], False))


class TriggerLine:
    """A line for the closed loop that records its pulses."""

    simulated: ClassVar[bool] = True

    Settings = TriggerLineSettings

    def __init__(self, settings: TriggerLineSettings, name: str, board: Any) -> None:
        self.settings = settings
        simulated_board(board, name)
        self.pulses: list[tuple[int, int]] = []
        """Start and end of each pulse, ns."""
        self.closed = False

    def pulse(self, now: int, up_ms: float) -> int:
        self.closed = False
        self.pulses.append((now, now + round(up_ms * 1e6)))
        return now

    def end(self, now: int) -> int:
        rose, falls = self.pulses[-1]
        self.pulses[-1] = (rose, min(falls, now))
        return now

    def close(self) -> None:
        self.closed = True


class Camera:
    """A camera that films at a constant rate from the start of the session."""

    simulated: ClassVar[bool] = True

    class Settings(_Settings, frozen=True, kw_only=True):
        """The frame rate."""

        rate_hz: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 30.0

    def __init__(self, settings: Settings, name: str, board: Any) -> None:
        self.settings = settings
        self._board = simulated_board(board, name)

    def exposures(self, now: int) -> int:
        return int((now - self._board.began) * self.settings.rate_hz / 1e9)
