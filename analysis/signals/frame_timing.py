"""Find the time on the session's clock at which a page was scanned."""

from collections import deque

from rig.messages import Frame

_RECENT = 256
"""Number of recent pages that are compared; older ones are dropped, because clocks drift."""


class FrameTiming:
    """The offset between the microscope's timestamps and the session's clock.

    A page arrives at the end of its scan or later, never earlier. The offset is therefore taken
    from the recent page with the shortest delay between its timestamp and its arrival.
    """

    def __init__(self) -> None:
        self._offsets_ns: deque[int] = deque(maxlen=_RECENT)
        self._timestamp_ns: int | None = None
        self._duration_ns: int | None = None

    def middle(self, page: Frame) -> int:
        """Return the session time (ns) of the middle of a page's scan; pages come in order.

        The duration of a page is taken as the shortest interval between two pages so far. For the
        first page it is unknown, and the end of its scan is returned.
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
