"""Which edge of the frame clock belongs to which imaging frame: by time and number, never by count.

A frame's number and the microscope's own time of it stand in its page; edges have a time of the
session clock alone. Once the two clocks are known to differ by so much, every page says where its
edge must be. An edge that is not there, or one too many, then changes nothing for the others.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from itertools import pairwise
from typing import Literal, NamedTuple

Finding = Literal[
    "edge lost", "edge doubled", "edge late", "edge early", "edge too much", "page lost"
]
_LOCKED_BY = 5
"""So many pages must agree on how the clocks differ, if there are so many."""
_NEAR = 0.45
"""An edge is a frame's if it is nearer to its time than this part of the time between frames."""
_NEAR_AT_FIRST = 0.2
_SCANNED = 0.5
"""A page cannot be there before this part of its frame is scanned."""
_FOLLOWS = 0.2
"""How much of a difference is believed to be the clocks', which drift against each other."""
_LONE_FRAME_NS = 1_000_000_000
_PAUSE = 3.0
"""The frame clock paused if it was silent for so many frames: what came before was not saved."""
_LAG_EDGES = 150
"""So many edges may have come between an acquisition's first and the first pages heard of."""


class SavedPage(NamedTuple):
    """What is known of a frame by its page."""

    number: int
    """The microscope's count of frames, from 1."""
    tau: int
    """The microscope's own time of it, ns."""
    frame: int
    """Index of the Frame."""
    seen_t: int
    """When the page was there, ns of the session clock."""


class Aligned(NamedTuple):
    """A frame, when it began, and what was wrong with it."""

    number: int
    """0: an edge that is no frame's."""
    frame: int | None
    """None: there is no page."""
    t: int
    """ns of the session clock: its edge, or where that must have been if it was lost or late."""
    edge: bool
    findings: tuple[Finding, ...]


