"""Where the animal was while a frame was scanned, which is drawn only when the frame is over."""

from collections import deque

from rig.messages import Position

_KEPT_FRAMES = 3.0


class PositionHistory:
    """The positions of the last few frames."""

    def __init__(self, frame_s: float) -> None:
        """A frame takes frame_s to scan."""
        self._half_ns = round(frame_s * 0.5e9)
        self._kept_ns = round(frame_s * _KEPT_FRAMES * 1e9)
        self._positions: deque[Position] = deque()

    def add(self, position: Position) -> None:
        """Take where the animal is; forget where it was before the last few frames."""
        self._positions.append(position)
        while position.t - self._positions[0].t > self._kept_ns:
            self._positions.popleft()

    def amid(self, t: int) -> Position | None:
        """Return where it was in the middle of the frame that began at t; None before it was."""
        middle = t + self._half_ns
        return next((p for p in reversed(self._positions) if p.t <= middle), None)
