"""Where the animal was while a frame was scanned; the frame is drawn only afterwards."""

from collections import deque

from rig.messages import Position

_KEPT_FRAMES = 3.0
"""Positions older than this many frames are forgotten."""


class PositionHistory:
    """The animal's positions during the last few frames."""

    def __init__(self, frame_s: float) -> None:
        """frame_s is how long the scan of a frame takes."""
        self._half_ns = round(frame_s * 0.5e9)
        self._kept_ns = round(frame_s * _KEPT_FRAMES * 1e9)
        self._positions: deque[Position] = deque()

    def add(self, position: Position) -> None:
        """Add a position; forget those before the last few frames."""
        self._positions.append(position)
        while position.t - self._positions[0].t > self._kept_ns:
            self._positions.popleft()

    def at_middle(self, t: int) -> Position | None:
        """Return the position in the middle of the frame that began at t; None if none is known."""
        middle = t + self._half_ns
        return next((p for p in reversed(self._positions) if p.t <= middle), None)
