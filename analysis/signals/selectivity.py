"""Selectivity: the running d' of every cell between two stimuli, exact after every frame.

d' = 2 (mean_A - mean_B) / (sd_A + sd_B), population standard deviations, over the frames in which
the corridor moved and the mouse was in the texture. Undefined values are NaN.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import NAMES
from analysis.jit import compiled

Values = NDArray[np.float64]

THRESHOLDS = tuple(tenths / 10 for tenths in range(1, 11))
"""From which |d'| on a cell counts as selective, in the order in which fractions list them."""
SIGNS = ("both", "A", "B")
"""Selective for either stimulus, for A only, for B only."""


class Moments:
    """Running mean and sum of squared deviations of every cell (Welford, float64).

    Plain sums of squares would leave a little variance in a cell that never changes, and so turn
    an undefined d' into a huge one; float32 sums are off by more than the signals may be.
    """

    def __init__(self, cells: int) -> None:
        self.frames = 0
        self._mean = np.zeros(cells)
        self._squares = np.zeros(cells)

    def add(self, traces: NDArray[np.float32]) -> None:
        """Take in one frame: (cells,)."""
        self.frames += 1
        _add(traces, 1.0 / self.frames, self._mean, self._squares)

    def copy(self) -> "Moments":
        """Return the same state, which later frames leave as it is."""
        other = Moments(0)
        other.frames = self.frames
        other._mean, other._squares = self._mean.copy(), self._squares.copy()
        return other

    def mean(self) -> Values:
        """Return each cell's mean; NaN before the first frame."""
        return self._mean if self.frames else np.full_like(self._mean, np.nan)

    def sd(self) -> Values:
        """Return each cell's population standard deviation; NaN before the first frame."""
        if not self.frames:
            return np.full_like(self._squares, np.nan)
        return np.sqrt(self._squares / self.frames)


@compiled
def _add(traces: NDArray[np.float32], share: float, mean: Values, squares: Values) -> None:
    for c in range(traces.size):
        off = traces[c] - mean[c]
        mean[c] += off * share
        squares[c] += off * (traces[c] - mean[c])


class Selectivity:
    """The running d' of stimulus A against B; an aborted trial can be taken back whole."""

    def __init__(self, a: str, b: str, cells: int) -> None:
        self._moments = {a: Moments(cells), b: Moments(cells)}
        self._a, self._b = a, b
        self._trial = -1
        self._before = self._copy()
        self._aborted: set[int] = set()

    def add(self, trial: int, stimulus: str, traces: NDArray[np.float32]) -> None:
        """Take in a moving texture frame of a trial; frames come in order of trials."""
        if stimulus not in self._moments or trial in self._aborted:
            return
        if trial != self._trial:
            self._trial, self._before = trial, self._copy()
        self._moments[stimulus].add(traces)

    def abort(self, trial: int) -> None:
        """Forget the frames of a trial, and leave out those that still come."""
        self._aborted.add(trial)
        if trial == self._trial:
            self._moments = self._before
            self._before = self._copy()

    def d_prime(self) -> NDArray[np.float32]:
        """Return d' of each cell; NaN where a stimulus is not seen yet, or neither varies."""
        a, b = self._moments[self._a], self._moments[self._b]
        d_prime = np.empty(a._mean.size, np.float32)
        _d_prime(a.mean(), a.sd(), b.mean(), b.sd(), d_prime)
        return d_prime

    def undefined(self) -> str:
        """Return why d' is defined for no cell, if it is: which stimulus has not been seen."""
        unseen = [name for name in (self._a, self._b) if not self._moments[name].frames]
        return f"no moving texture frame yet of {' and '.join(unseen)}" if unseen else ""

    def _copy(self) -> dict[str, Moments]:
        return {stimulus: moments.copy() for stimulus, moments in self._moments.items()}


@compiled
def _d_prime(
    mean_a: Values, sd_a: Values, mean_b: Values, sd_b: Values, d_prime: NDArray[np.float32]
) -> None:
    for c in range(d_prime.size):
        spread = sd_a[c] + sd_b[c]
        d_prime[c] = 2.0 * (mean_a[c] - mean_b[c]) / spread if spread > 0.0 else np.nan


def selective_fraction(d_prime: NDArray[Any], at: float) -> float | None:
    """Return the share of cells with |d'| >= at among those defined; None if none is."""
    defined = d_prime[~np.isnan(d_prime)]
    if not defined.size:
        return None
    return float(np.mean(np.abs(defined.astype(np.float64)) >= at))


def fractions(d_prime: NDArray[np.float32], groups: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the share of selective cells among the defined ones: (NAMES, SIGNS, THRESHOLDS).

    groups is each cell's place in areas.NAMES; the first group is all cells. NaN where no cell
    is defined.
    """
    counts = np.zeros((len(NAMES), 2, len(THRESHOLDS) + 1), np.int64)
    defined = np.zeros(len(NAMES), np.int64)
    _count(d_prime, groups, counts, defined)
    counts[0], defined[0] = counts.sum(axis=0), defined.sum()
    reached = counts[:, :, ::-1].cumsum(axis=2)[:, :, ::-1][:, :, 1:]
    each = np.concatenate([reached.sum(axis=1, keepdims=True), reached], axis=1)
    shares = np.full(each.shape, np.nan)
    np.divide(each, defined[:, None, None], out=shares, where=defined[:, None, None] > 0)
    return shares.astype(np.float32)


@compiled
def _count(
    d_prime: NDArray[np.float32],
    groups: NDArray[np.uint8],
    counts: NDArray[np.int64],
    defined: NDArray[np.int64],
) -> None:
    """Count cells by group, sign, and how many of the thresholds, which are tenths, they reach."""
    most = counts.shape[2] - 1
    for c in range(d_prime.size):
        value = np.float64(d_prime[c])
        if np.isnan(value):
            continue
        defined[groups[c]] += 1
        reached = int(min(abs(value) * 10.0, float(most)))  # exact: a float32 times ten
        counts[groups[c], 1 if value < 0.0 else 0, reached] += 1