class FrameClockAlignment:
    """Takes edges and pages as they come, and gives back frames in the order of their numbers."""

    def __init__(self, late_ms: float) -> None:
        """An edge farther than late_ms from its frame's time is late, or early."""
        self.spare_edges = False
        """Whether the microscope pulses for frames that it does not save, such as averaged ones."""
        self._late_ns = late_ms * 1e6
        self._edges: list[int] = []
        self._waiting: deque[SavedPage] = deque()
        self._offset: float | None = None
        """Session clock less the microscope's, ns."""
        self._period = 0.0
        self._last: SavedPage | None = None

    def edge(self, t: int) -> None:
        """Take an edge of the frame clock."""
        insort(self._edges, t)

    def page(self, page: SavedPage) -> None:
        """Take a page."""
        self._waiting.append(page)

    @property
    def waits_since(self) -> int | None:
        """The time of the first edge that has no page yet."""
        return self._edges[0] if self._edges else None

    def settle(self, until: int) -> list[Aligned]:
        """Return the frames that are certain: every edge before that time (ns) has been taken."""
        settled: list[Aligned] = []
        while self._waiting and self._waiting[0].seen_t <= until:
            if self._restarts(self._waiting[0]):
                self._offset = self._last = None
            if self._offset is None:
                first = list(self._waiting)[:_LOCKED_BY]
                if len(first) < _LOCKED_BY or first[-1].seen_t > until:
                    break
                self._lock(first)
            settled += self._place(self._waiting.popleft())
        return settled

    def finish(self) -> list[Aligned]:
        """Return what is left: frames that waited for others, and edges without a page."""
        settled: list[Aligned] = []
        while self._waiting:
            if self._offset is None or self._restarts(self._waiting[0]):
                self._last = None
                self._lock(list(self._waiting)[:_LOCKED_BY])
            settled += self._place(self._waiting.popleft())
        number = 0 if self._last is None else self._last.number
        if not self.spare_edges:
            for i, t in enumerate(self._edges, start=1):
                settled.append(Aligned(number + i, None, t, True, ("page lost",)))
        self._edges.clear()
        return settled

    def _restarts(self, page: SavedPage) -> bool:
        """Whether a new acquisition begins, which counts from 1 again."""
        return self._last is not None and page.number <= self._last.number

    def _lock(self, pages: list[SavedPage]) -> None:
        """Find how the clocks differ: as most pages have it, none seen before it was scanned."""
        self._learn_period(pages)
        near, first = _NEAR_AT_FIRST * self._period, pages[0]
        tau_of_1 = first.tau - (first.number - 1) * self._period
        scanned = _SCANNED * self._period if len(pages) > 1 else 0.0
        begins = min(p.seen_t - p.tau for p in pages) - scanned
        edges = self._since_pause(begins + pages[-1].tau)
        # Of so many edges the first is not frame 1's: before the grab the clock only focused.
        focused = len(edges) > _LAG_EDGES
        edges = edges[-_LAG_EDGES:]
        offsets = [t - p.tau for t in edges for p in pages if t - p.tau <= begins]
        if not offsets:  # a frame clock that is silent: each page came as its frame was over
            self._offset = begins - self._period + scanned
            return
        expected = begins if focused else edges[0] - tau_of_1
        best = max(
            offsets,
            key=lambda o: (sum(self._has_edge(o + p.tau, near) for p in pages), -abs(o - expected)),
        )
        misses = [self._nearest(best + p.tau, near) for p in pages]
        known = sorted(t - best - p.tau for t, p in zip(misses, pages, strict=True) if t)
        self._offset = best + known[len(known) // 2]

    def _since_pause(self, until: float) -> list[int]:
        """Return the edges up to a time, without those before the last pause of the frame clock."""
        edges = self._edges[: bisect_right(self._edges, until)]
        pauses = (i for i in range(len(edges) - 1, 0, -1) if self._paused(*edges[i - 1 : i + 1]))
        return edges[next(pauses, 0) :]

    def _paused(self, before: int, after: int) -> bool:
        return after - before > _PAUSE * self._period

    def _learn_period(self, pages: list[SavedPage]) -> None:
        """Take the shortest time between frames, of these pages or of those before."""
        times = [
            (b.tau - a.tau) / (b.number - a.number)
            for a, b in pairwise(pages)
            if b.number > a.number and b.tau > a.tau
        ]
        if times:
            self._period = min([*times, self._period or times[0]])
        self._period = self._period or _LONE_FRAME_NS

    def _place(self, page: SavedPage) -> list[Aligned]:
        """Give a page its edge, after the frames and edges that come before it."""
        self._learn_period([page] if self._last is None else [self._last, page])
        due = (self._offset or 0.0) + page.tau
        near = _NEAR * self._period
        settled = self._missing(page, near)
        settled += self._strays(due - near)
        settled.append(self._frame(page.number, page.frame, due, near))
        self._last = page
        return settled

    def _frame(self, number: int, frame: int | None, due: float, near: float) -> Aligned:
        """Take what edges there are of a frame that is due, and say what is wrong."""
        findings: list[Finding] = ["page lost"] if frame is None else []
        edge = self._nearest(due, near)
        late_ns = 0.0 if edge is None else edge - due
        t = due if edge is None or abs(late_ns) > self._late_ns else edge
        if edge is None:
            findings.append("edge lost")
        elif abs(late_ns) > self._late_ns:
            findings.append("edge late" if late_ns > 0 else "edge early")
        else:
            self._offset = (self._offset or 0.0) + _FOLLOWS * late_ns
        if self._take(due - near, due + near) > 1:
            findings.append("edge doubled")
        return Aligned(number, frame, round(t), edge is not None, tuple(findings))

    def _missing(self, page: SavedPage, near: float) -> list[Aligned]:
        """Name the frames between the last page and this one."""
        if self.spare_edges:
            return []
        missing: list[Aligned] = []
        last = self._last
        step = self._period
        number = 0 if last is None else last.number
        if last is not None and page.number > last.number:
            step = (page.tau - last.tau) / (page.number - last.number)
        for lost in range(number + 1, page.number):
            due = (self._offset or 0.0) + page.tau - (page.number - lost) * step
            if last is None and self._nearest(due, near) is None:
                continue  # it was scanned before anybody counted
            missing += self._strays(due - near)
            missing.append(self._frame(lost, None, due, near))
        return missing

    def _strays(self, before: float) -> list[Aligned]:
        """Take the edges before that time, which belong to no frame."""
        strays = [t for t in self._edges if t < before]
        del self._edges[: len(strays)]
        if self.spare_edges:
            return []
        return [Aligned(0, None, t, True, ("edge too much",)) for t in strays]

    def _take(self, since: float, until: float) -> int:
        """Take the edges between two times; return how many there were."""
        taken = [t for t in self._edges if since <= t <= until]
        self._edges = [t for t in self._edges if not since <= t <= until]
        return len(taken)

    def _has_edge(self, due: float, near: float) -> bool:
        return self._nearest(due, near) is not None

    def _nearest(self, due: float, near: float) -> int | None:
        """Return the edge nearest to a time, if it is near enough."""
        at = bisect_left(self._edges, due)
        found = min(self._edges[max(0, at - 1) : at + 1], key=lambda t: abs(t - due), default=None)
        return found if found is not None and abs(found - due) <= near else None
