"""Selectivity: the running d' of every cell between two stimuli, exact after every frame.

d' = 2 (mean_A - mean_B) / (sd_A + sd_B), with population standard deviations, over the frames in
which the corridor moved and the mouse was in the texture (Zhong et al., 2025). Undefined values are
NaN.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import NAMES
from analysis.jit import compiled
from analysis.signals.moments import TrialMoments, d_prime

Contrast = tuple[str, str]
"""Stimulus A and stimulus B."""

THRESHOLDS = tuple(tenths / 10 for tenths in range(1, 11))
"""Smallest |d'| at which a cell counts as selective, in the order of `fractions`."""
SIGNS = ("both", "A", "B")
"""Which cells are counted, in the order of `fractions`: selective for A or B, for A, for B."""


class Selectivity:
    """The running d' of each contrast, from the frames of all trials that were not dropped."""

    def __init__(self, contrasts: Sequence[Contrast], cells: int) -> None:
        """Start before the first frame."""
        self.contrasts = tuple(contrasts)
        stimuli = {stimulus for contrast in contrasts for stimulus in contrast}
        self._moments = TrialMoments(sorted(stimuli), cells)

    def add_frame(self, trial: int, stimulus: str, activity: NDArray[np.float32]) -> None:
        """Add a moving texture frame, (cells,), of a trial; frames are added in order."""
        self._moments.add(trial, stimulus, activity)

    def drop_trial(self, trial: int) -> None:
        """Remove the frames of the latest trial."""
        self._moments.drop_trial(trial)

    def d_prime(self) -> NDArray[np.float64]:
        """Return d' of each cell: (contrasts, cells).

        NaN where a stimulus has no frame yet, or where the cell never varied in either.
        """
        rows = [d_prime(self._moments[a], self._moments[b]) for a, b in self.contrasts]
        return np.array(rows, np.float64)

    def undefined(self) -> str:
        """Return why d' is undefined for all cells in some contrast; empty if there is none."""
        stimuli = dict.fromkeys(stimulus for contrast in self.contrasts for stimulus in contrast)
        missing = [name for name in stimuli if not self._moments[name].count]
        return f"no moving texture frame yet of {', '.join(missing)}" if missing else ""


def selective_fraction(d_prime: NDArray[Any], at: float) -> float | None:
    """Return the fraction of all cells with |d'| >= at; None if d' is undefined for every cell."""
    if np.isnan(d_prime).all():
        return None
    return float(np.mean(reaches(d_prime, at)))


def reaches(d_prime: NDArray[Any], at: float) -> NDArray[np.bool_]:
    """Return a mask of the cells with |d'| >= at: (cells,).

    Both are compared as float32, as d' is published: 0.7 is a little less there.
    """
    return np.asarray(np.abs(np.asarray(d_prime, np.float32)) >= np.float32(at))


def fractions(d_prime: NDArray[np.float32], groups: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the fraction of selective cells by area group, sign and threshold.

    The denominator is all cells of a group, including cells with an undefined d', as in the
    publication; `defined_counts` returns the numbers of cells with a defined d'.

    Args:
        d_prime: (cells,)
        groups: Index of each cell's group in areas.NAMES: (cells,). The first is all cells.

    Returns:
        (NAMES, SIGNS, THRESHOLDS); NaN for a group without cells.
    """
    counts = np.zeros((len(NAMES), 2, len(THRESHOLDS) + 1), np.int64)
    _count(d_prime, groups, np.array(THRESHOLDS, np.float32), counts)
    counts[0] = counts.sum(axis=0)
    reached = counts[:, :, ::-1].cumsum(axis=2)[:, :, ::-1][:, :, 1:]
    each = np.concatenate([reached.sum(axis=1, keepdims=True), reached], axis=1)
    cells = np.bincount(groups, minlength=len(NAMES))
    cells[0] = groups.size
    out = np.full(each.shape, np.nan)
    np.divide(each, cells[:, None, None], out=out, where=cells[:, None, None] > 0)
    return out.astype(np.float32)


def defined_counts(d_prime: NDArray[np.float32], groups: NDArray[np.uint8]) -> tuple[int, ...]:
    """Return the number of cells of each group of areas.NAMES whose d' is defined."""
    counts = np.bincount(groups[~np.isnan(d_prime)], minlength=len(NAMES))
    counts[0] = counts.sum()
    return tuple(counts.tolist())


@compiled
def _count(
    d_prime: NDArray[np.float32],
    groups: NDArray[np.uint8],
    thresholds: NDArray[np.float32],
    counts: NDArray[np.int64],
) -> None:
    """Count cells by group, sign, and number of thresholds that |d'| reaches."""
    for c in range(d_prime.size):
        value = abs(d_prime[c])
        if np.isnan(value):
            continue
        reached = 0
        while reached < thresholds.size and value >= thresholds[reached]:
            reached += 1
        counts[groups[c], 1 if d_prime[c] < 0.0 else 0, reached] += 1
