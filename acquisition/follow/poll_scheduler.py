"""When the next frame will be there: by the times between those before, which may be uneven."""

from collections import deque

_RECENT = 8
_FROM = 0.85
"""Of the shortest recent time between frames: from when on the next one may come."""
_UNTIL = 1.2
"""Of the longest one: until when it should have come."""


class PollScheduler:
    """Tells when to look often; in between, a look seldom finds anything.

    A volume has a longer time between its last frame and the next volume's first one.
    """

    def __init__(self) -> None:
        self._gaps: deque[int] = deque(maxlen=_RECENT)
        self._t: int | None = None

    def came(self, t: int) -> None:
        """Take a frame that was there at t (ns)."""
        if self._t is not None:
            self._gaps.append(t - self._t)
        self._t = t

    def is_near(self, now: int) -> bool:
        """Whether the next frame may come at any moment."""
        if self._t is None or not self._gaps:
            return False
        return _FROM * min(self._gaps) <= now - self._t <= _UNTIL * max(self._gaps)
