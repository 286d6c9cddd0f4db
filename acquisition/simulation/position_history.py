"""Keep the positions of the animal during the scan of a frame, which is drawn afterwards."""

from collections import deque

from rig.messages import Position

_KEPT_FRAMES = 3.0
"""Age above which positions are dropped, in frames."""


class PositionHistory:
    """The animal's positions during the last few frames."""

    def __init__(self, frame_s: float) -> None:
        """Start without positions; frame_s is the duration of a frame's scan, s."""
        self._half_ns = round(frame_s * 0.5e9)
        self._kept_ns = round(frame_s * _KEPT_FRAMES * 1e9)
        self._positions: deque[Position] = deque()

    def add(self, position: Position) -> None:
        """Add a position; drop those before the last few frames."""
        self._positions.append(position)
        while position.t - self._positions[0].t > self._kept_ns:
            self._positions.popleft()

    def at_middle(self, t: int) -> Position | None:
        """Return the position at the middle of the frame that began at t (ns), or None."""
        middle = t + self._half_ns
        return next((p for p in reversed(self._positions) if p.t <= middle), None)
