"""Places: where the corridor stood at a time, for as long as a frame can be late."""

from bisect import bisect_right, insort

from rig.messages import Position

_KEPT_NS = 10_000_000_000
_GREY = Position(0, -1, 0.0, 0.0, False, "grey")


class PositionLookup:
    """The last Positions, in order of their times."""

    def __init__(self) -> None:
        self._positions: list[Position] = []

    def keep(self, position: Position) -> None:
        """Remember where the corridor stood, longer than a frame can be late in a live session."""
        insort(self._positions, position, key=_t)
        if self._positions[0].t < position.t - 2 * _KEPT_NS:
            del self._positions[: bisect_right(self._positions, position.t - _KEPT_NS, key=_t)]

    def at(self, t: int) -> Position:
        """Return the latest one at or before t; no corridor before any."""
        at = bisect_right(self._positions, t, key=_t)
        return self._positions[at - 1] if at else _GREY

    @property
    def latest_t(self) -> int | None:
        """The time of the latest one; None before any."""
        return self._positions[-1].t if self._positions else None


def _t(position: Position) -> int:
    return position.t
