"""Sequence similarity: whether cells peak in the same order in two sets of trials.

For the top 5 % of cells for stimulus A, the peak is the bin of the largest mean activity in the
texture. The similarity of two sets of trials is the correlation of the peaks over cells. The odd
trials of A are divided alternately into two halves; the first half is compared with the second, and
with all trials of every other stimulus. A swapped stimulus is compared as it was run and also
un-swapped, with its bins in the order of A (Zhong et al., 2025). Peaks do not change when activity
is z-scored.
"""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_UNSWAP = {"swap1": 30, "swap2": 20}
"""Bin of the swapped texture that shows bin 0 of the original texture."""


def is_swap(stimulus: str, original: str) -> bool:
    """Return True if a stimulus is the original with two parts of its texture swapped."""
    return stimulus in {f"{original}_{name}" for name in _UNSWAP}


def unswapped(rows: Values, stimulus: str, original: str) -> Values:
    """Return texture rows, (40, cells), of a swapped stimulus in the order of the original."""
    first = _UNSWAP[stimulus.removeprefix(f"{original}_")]
    return np.concatenate([rows[first:], rows[:first]])


def peak_correlation(a: Values | None, b: Values | None) -> float:
    """Return the correlation over cells of the peaks (bins) in two sets of trials.

    Args:
        a: Mean activity in one set of trials, (bins, cells); None if there is no such trial.
        b: The same in another set.

    Returns:
        Pearson's correlation; NaN if a set is missing, if there are fewer than two cells, or if all
        peaks are in one bin.
    """
    if a is None or b is None or a.shape[1] < 2 or np.isnan(a).any() or np.isnan(b).any():
        return float("nan")
    x, y = (rows.argmax(axis=0).astype(np.float64) for rows in (a, b))
    if x.std() == 0 or y.std() == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
