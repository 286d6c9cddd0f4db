"""Selectivity: the running d' of every cell between two stimuli, exact after every frame.

d' = 2 (mean_A - mean_B) / (sd_A + sd_B), population standard deviations, over the frames in which
the corridor moved and the mouse was in the texture. Undefined values are NaN.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Moments:
    """Running mean and sum of squared deviations of every cell (Welford, float64).

    Plain sums of squares would leave a little variance in a cell that never changes, and so turn
    an undefined d' into a huge one.
    """

    def __init__(self, cells: int) -> None:
        self.frames = 0
        self._mean = np.zeros(cells)
        self._squares = np.zeros(cells)

    def add(self, traces: NDArray[Any]) -> None:
        """Take in one frame: (cells,)."""
        off = traces - self._mean
        self.frames += 1
        self._mean = self._mean + off / self.frames
        self._squares = self._squares + off * (traces - self._mean)

    def copy(self) -> "Moments":
        """Return the same state, which later frames leave as it is."""
        other = Moments(0)
        # add() makes new arrays and changes none, so both may hold the same ones.
        other.frames, other._mean, other._squares = self.frames, self._mean, self._squares
        return other

    def mean(self) -> Values:
        """Return each cell's mean; NaN before the first frame."""
        return self._mean if self.frames else np.full_like(self._mean, np.nan)

    def sd(self) -> Values:
        """Return each cell's population standard deviation; NaN before the first frame."""
        if not self.frames:
            return np.full_like(self._squares, np.nan)
        return np.sqrt(self._squares / self.frames)


class Selectivity:
    """The running d' of stimulus A against B; an aborted trial can be taken back whole."""

    def __init__(self, a: str, b: str, cells: int) -> None:
        self._moments = {a: Moments(cells), b: Moments(cells)}
        self._a, self._b = a, b
        self._trial = -1
        self._before = self._copy()
        self._aborted: set[int] = set()

    def add(self, trial: int, stimulus: str, traces: NDArray[Any]) -> None:
        """Take in a moving texture frame of a trial; frames come in order of trials."""
        if stimulus not in self._moments or trial in self._aborted:
            return
        if trial != self._trial:
            self._trial, self._before = trial, self._copy()
        self._moments[stimulus].add(traces.astype(np.float64))

    def abort(self, trial: int) -> None:
        """Forget the frames of a trial, and leave out those that still come."""
        self._aborted.add(trial)
        if trial == self._trial:
            self._moments = self._before
            self._before = self._copy()

    def d_prime(self) -> Values:
        """Return d' of each cell; NaN where a stimulus is not seen yet, or neither varies."""
        a, b = self._moments[self._a], self._moments[self._b]
        spread = a.sd() + b.sd()
        spread[spread == 0] = np.nan
        return 2 * (a.mean() - b.mean()) / spread

    def _copy(self) -> dict[str, Moments]:
        return {stimulus: moments.copy() for stimulus, moments in self._moments.items()}


def selective_fraction(d_prime: NDArray[Any], at: float) -> float | None:
    """Return the share of cells with |d'| >= at among those defined; None if none is."""
    defined = d_prime[~np.isnan(d_prime)]
    if not defined.size:
        return None
    return float(np.mean(np.abs(defined.astype(np.float64)) >= at))
