"""Find when a page was scanned, by the session's clock."""

from collections import deque

from rig.messages import Frame

_RECENT = 256
"""Number of recent pages that are compared; clocks drift, so older ones are forgotten."""


class FrameTiming:
    """Relates the microscope's timestamps to the session's clock, page by page.

    A page arrives at the end of its scan or later, never earlier. Of the recent pages, the one with
    the shortest delay after its own timestamp gives the offset between the clocks.
    """

    def __init__(self) -> None:
        self._offsets_ns: deque[int] = deque(maxlen=_RECENT)
        self._timestamp_ns: int | None = None
        self._duration_ns: int | None = None

    def middle(self, page: Frame) -> int:
        """Return the session time (ns) of the middle of a page's scan; pages come in order.

        The duration of a page is the shortest interval between two pages so far. That of the first
        page is unknown, and the time of its end is returned.
        """
        timestamp_ns = round(page.timestamp_s * 1e9)
        if self._timestamp_ns is not None:
            step_ns = timestamp_ns - self._timestamp_ns
            if step_ns <= 0:  # a new acquisition, or no timestamps at all
                self._offsets_ns.clear()
            else:
                self._duration_ns = min(step_ns, self._duration_ns or step_ns)
        self._timestamp_ns = timestamp_ns
        self._offsets_ns.append(page.t - timestamp_ns)
        return timestamp_ns + min(self._offsets_ns) - (self._duration_ns or 0) // 2
