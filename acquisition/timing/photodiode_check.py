"""Check that a photodiode sees the patch that the display shows, and measure the delay.

The pattern of the patch does not repeat, so that only one delay matches the edges of the
photodiode's line with the changes that the flips announce.
"""

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rig.messages import Edge, Flip

_WINDOW_NS = 1_500_000_000
"""Changes and edges older than this are forgotten."""
_LOOK_EVERY_NS = 500_000_000
_SILENT_NS = 1_500_000_000
"""The photodiode is dead if it has had no edge for this long."""
_WITHIN_NS = 2_500_000
"""Delays from flip to flip may differ from their median by this much."""
_EARLIEST_NS, _LATEST_NS = -20_000_000, 150_000_000
"""Range of possible delays."""
_FEWEST = 12
"""Changes of the patch needed for a fit."""
_AGREE = 0.8
"""Fraction of changes that one delay must explain."""

Change = tuple[int, bool]
"""Time in ns, and whether it is bright (or high) from then on."""


class Finding(NamedTuple):
    """A fault of the photodiode: its name, and a sentence."""

    name: str
    text: str


class PhotodiodeCheck:
    """Match the edges of one line with the changes of the patch over the last 1.5 s.

    Each finding is returned once, and again only if everything was in order in between.
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
        """Take a flip; return what has been found wrong, if that is new."""
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
        """Take an edge of any line."""
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
    """Return the delay (ns) that matches most edges with changes to the same level, and a fraction.

    The fraction matched is that of the changes or, if there are more, of the edges among them.
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
