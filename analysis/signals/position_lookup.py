"""Look up where the corridor was at a time in the recent past."""

from bisect import bisect_right, insort

from rig.messages import Position

_KEPT_NS = 10_000_000_000
"""Positions are kept this long: longer than a frame is late in a live session."""
_GREY = Position(0, -1, 0.0, 0.0, False, "grey")


class PositionLookup:
    """The recent Position messages, in order of their times."""

    def __init__(self) -> None:
        self._positions: list[Position] = []

    def add(self, position: Position) -> None:
        """Add a Position; old ones are forgotten."""
        insort(self._positions, position, key=_t)
        if self._positions[0].t < position.t - 2 * _KEPT_NS:
            del self._positions[: bisect_right(self._positions, position.t - _KEPT_NS, key=_t)]

    def at(self, t: int) -> Position:
        """Return the latest Position at or before t (ns); grey before the first one."""
        at = bisect_right(self._positions, t, key=_t)
        return self._positions[at - 1] if at else _GREY

    @property
    def latest_t(self) -> int | None:
        """Time of the latest Position (ns); None before the first one."""
        return self._positions[-1].t if self._positions else None


def _t(position: Position) -> int:
    return position.t
