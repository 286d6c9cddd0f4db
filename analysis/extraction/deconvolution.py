"""Online deconvolution: non-negative activity from the brightness of each cell.

OASIS (Friedrich, Zhou & Paninski, PLoS Comput Biol 2017) without a sparsity penalty and with a
fixed decay. The trace is divided into pools within which calcium only decays. Each new value opens
a pool. The last two pools are merged while the last one begins below the value to which the pool
before it has decayed:

    brightness      x        x  x             a pool: value at its start, then exponential decay
                 x     x  x       x           activity: how far a pool starts above the decay of
    pools       |--------|---------|          the pool before it
"""

import numpy as np
from numpy.typing import NDArray

from analysis.jit import compiled

Floats = NDArray[np.float32]

DEPTH = 16
"""Number of the newest pools that are kept per cell; older ones do not merge. A power of 2."""
_PLACE = DEPTH - 1
"""Pool n is stored at index n & _PLACE."""
MOST_LAG = DEPTH - 6
"""Largest lag, in frames."""
_AGES = 1024
"""Number of frames for which the decay is stored; after that many frames it is taken as 0."""


class Deconvolution:
    """Online deconvolution: the value of a frame is returned `lag` frames later, and is final.

    Frames may be unevenly spaced: the decay between two frames depends on the time between them.
    """

    def __init__(self, cells: int, tau_s: float, lag: int) -> None:
        """Start before the first frame.

        Args:
            cells: Number of cells.
            tau_s: Time constant of the decay, seconds.
            lag: Number of frames after which a value is final, 0 to MOST_LAG.
        """
        self._tau_s, self._lag = tau_s, lag
        self._frame = -1
        self._emitted = -1
        self._times_s = np.full(_AGES, -np.inf)
        self._top = np.full(cells, -1, np.int32)
        self._start = np.zeros((cells, DEPTH), np.int32)
        self._value = np.zeros((cells, DEPTH), np.float32)
        self._weight = np.zeros((cells, DEPTH), np.float32)
        self._decay = np.zeros((cells, DEPTH), np.float32)

    def add(self, values: Floats, time_s: float) -> Floats | None:
        """Add the next frame, (cells,); return the values of the frame `lag` frames before it."""
        self._frame += 1
        self._times_s = np.concatenate(([time_s], self._times_s[:-1]))
        decays = np.exp((self._times_s - time_s) / self._tau_s)
        pools = (self._top, self._start, self._value, self._weight, self._decay)
        _add(values, self._frame, decays, *pools)
        return self._emit() if self._frame - self._emitted > self._lag else None

    def rest(self) -> list[Floats]:
        """Return the values of the last `lag` frames at the end of the recording, in order."""
        return [self._emit() for _ in range(self._frame - self._emitted)]

    def _emit(self) -> Floats:
        self._emitted += 1
        spikes = np.empty(self._top.size, np.float32)
        _emit(self._emitted, self._top, self._start, self._value, self._decay, spikes)
        return spikes


@compiled
def _add(
    values: Floats,
    frame: int,
    decays: NDArray[np.float64],
    top: NDArray[np.int32],
    start: NDArray[np.int32],
    value: Floats,
    weight: Floats,
    decay: Floats,
) -> None:
    """Open a pool with each cell's new value, then merge pools while they violate the decay.

    At the start of pool k, the calcium of pool k - 1 has decayed to the fraction decay[c, k] of its
    value at the start of pool k - 1.
    """
    for c in range(values.size):
        v, w, began = np.float64(values[c]), 1.0, frame
        pool = top[c] + 1
        left = 0.0
        if pool > 0:
            age = frame - start[c, (pool - 1) & _PLACE]
            left = decays[age] if age < decays.size else 0.0
        oldest = max(0, top[c] + 1 - DEPTH + 1)
        while pool > oldest:
            last = (pool - 1) & _PLACE
            if value[c, last] * left <= v:
                break
            together = weight[c, last] + w * left * left
            v = (value[c, last] * weight[c, last] + v * w * left) / together
            w, began, left = together, start[c, last], np.float64(decay[c, last])
            pool -= 1
        at = pool & _PLACE
        start[c, at], value[c, at], weight[c, at], decay[c, at] = began, v, w, left
        top[c] = pool


@compiled
def _emit(
    frame: int,
    top: NDArray[np.int32],
    start: NDArray[np.int32],
    value: Floats,
    decay: Floats,
    spikes: Floats,
) -> None:
    """Set spikes to the jump of calcium at a frame: 0 where no pool begins."""
    for c in range(spikes.size):
        pool = top[c]
        while pool > 0 and start[c, pool & _PLACE] > frame:
            pool -= 1
        at = pool & _PLACE
        spikes[c] = 0.0
        if pool > 0 and start[c, at] == frame:
            spikes[c] = max(value[c, at] - value[c, (pool - 1) & _PLACE] * decay[c, at], 0.0)
