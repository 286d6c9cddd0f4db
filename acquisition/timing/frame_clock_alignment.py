"""Match edges of the frame clock with imaging frames by time and number, not by counting edges.

The page of a frame contains its number and the microscope's timestamp; an edge has only a time of
the session clock. Once the offset between the two clocks is known, every page gives the expected
time of its edge. A missing or an extra edge then does not affect other frames.
"""

import statistics
from bisect import bisect_left, bisect_right, insort
from collections import deque
from itertools import pairwise
from typing import Literal, NamedTuple

Finding = Literal[
    "edge lost",
    "edge doubled",
    "edge late",
    "edge early",
    "edge too much",
    "page lost",
    "clock step",
]

# The period is the time between two frames. The next four are fractions of it.
_NEAR = 0.45
"""Largest distance of an edge from the expected time of its frame, in periods."""
_NEAR_WHILE_LOCKING = 0.2
"""The same while the clock offset is not known yet; a wrong match would then last."""
_SAVED_AFTER = 0.5
"""Earliest time at which a page can be on disk, in periods after the start of its frame."""
_STEP = 0.5
"""Smallest deviation that is a step of the microscope's clock if there are no edges, in periods."""

_LOCK_PAGES = 5
"""Number of pages that vote on the clock offset; fewer if an acquisition has fewer."""
_PAUSE_FRAMES = 3.0
"""Silence of the frame clock, in periods, that counts as a pause; edges before it had no pages."""
_MOST_EDGES_BEFORE_PAGES = 150
"""If there are more edges than this before the first pages, the microscope was focusing."""

_DRIFT_GAIN = 0.2
"""Fraction of an edge's deviation that is added to the clock offset, to follow drift."""
_LONE_FRAME_NS = 1_000_000_000
"""Period that is assumed if there is only one page, ns."""


class SavedPage(NamedTuple):
    """The number and times of a frame's page."""

    number: int
    """The microscope's number of the frame, from 1."""
    timestamp_ns: int
    """The microscope's timestamp of the frame, ns."""
    frame: int
    """Index of the Frame message."""
    seen_t: int
    """Session time at which the page was found on disk, ns."""


class AlignedFrame(NamedTuple):
    """A frame, its start, and its findings."""

    number: int
    """The microscope's number of the frame; 0 for an edge that belongs to no frame."""
    frame: int | None
    """Index of the Frame message; None if the frame has no page."""
    t: int
    """Start of the frame, ns: its edge, or the expected time if the edge was lost, late or early.
    """
    edge: bool
    findings: tuple[Finding, ...]
    step_ns: float = 0.0
    """Step of the microscope's clock before this frame, ns."""


