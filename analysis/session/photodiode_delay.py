"""Measure the delay from each flip to its light at the photodiode."""

import numpy as np
from numpy.typing import NDArray

from analysis.session.session import Session

Floats = NDArray[np.float64]

_EARLIEST_S, _LATEST_S = -0.02, 0.15
"""Bounds of the delay from flip to light, seconds."""
_CLUSTER_S = 0.005
"""Width of the window that contains most delays of one session, seconds."""
_NEAR_S = 0.008
"""Largest difference from the usual delay, seconds: half a refresh at 60 Hz."""


def photodiode_delays_s(session: Session) -> Floats:
    """Return the time from each flip that changed the photodiode's patch to its light, s.

    The patch changes in a pattern that does not repeat. The usual delay is the densest cluster of
    all differences between an edge and a flip of the same direction. Each flip is then matched to
    the edge nearest to the flip's time plus the usual delay. Flips without a near edge are left
    out. Empty without a photodiode.
    """
    line = session.settings.get("nodes", {}).get("integrity", {}).get("photodiode", "")
    edges, flips = session.edges[session.edges.line == line], session.flips
    if not len(edges) or not len(flips):
        return np.empty(0)
    bright = flips.bright.to_numpy(dtype=bool)
    changed = np.flatnonzero(np.diff(bright)) + 1
    changes = [
        (flips.t_s.to_numpy()[changed[bright[changed] == up]], edges.t_s[edges.up == up].to_numpy())
        for up in (True, False)
    ]
    usual = _usual_delay(np.concatenate([_differences(*pair) for pair in changes]))
    if usual is None:
        return np.empty(0)
    return np.concatenate([_matched(shown, seen, usual) for shown, seen in changes])


def _differences(shown: Floats, seen: Floats) -> Floats:
    """Return every difference seen - shown within the bounds of the delay."""
    first, last = (np.searchsorted(seen, shown + bound) for bound in (_EARLIEST_S, _LATEST_S))
    counts = last - first
    begins = np.cumsum(counts) - counts
    at = np.arange(counts.sum()) - np.repeat(begins - first, counts)
    return np.asarray(seen[at] - np.repeat(shown, counts))


def _usual_delay(differences: Floats) -> float | None:
    """Return the median of the densest cluster of differences; None without any."""
    ordered = np.sort(differences)
    if not ordered.size:
        return None
    after = np.searchsorted(ordered, ordered + _CLUSTER_S, side="right")
    first = int(np.argmax(after - np.arange(ordered.size)))
    return float(np.median(ordered[first : after[first]]))


def _matched(shown: Floats, seen: Floats, usual_s: float) -> Floats:
    """Return the delay of each flip whose edge is near the usual delay."""
    if not shown.size or not seen.size:
        return np.empty(0)
    due = shown + usual_s
    right = np.clip(np.searchsorted(seen, due), 1, seen.size) - 1
    nearest = np.where(
        np.abs(seen[right] - due) <= np.abs(seen[np.minimum(right + 1, seen.size - 1)] - due),
        seen[right],
        seen[np.minimum(right + 1, seen.size - 1)],
    )
    is_near = np.abs(nearest - due) <= _NEAR_S
    return np.asarray((nearest - shown)[is_near])
