"""Running mean and standard deviation of every cell, from which an aborted trial can be removed."""

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import NDArray

from analysis.jit import compiled

Values = NDArray[np.float64]
Floats = NDArray[np.float32]


class Moments:
    """Running mean and sum of squared deviations of every cell (Welford's method, float64).

    With plain sums of squares, rounding gives a cell that never changes a small variance, so its d'
    would be huge instead of undefined. float32 sums are not exact enough.
    """

    def __init__(self, cells: int) -> None:
        self.count = 0
        self._mean = np.zeros(cells)
        self._squares = np.zeros(cells)

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self._mean.size

    def add(self, values: Floats | Values) -> None:
        """Add one value per cell: (cells,)."""
        self.count += 1
        _add(values, 1.0 / self.count, self._mean, self._squares)

    def copy(self) -> "Moments":
        """Return an independent copy."""
        other = Moments(0)
        other.count = self.count
        other._mean, other._squares = self._mean.copy(), self._squares.copy()
        return other

    def mean(self) -> Values:
        """Return the mean of each cell; NaN if nothing was added: (cells,)."""
        return self._mean.copy() if self.count else np.full_like(self._mean, np.nan)

    def sd(self) -> Values:
        """Return the population standard deviation (ddof 0) of each cell: (cells,)."""
        if not self.count:
            return np.full_like(self._squares, np.nan)
        return np.sqrt(self._squares / self.count)


class TrialMoments:
    """Moments by key, from frames that arrive trial by trial; the latest trial can be dropped."""

    def __init__(self, keys: Iterable[Hashable], cells: int) -> None:
        """Start empty; frames with other keys are ignored."""
        self._moments = {key: Moments(cells) for key in keys}
        self._trial = -1
        self._before = self._copy()

    def __getitem__(self, key: Hashable) -> Moments:
        return self._moments[key]

    def add(self, trial: int, key: Hashable, values: Floats) -> None:
        """Add a frame, (cells,), of a trial; frames are added in order of trials."""
        if key not in self._moments:
            return
        if trial != self._trial:
            self._trial, self._before = trial, self._copy()
        self._moments[key].add(values)

    def drop_trial(self, trial: int) -> None:
        """Remove the frames of a trial, if it is the latest trial with frames."""
        if trial == self._trial:
            self._moments, self._trial = self._before, -1
            self._before = self._copy()

    def _copy(self) -> dict[Hashable, Moments]:
        return {key: moments.copy() for key, moments in self._moments.items()}


def d_prime(a: Moments, b: Moments) -> Values:
    """Return 2 (mean_A - mean_B) / (sd_A + sd_B) of each cell: (cells,).

    NaN if `a` or `b` is empty, or where the cell never varied in either.
    """
    out = np.full(a.cells, np.nan)
    if a.count and b.count:
        _d_prime(a.count, a._mean, a._squares, b.count, b._mean, b._squares, out)
    return out


@compiled
def _add(values: Floats | Values, share: float, mean: Values, squares: Values) -> None:
    for c in range(values.size):
        difference = values[c] - mean[c]
        mean[c] += difference * share
        squares[c] += difference * (values[c] - mean[c])


@compiled
def _d_prime(
    count_a: int,
    mean_a: Values,
    squares_a: Values,
    count_b: int,
    mean_b: Values,
    squares_b: Values,
    out: Values,
) -> None:
    for c in range(out.size):
        spread = np.sqrt(squares_a[c] / count_a) + np.sqrt(squares_b[c] / count_b)
        out[c] = 2.0 * (mean_a[c] - mean_b[c]) / spread if spread > 0.0 else np.nan
