"""Predict when the next frame will be saved, from the intervals between the last frames."""

from collections import deque

_RECENT = 8
"""Number of recent intervals between frames that are kept."""
_FROM = 0.85
"""Earliest time of the next frame, as a fraction of the shortest recent interval."""
_UNTIL = 1.2
"""Latest time of the next frame, as a fraction of the longest recent interval."""


class PollScheduler:
    """The decision when to poll often, because a frame is expected.

    Intervals may be uneven: after the last frame of a volume, the next frame comes later.
    """

    def __init__(self) -> None:
        self._gaps: deque[int] = deque(maxlen=_RECENT)
        self._t: int | None = None

    def page_arrived(self, t: int) -> None:
        """Record that a frame was found at t (ns)."""
        if self._t is not None:
            self._gaps.append(t - self._t)
        self._t = t

    def is_near(self, now: int) -> bool:
        """Return True if the next frame is expected at `now` (ns)."""
        if self._t is None or not self._gaps:
            return False
        return _FROM * min(self._gaps) <= now - self._t <= _UNTIL * max(self._gaps)
