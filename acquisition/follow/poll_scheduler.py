"""Predict when the next frame will be there, from the intervals between the frames before."""

from collections import deque

_RECENT = 8
"""Intervals between frames that are remembered."""
_FROM = 0.85
"""The next frame may come after this fraction of the shortest recent interval."""
_UNTIL = 1.2
"""It should have come by this fraction of the longest recent interval."""


class PollScheduler:
    """Decides when to poll often; at other times a poll seldom finds anything.

    Intervals may be uneven: after the last frame of a volume the next one comes later.
    """

    def __init__(self) -> None:
        self._gaps: deque[int] = deque(maxlen=_RECENT)
        self._t: int | None = None

    def page_arrived(self, t: int) -> None:
        """Note that a frame was there at t (ns)."""
        if self._t is not None:
            self._gaps.append(t - self._t)
        self._t = t

    def is_near(self, now: int) -> bool:
        """Whether the next frame may come at any moment now."""
        if self._t is None or not self._gaps:
            return False
        return _FROM * min(self._gaps) <= now - self._t <= _UNTIL * max(self._gaps)
