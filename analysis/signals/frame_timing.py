"""When a page was scanned, by the session's clock: it comes only once its scan is over."""

from collections import deque

from rig.messages import Frame

_RECENT = 256


class FrameTiming:
    """Finds how the microscope's clock stands to the session's, page by page.

    A page comes at the end of its scan or later, never before: of the recent pages, the one that
    came soonest after its own timestamp tells it best. Older ones are forgotten: clocks drift.
    """

    def __init__(self) -> None:
        self._behind_ns: deque[int] = deque(maxlen=_RECENT)
        self._timestamp_ns: int | None = None
        self._lasts_ns: int | None = None

    def middle(self, page: Frame) -> int:
        """Return the t (ns) of the middle of a page's scan; pages come in their order.

        How long a page lasts is the shortest time from one to the next so far; the first one's is
        not known, and its end is returned.
        """
        timestamp_ns = round(page.timestamp_s * 1e9)
        if self._timestamp_ns is not None:
            step_ns = timestamp_ns - self._timestamp_ns
            if step_ns <= 0:  # the microscope has begun anew, or tells no times
                self._behind_ns.clear()
            else:
                self._lasts_ns = min(step_ns, self._lasts_ns or step_ns)
        self._timestamp_ns = timestamp_ns
        self._behind_ns.append(page.t - timestamp_ns)
        return timestamp_ns + min(self._behind_ns) - (self._lasts_ns or 0) // 2
