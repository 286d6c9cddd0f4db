"""Find the time on the session's clock at which a page was scanned."""

from collections import deque

from rig.messages import Frame

_RECENT = 256
"""Number of recent pages that are compared; older ones are dropped, because clocks drift."""
_STEP_NS = 500_000_000
"""The microscope's clock was set if it deviates by more than this from the count of frames, ns."""


class FrameTiming:
    """The offset between the microscope's timestamps and the session's clock.

    A page arrives at the end of its scan or later, never earlier. The offset is therefore taken
    from the recent page with the shortest delay between its timestamp and its arrival.

    If the microscope's clock is set, the timestamps deviate from the numbers of the frames, while
    the pages arrive when the numbers predict. Such a step is subtracted from all later timestamps.
    """

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        """Time from the first page to the last one, by the microscope."""
        self._offsets_ns: deque[int] = deque(maxlen=_RECENT)
        self._last: Frame | None = None
        self._timestamp_ns = 0
        """Timestamp of the last page without the steps."""
        self._duration_ns: int | None = None
        self._per_number_ns: float | None = None
        """Shortest time between two pages for each frame by which their numbers differ."""
        self._stepped_ns = 0
        """Sum of the steps in this acquisition."""

    def middle(self, page: Frame) -> int:
        """Return the session time (ns) of the middle of a page's scan; pages come in order.

        The duration of a page is taken as the shortest interval between two pages so far. For the
        first page it is unknown, and the end of its scan is returned.
        """
        timestamp_ns = round(page.timestamp_s * 1e9) - self._stepped_ns
        if self._last is not None:
            step_ns = self._clock_step_ns(self._last, page, timestamp_ns)
            self._stepped_ns += step_ns
            timestamp_ns -= step_ns
            timestamp_ns = self._take_interval(self._last, page, timestamp_ns)
        self._last, self._timestamp_ns = page, timestamp_ns
        self._offsets_ns.append(page.t - timestamp_ns)
        return timestamp_ns + min(self._offsets_ns) - (self._duration_ns or 0) // 2

    def _take_interval(self, last: Frame, page: Frame, timestamp_ns: int) -> int:
        """Take in the time since the last page; return the timestamp to use for this one."""
        interval_ns = timestamp_ns - self._timestamp_ns
        if interval_ns > 0:
            self._duration_ns = min(interval_ns, self._duration_ns or interval_ns)
            if page.number > last.number:
                per_number_ns = interval_ns / (page.number - last.number)
                self._per_number_ns = min(per_number_ns, self._per_number_ns or per_number_ns)
            self.elapsed_s += interval_ns / 1e9
            return timestamp_ns
        # a new acquisition, or no timestamps at all
        self._offsets_ns.clear()
        self._stepped_ns = 0
        self.elapsed_s += max(0, page.t - last.t) / 1e9
        return round(page.timestamp_s * 1e9)

    def _clock_step_ns(self, last: Frame, page: Frame, timestamp_ns: int) -> int:
        """Return by how much the microscope's clock was set between two pages; 0 if it was not."""
        frames = page.number - last.number
        if frames <= 0 or self._per_number_ns is None:
            return 0
        own_ns = timestamp_ns - self._timestamp_ns
        predicted_ns = round(frames * self._per_number_ns)
        arrived_ns = page.t - last.t
        by_number = abs(arrived_ns - predicted_ns) < abs(arrived_ns - own_ns)
        return own_ns - predicted_ns if by_number and abs(own_ns - predicted_ns) > _STEP_NS else 0
