"""Coding direction: the cells of an area that best separate stimulus A from B, and a projection.

The cells are chosen in even trials by d' over moving texture frames, among those whose mean texture
activity, for A or for B, is above that in grey: the top and the bottom 5 %. Interpolated activity x
is normalised as 2 (x - g) / (sd_A + sd_B); g is the mean over bins 42-51 of all trials, sd_A and
sd_B are over bins 0-39 of all trials of A and of B. The projection is the mean over the top cells
minus the mean over the bottom cells. It is shown for odd trials of A and B and for all trials of
other stimuli (Zhong et al., 2025).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.signals.moments import Moments, TrialMoments, d_prime
from analysis.signals.selectivity import Contrast

Values = NDArray[np.float64]
Chosen = NDArray[np.bool_]

TEXTURE_BINS = slice(0, 40)
GREY_BINS = slice(42, 52)
"""Bins in the grey space whose mean is subtracted."""
BINS_BEFORE = 10
"""Number of bins (1 m) of the previous trial's grey space with which a projection begins."""
TAIL_PERCENT = 5.0
"""Percent of the cells more active in texture that form the top set, and the bottom set."""


class EvenTrials:
    """Running moments of the moving frames of even trials, in the texture and in grey."""

    def __init__(self, contrasts: tuple[Contrast, ...], cells: int) -> None:
        stimuli = sorted({stimulus for contrast in contrasts for stimulus in contrast})
        self._moments = TrialMoments([*(("texture", s) for s in stimuli), "grey"], cells)

    def add_frame(
        self, trial: int, index: int, stimulus: str, in_texture: bool, activity: NDArray[np.float32]
    ) -> None:
        """Add a moving frame of a trial; index counts the completed trials from 0."""
        if index % 2 == 0:
            key = ("texture", stimulus) if in_texture else "grey"
            self._moments.add(trial, key, activity)

    def drop_trial(self, trial: int) -> None:
        """Remove the frames of the latest trial."""
        self._moments.drop_trial(trial)

    def choose(self, contrast: Contrast, members: Chosen) -> "Sets":
        """Return the top and the bottom cells of an area, given as a mask: (cells,)."""
        a, b = (self._moments["texture", stimulus] for stimulus in contrast)
        grey = self._moments["grey"].mean()
        return choose_sets(d_prime(a, b), a.mean(), b.mean(), grey, members)


@dataclass(frozen=True)
class Sets:
    """The indices of the cells that define a coding direction."""

    top: NDArray[np.intp]
    bottom: NDArray[np.intp]


def choose_sets(d_prime: Values, a: Values, b: Values, grey: Values, members: Chosen) -> Sets:
    """Return the top and bottom cells of an area.

    Args:
        d_prime: d' in even trials; cells where it is undefined are left out: (cells,).
        a: Mean texture activity in even trials of A: (cells,).
        b: The same for B.
        grey: Mean activity in grey in even trials: (cells,).
        members: True for the cells of the area: (cells,).
    """
    active = np.flatnonzero(members & ((a > grey) | (b > grey)) & ~np.isnan(d_prime))
    if not active.size:
        return Sets(active, active)
    values = d_prime[active]
    low, high = np.percentile(values, [TAIL_PERCENT, 100.0 - TAIL_PERCENT])
    return Sets(active[values >= high], active[values <= low])


@dataclass(frozen=True)
class Direction:
    """A weighted sum of cells: the projection of x is x[cells] @ weights - offset."""

    cells: NDArray[np.intp]
    weights: Values
    offset: float
    """Subtracted from the weighted sum; NaN if the direction is undefined."""

    def among(self, cells: NDArray[np.intp]) -> "Direction":
        """Return this direction for rows that contain only the given cells, sorted by index."""
        return Direction(np.searchsorted(cells, self.cells), self.weights, self.offset)

    def project(self, rows: NDArray[np.float32] | Values) -> Values:
        """Return the projection of rows of interpolated activity, (rows, cells): (rows,)."""
        if np.isnan(self.offset):
            return np.full(len(rows), np.nan)
        return np.asarray(rows[:, self.cells].astype(np.float64) @ self.weights - self.offset)


def direction(sets: Sets, sd_sum: Values, grey: Values) -> Direction:
    """Return the direction of two sets of cells.

    Args:
        sets: The cells. Cells that never vary in A or B are left out.
        sd_sum: sd_A + sd_B of interpolated activity: (cells,).
        grey: Mean interpolated activity in the grey bins: (cells,).
    """
    top, bottom = (cells[sd_sum[cells] > 0] for cells in (sets.top, sets.bottom))
    cells = np.concatenate([top, bottom])
    if not top.size or not bottom.size:
        return Direction(cells[:0], np.zeros(0), np.nan)
    shares = np.concatenate(
        [np.full(top.size, 1 / top.size), np.full(bottom.size, -1 / bottom.size)]
    )
    weights = 2.0 * shares / sd_sum[cells]
    return Direction(cells, weights, float(grey[cells] @ weights))


def mean_direction(cells: NDArray[np.intp], moments: Moments) -> Direction:
    """Return the direction whose projection is the mean z-scored activity of cells.

    Args:
        cells: Indices of the cells. Cells that never vary are left out.
        moments: Mean and standard deviation of all cells.
    """
    sd = moments.sd()[cells]
    varies = sd > 0
    kept, sd = cells[varies], sd[varies]
    if not kept.size:
        return Direction(kept, np.zeros(0), np.nan)
    weights = 1.0 / (sd * kept.size)
    return Direction(kept, weights, float(moments.mean()[kept] @ weights))


def is_shown(stimulus: str, index: int, contrast: Contrast) -> bool:
    """Return True if a trial has a projection, because it was not used to choose the cells."""
    return stimulus not in contrast or index % 2 == 1
