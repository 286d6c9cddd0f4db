"""The baseline of each cell's brightness, updated in constant time per frame."""

import numpy as np
from numpy.typing import NDArray

from analysis.jit import compiled

Floats = NDArray[np.float32]

_BLOCKS = 6
"""Number of blocks per window. A value leaves the window with its block, at most one block late."""


class Baseline:
    """Suite2p's maximin baseline, from past frames only.

    The trace is smoothed. At each frame, the minimum over the preceding window is taken; the
    baseline is the maximum of these minima over the last window. The smoothing is exponential and
    reduces noise as much as a Gaussian with a standard deviation of smooth_frames. Minima and
    maxima are stored per block of a sixth of a window.
    """

    def __init__(self, cells: int, window_s: float, smooth_frames: float) -> None:
        """Start before the first frame.

        Args:
            cells: Number of cells.
            window_s: Length of the window, s.
            smooth_frames: Standard deviation of the equivalent Gaussian, frames.
        """
        noise = 1.0 / (2.0 * np.sqrt(np.pi) * smooth_frames)
        self._share = 2.0 * noise / (1.0 + noise)
        self._block_s = window_s / _BLOCKS
        self._frames = 0
        self._block_began_s = 0.0
        self._smooth = np.zeros(cells, np.float32)
        self._lowest = np.full(cells, np.inf, np.float32)
        self._lows: list[Floats] = []
        self._highs: list[Floats] = []
        self._low = np.full(cells, np.inf, np.float32)
        self._high = np.full(cells, -np.inf, np.float32)

    def subtract(self, values: Floats, time_s: float) -> None:
        """Update the baseline with a frame, (cells,), and subtract it from the frame in place."""
        if not self._frames:
            self._block_began_s = time_s
        elif time_s - self._block_began_s >= self._block_s:
            self._begin_block(time_s)
        self._frames += 1
        share = np.float32(max(self._share, 1.0 / self._frames))
        _subtract(values, self._smooth, self._lowest, self._low, self._high, share)

    def _begin_block(self, time_s: float) -> None:
        self._block_began_s = time_s
        self._highs = [*self._highs, np.minimum(self._low, self._lowest)][1 - _BLOCKS :]
        self._lows = [*self._lows, self._lowest.copy()][1 - _BLOCKS :]
        self._low = np.minimum.reduce(self._lows)
        self._high = np.maximum.reduce(self._highs)
        self._lowest[:] = np.inf


@compiled
def _subtract(
    values: Floats, smooth: Floats, lowest: Floats, low: Floats, high: Floats, share: np.float32
) -> None:
    for c in range(values.size):
        smooth[c] += share * (values[c] - smooth[c])
        lowest[c] = min(lowest[c], smooth[c])
        values[c] -= max(high[c], min(low[c], lowest[c]))
