"""Look up the position at a time in the recent past."""

from bisect import bisect_right, insort

from analysis.signals.trial_records import PlacedLick
from rig.messages import Position

_KEPT_NS = 10_000_000_000
"""How long a Position is kept, ns: longer than the signals of a frame are late in a session."""
_GREY = Position(0, -1, 0.0, 0.0, False, "grey")


class PositionLookup:
    """The recent Position messages, in order of their times."""

    def __init__(self) -> None:
        self._positions: list[Position] = []

    def add(self, position: Position) -> None:
        """Add a Position, and remove those that are older than _KEPT_NS."""
        if not self._positions or position.t >= self._positions[-1].t:
            self._positions.append(position)  # nearly always, without a search
        else:
            insort(self._positions, position, key=_t)
        if self._positions[0].t < position.t - 2 * _KEPT_NS:
            del self._positions[: bisect_right(self._positions, position.t - _KEPT_NS, key=_t)]

    def at(self, t: int) -> Position:
        """Return the latest Position at or before t (ns); before the first, a Position in grey."""
        at = bisect_right(self._positions, t, key=_t)
        return self._positions[at - 1] if at else _GREY

    @property
    def latest_t(self) -> int | None:
        """Time of the latest Position (ns); None before the first one."""
        return self._positions[-1].t if self._positions else None


class UnplacedLicks:
    """Licks that wait for the Position after them: only then is it known where they happened."""

    def __init__(self) -> None:
        self._times: list[int] = []

    def add(self, t: int) -> None:
        """Add a lick at that time (ns)."""
        self._times.append(t)

    def take(self, before: int | None, positions: PositionLookup) -> list[PlacedLick]:
        """Return, and no longer keep, the licks before that time (ns), or all, with positions."""
        if not self._times:
            return []
        ready = [t for t in self._times if before is None or t < before]
        self._times = [t for t in self._times if not (before is None or t < before)]
        places = [positions.at(t) for t in ready]
        return [
            PlacedLick(t, place.trial, place.position_m)
            for t, place in zip(ready, places, strict=True)
        ]


def _t(position: Position) -> int:
    return position.t
