"""Check that a photodiode sees the patch that the display shows, and measure the delay.

The pattern of the patch does not repeat, so the edges of the photodiode's line match the changes of
the flips at only one delay.
"""

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rig.messages import Edge, Flip

_WINDOW_NS = 1_500_000_000
"""Age above which changes and edges are dropped, ns."""
_LOOK_EVERY_NS = 500_000_000
_SILENT_NS = 1_500_000_000
"""Time without an edge after which the photodiode counts as dead, ns."""
_WITHIN_NS = 2_500_000
"""Largest difference of a flip's delay from the median delay, ns."""
_EARLIEST_NS, _LATEST_NS = -20_000_000, 150_000_000
"""Range of possible delays, ns."""
_FEWEST = 12
"""Smallest number of changes of the patch for a fit."""
_AGREE = 0.8
"""Smallest fraction of changes that one delay must explain."""

Change = tuple[int, bool]
"""Time in ns, and whether the patch is bright (or the line high) from then on."""


class Finding(NamedTuple):
    """A fault of the photodiode: its name, and a sentence."""

    name: str
    text: str


class PhotodiodeCheck:
    """The comparison of one line's edges with the changes of the patch in the last 1.5 s.

    Each finding is returned once, and again only after the check has passed in between.
    """

    def __init__(self, line: str, drift_ms: float) -> None:
        self._line, self._drift_ns = line, drift_ms * 1e6
        self._bright: bool | None = None
        self._changes: deque[Change] = deque()
        self._edges: deque[Change] = deque()
        self._edge_t = self._looked = 0
        self._delay_ns: float | None = None
        """The first delay that explained enough changes."""
        self._last_name: str | None = None

    def flip(self, flip: Flip) -> Finding | None:
        """Add a flip; return a finding if there is a new one."""
        if self._bright is not None and flip.bright != self._bright:
            self._changes.append((flip.t, flip.bright))
        self._bright = flip.bright
        if not self._looked:
            self._looked = self._edge_t = flip.t
        if flip.t - self._looked < _LOOK_EVERY_NS:
            return None
        self._looked = flip.t
        finding = self._look(flip.t)
        new = finding is not None and finding.name != self._last_name
        self._last_name = None if finding is None else finding.name
        return finding if new else None

    def edge(self, edge: Edge) -> None:
        """Add an edge; edges of other lines are ignored."""
        if edge.line == self._line:
            self._edges.append((edge.t, edge.up))
            self._edge_t = max(self._edge_t, edge.t)

    def _look(self, now: int) -> Finding | None:
        for waiting in (self._changes, self._edges):
            while waiting and waiting[0][0] < now - _WINDOW_NS:
                waiting.popleft()
        if now - self._edge_t > _SILENT_NS:
            silent_s = (now - self._edge_t) / 1e9
            text = f"the photodiode ({self._line}) has seen no change for {silent_s:.1f} s; "
            return Finding("photodiode dead", text + "check that it is on the patch and has power")
        # The newest edges may not have arrived yet.
        known_t = min(now - _LATEST_NS, self._edge_t)
        changes = [change for change in self._changes if change[0] < known_t]
        if len(changes) < _FEWEST:
            return None
        delay_ns, share = fit(changes, list(self._edges))
        if share < _AGREE:
            text = f"only {share:.0%} of the changes of the patch are seen on line {self._line}; "
            return Finding("photodiode astray", text + "check its threshold, and stray light")
        if self._delay_ns is None:
            self._delay_ns = delay_ns
        if abs(delay_ns - self._delay_ns) > self._drift_ns:
            text = f"the light comes {delay_ns / 1e6:.1f} ms after the flip, at first "
            text += f"{self._delay_ns / 1e6:.1f} ms; the screen, or its driver, buffers frames"
            return Finding("photodiode drifts", text)
        return None


def fit(changes: list[Change], edges: list[Change]) -> tuple[float, float]:
    """Return the delay (ns) at which most edges match changes to the same level, and the fraction
    matched.

    The fraction is that of the changes, or of the edges if there are more edges than changes.
    """
    gaps = np.concatenate([_gaps(changes, edges, up) for up in (True, False)])
    gaps = np.sort(gaps[(gaps >= _EARLIEST_NS) & (gaps <= _LATEST_NS)])
    if gaps.size == 0:
        return 0.0, 0.0
    after = np.searchsorted(gaps, gaps + 2 * _WITHIN_NS, side="right")
    first = int(np.argmax(after - np.arange(gaps.size)))
    explained = gaps[first : after[first]]
    delay_ns = float(np.median(explained))
    begin, end = changes[0][0] + delay_ns, changes[-1][0] + delay_ns
    among = sum(begin - _WITHIN_NS <= t <= end + _WITHIN_NS for t, _ in edges)
    return delay_ns, explained.size / max(len(changes), among)


def _gaps(changes: list[Change], edges: list[Change], up: bool) -> NDArray[np.int64]:
    shown = np.array([t for t, bright in changes if bright == up], np.int64)
    seen = np.array([t for t, high in edges if high == up], np.int64)
    return (seen[:, None] - shown[None, :]).ravel()