class FrameClockAlignment:
    """The matching of edges and pages; frames are returned in the order of their numbers."""

    def __init__(self, late_ms: float) -> None:
        """Start; an edge more than late_ms from its frame's expected time is late or early."""
        self.spare_edges = False
        """True if the frame clock has edges for frames that are not saved, as with averaging."""
        self._late_ns = late_ms * 1e6
        self._edges: list[int] = []
        self._waiting: deque[SavedPage] = deque()
        self._offset: float | None = None
        """Session clock minus the microscope's clock, ns; None while it is not known."""
        self._period = 0.0
        self._stepped = 0.0
        """Sum of the steps of the microscope's clock in this acquisition, ns."""
        self._last: SavedPage | None = None
        """The last matched page; its time is without the steps."""

    def add_edge(self, t: int) -> None:
        """Add an edge of the frame clock at t (ns of the session clock)."""
        insort(self._edges, t)

    def add_page(self, page: SavedPage) -> None:
        """Add a page."""
        self._waiting.append(page)

    @property
    def waits_since(self) -> int | None:
        """Time of the first edge that has no page yet, ns; None without such an edge."""
        return self._edges[0] if self._edges else None

    def align(self, until: int) -> list[AlignedFrame]:
        """Return the frames that are certain, given that all edges before `until` (ns) arrived."""
        aligned: list[AlignedFrame] = []
        while self._waiting and self._waiting[0].seen_t <= until:
            if self._restarts(self._waiting[0]):
                self._forget()
            if self._offset is None:
                first = list(self._waiting)[:_LOCK_PAGES]
                if len(first) < _LOCK_PAGES or first[-1].seen_t > until:
                    break
                self._lock(first)
            aligned += self._place(self._waiting.popleft())
        return aligned

    def finish(self) -> list[AlignedFrame]:
        """Return the remaining frames, and the edges without a page."""
        aligned: list[AlignedFrame] = []
        while self._waiting:
            if self._offset is None or self._restarts(self._waiting[0]):
                self._forget()
                self._lock(list(self._waiting)[:_LOCK_PAGES])
            aligned += self._place(self._waiting.popleft())
        number = 0 if self._last is None else self._last.number
        if not self.spare_edges:
            for i, t in enumerate(self._edges, start=1):
                aligned.append(AlignedFrame(number + i, None, t, True, ("page lost",)))
        self._edges.clear()
        return aligned

    def _restarts(self, page: SavedPage) -> bool:
        """Return True if a new acquisition begins, whose numbers start at 1 again."""
        return self._last is not None and page.number <= self._last.number

    def _forget(self) -> None:
        """Drop the clock offset, for a new acquisition."""
        self._offset = self._last = None
        self._stepped = 0.0

    def _lock(self, pages: list[SavedPage]) -> None:
        """Find the clock offset from an acquisition's first pages and the edges so far.

        1. Each pair of an edge and a page proposes an offset: the edge minus the page's timestamp.
           Offsets at which a page was on disk before its frame was scanned are excluded.
        2. Each page votes for the offsets at which it has an edge near its expected time.
        3. The offset with most votes is chosen; if there are several, the one nearest to a guess.
           The guess is that the first edge after the last pause is that of frame 1, or, if the
           microscope was focusing before, that pages arrived as early as possible.
        4. The offset is corrected by the median deviation of the edges that it explains.

        Without edges, it is assumed that pages arrived as early as possible.
        """
        pages = self._without_steps(pages)
        self._learn_period(pages)
        near, first = _NEAR_WHILE_LOCKING * self._period, pages[0]
        scanned = _SAVED_AFTER * self._period if len(pages) > 1 else 0.0
        latest = min(p.seen_t - p.timestamp_ns for p in pages) - scanned
        edges = self._since_pause(latest + pages[-1].timestamp_ns)
        focused = len(edges) > _MOST_EDGES_BEFORE_PAGES
        edges = edges[-_MOST_EDGES_BEFORE_PAGES:]
        offsets = [o for t in edges for p in pages if (o := t - p.timestamp_ns) <= latest]
        if not offsets:
            self._offset = latest - self._period + scanned
            return
        frame_1_ns = first.timestamp_ns - (first.number - 1) * self._period
        guess = latest if focused else edges[0] - frame_1_ns

        def votes(offset: float) -> int:
            times = (offset + p.timestamp_ns for p in pages)
            return sum(self._nearest(t, near) is not None for t in times)

        best = max(offsets, key=lambda offset: (votes(offset), -abs(offset - guess)))
        matches = [(p, self._nearest(best + p.timestamp_ns, near)) for p in pages]
        deviations = sorted(t - best - p.timestamp_ns for p, t in matches if t is not None)
        self._offset = best + deviations[len(deviations) // 2]

    def _without_steps(self, pages: list[SavedPage]) -> list[SavedPage]:
        """Return pages with the steps of the microscope's clock among them removed."""
        rates = [_rate(a, b) for a, b in pairwise(pages) if b.number > a.number]
        period = statistics.median_low(rates) if rates else 0.0
        continuous, stepped = pages[:1], 0.0
        for page in pages[1:]:
            moved = _moved(page, stepped)
            step = _deviation(continuous[-1], moved, period)
            elapsed = page.seen_t - continuous[-1].seen_t
            own = moved.timestamp_ns - continuous[-1].timestamp_ns
            if abs(step) > _STEP * period and abs(elapsed - own + step) < abs(elapsed - own):
                stepped += step
                moved = _moved(page, stepped)
            continuous.append(moved)
        return continuous

    def _since_pause(self, until: float) -> list[int]:
        """Return the edges up to a time, without those before the last pause of the frame clock."""
        edges = self._edges[: bisect_right(self._edges, until)]
        pauses = (i for i in range(len(edges) - 1, 0, -1) if self._paused(*edges[i - 1 : i + 1]))
        return edges[next(pauses, 0) :]

    def _paused(self, before: int, after: int) -> bool:
        return after - before > _PAUSE_FRAMES * self._period

    def _learn_period(self, pages: list[SavedPage]) -> None:
        """Set the period to the shortest time between frames, of these pages or of earlier ones."""
        rates = [
            _rate(a, b)
            for a, b in pairwise(pages)
            if b.number > a.number and b.timestamp_ns > a.timestamp_ns
        ]
        if rates:
            self._period = min([*rates, self._period or rates[0]])
        self._period = self._period or _LONE_FRAME_NS

    def _place(self, page: SavedPage) -> list[AlignedFrame]:
        """Match a page with its edge; return it after the frames and edges that come before it."""
        page = _moved(page, self._stepped)
        step_ns = self._step(page)
        if step_ns:
            self._stepped += step_ns
            page = _moved(page, step_ns)
        self._learn_period([page] if self._last is None else [self._last, page])
        expected = self._expected(page)
        near = _NEAR * self._period
        aligned = self._missing(page, near)
        aligned += self._extra_edges(expected - near)
        frame = self._frame(page.number, page.frame, expected, near)
        if step_ns:
            frame = frame._replace(findings=("clock step", *frame.findings), step_ns=step_ns)
        self._last = page
        return [*aligned, frame]

    def _expected(self, page: SavedPage) -> float:
        return (self._offset or 0.0) + page.timestamp_ns

    def _step(self, page: SavedPage) -> float:
        """Return the step of the microscope's clock before a page, ns; 0 if there was none.

        The time of a page is predicted from the number and time of the page before. A deviation
        from the prediction is a step of the clock in three cases: there is an edge at the predicted
        time and none at the page's timestamp; or, by its timestamp, the page was scanned after it
        was on disk; or it was scanned sooner than a frame can follow another. Otherwise the
        microscope paused.
        """
        if self._last is None or not self._period:
            return 0.0
        step = _deviation(self._last, page, self._period)
        if abs(step) <= self._late_ns:
            return 0.0
        own = self._expected(page)
        foretold_edge = self._nearest(own - step, self._late_ns)
        if foretold_edge is not None and self._nearest(own, self._late_ns) is None:
            return step
        too_soon = step < -_STEP * self._period
        not_scanned = step > 0 and own + _SAVED_AFTER * self._period > page.seen_t
        return step if too_soon or not_scanned else 0.0

    def _frame(self, number: int, frame: int | None, expected: float, near: float) -> AlignedFrame:
        """Return a frame that is expected at a time (ns), with the findings on its edges."""
        findings: list[Finding] = ["page lost"] if frame is None else []
        edge = self._nearest(expected, near)
        late_ns = 0.0 if edge is None else edge - expected
        t = expected if edge is None or abs(late_ns) > self._late_ns else edge
        if edge is None:
            findings.append("edge lost")
        elif abs(late_ns) > self._late_ns:
            findings.append("edge late" if late_ns > 0 else "edge early")
        else:
            self._offset = (self._offset or 0.0) + _DRIFT_GAIN * late_ns
        if self._remove_edges(expected - near, expected + near) > 1:
            findings.append("edge doubled")
        return AlignedFrame(number, frame, round(t), edge is not None, tuple(findings))

    def _missing(self, page: SavedPage, near: float) -> list[AlignedFrame]:
        """Return the frames between the last page and this one, which have no page."""
        if self.spare_edges:
            return []
        missing: list[AlignedFrame] = []
        last = self._last
        between = self._period
        number = 0 if last is None else last.number
        if last is not None and page.number > last.number:
            between = _rate(last, page)
        for lost in range(number + 1, page.number):
            expected = self._expected(page) - (page.number - lost) * between
            if last is None and self._nearest(expected, near) is None:
                continue  # scanned before the first counted frame
            missing += self._extra_edges(expected - near)
            missing.append(self._frame(lost, None, expected, near))
        return missing

    def _extra_edges(self, before: float) -> list[AlignedFrame]:
        """Remove and return the edges before a time, which belong to no frame."""
        extra = [t for t in self._edges if t < before]
        del self._edges[: len(extra)]
        if self.spare_edges:
            return []
        return [AlignedFrame(0, None, t, True, ("edge too much",)) for t in extra]

    def _remove_edges(self, since: float, until: float) -> int:
        """Remove the edges between two times; return their number."""
        found = [t for t in self._edges if since <= t <= until]
        self._edges = [t for t in self._edges if not since <= t <= until]
        return len(found)

    def _nearest(self, expected: float, near: float) -> int | None:
        """Return the edge nearest to a time, if it is near enough."""
        at = bisect_left(self._edges, expected)
        around = self._edges[max(0, at - 1) : at + 1]
        found = min(around, key=lambda t: abs(t - expected), default=None)
        return found if found is not None and abs(found - expected) <= near else None


def _rate(a: SavedPage, b: SavedPage) -> float:
    """Return the time from frame to frame between two pages, ns."""
    return (b.timestamp_ns - a.timestamp_ns) / (b.number - a.number)


def _deviation(last: SavedPage, page: SavedPage, period: float) -> float:
    """Return how much later a page's timestamp is than predicted from its number, ns."""
    return page.timestamp_ns - last.timestamp_ns - (page.number - last.number) * period


def _moved(page: SavedPage, step_ns: float) -> SavedPage:
    """Return a page with a step (ns) subtracted from its time."""
    return page._replace(timestamp_ns=round(page.timestamp_ns - step_ns))
