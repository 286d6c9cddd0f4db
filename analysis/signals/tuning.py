"""Position tuning: the activity of every cell at 60 positions of each completed trial.

The activity of moving frames is taken as a function of the accumulated position in corridor
lengths, index + position / length. The index counts the completed trials: an aborted trial gets no
index, so the trials before and after it are neighbours. Activity is interpolated linearly at
index + b / 60, b = 0..59. Before the first and after the last moving frame it is extrapolated
linearly from the nearest two frames. Of several moving frames at one position, the last is used
(Zhong et al., 2025).

A grid point is determined when a moving frame has passed it:

    moving frames        f1          f2                   f3
    position  -----|------x----|-----x----|------|--------x--|------>
    grid points    0           1          2      3           4
    determined     f2          f2         f3     f3
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.jit import compiled
from analysis.signals.scratch import ScratchRows

Floats = NDArray[np.float32]

BINS = 60
"""Grid points per corridor: 10 cm each in a corridor of 6 m."""
_EXACT_TRIALS = 16
"""Number of the latest trials whose rows are kept without rounding to float32."""
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class _State:
    """The last two moving frames at different positions, and which grid points are determined."""

    before: tuple[float, Floats] | None = None
    last: tuple[float, Floats] | None = None
    since: int = 0
    """First grid point on the line between these two frames."""
    point: int = 0
    """First grid point that is not determined yet."""


class Tuning:
    """Interpolation of the activity of every trial, grid point by grid point as frames arrive."""

    def __init__(
        self,
        cells: int,
        store: ScratchRows | None,
        emit: Callable[[int, Floats], None],
        remainders: ScratchRows | None = None,
    ) -> None:
        """Start before the first trial.

        Args:
            cells: Number of cells.
            store: File for the rows, 60 per trial; None: rows are not stored.
            emit: Called with each grid point (60 * index + bin) and its row, (cells,). A point that
                used frames of a trial that is later aborted is emitted again with new values.
            remainders: File for the rounding errors of the float32 rows of the latest trials, for
                `exact_rows`; None: they are not stored.
        """
        self._remainders = remainders
        self._cells, self._store, self._emit = cells, store, emit
        self._state = _State()
        self._trial = -1
        self._at_start = _State()
        self._index: dict[int, int] = {}
        self._count = 0

    @property
    def trials(self) -> int:
        """Number of trials so far, without the dropped ones."""
        return self._count

    def index(self, trial: int) -> int | None:
        """Return the index of a trial among the trials that count; None if it does not count."""
        return self._index.get(trial)

    def start_trial(self, trial: int) -> None:
        """Give the next index to a trial that begins."""
        self._index[trial] = self._count
        self._count += 1

    def drop_trial(self, trial: int) -> None:
        """Remove the latest trial, which was aborted; the next trial gets its index."""
        if self._index.pop(trial, None) is None:
            return
        self._count -= 1
        if trial == self._trial:
            self._state, self._trial = self._at_start, -1

    def add_frame(self, trial: int, fraction: float, activity: Floats) -> None:
        """Add a moving frame; frames are added in order.

        Frames of a dropped trial are ignored. A frame at a lower position than the frame before it
        is ignored too, because the corridor never moves backwards.

        Args:
            trial: Number of the trial.
            fraction: Position in the corridor as a fraction of its length.
            activity: Activity of the frame, (cells,).
        """
        index, state = self._index.get(trial), self._state
        if index is None:
            return
        at = index + fraction
        if state.last is not None and at < state.last[0]:
            return
        if trial != self._trial:
            self._trial, self._at_start = trial, state
        if state.last is not None and at == state.last[0]:
            self._state = replace(state, last=(at, activity), point=state.since)
        else:
            self._state = _State(state.last, (at, activity), state.point, state.point)
        if self._state.before is not None:
            self._determine(1 + math.floor(at * BINS))

    def finish(self) -> None:
        """Determine the remaining points of all trials: there will be no further moving frame."""
        self._determine(BINS * self._count)

    def is_final(self, index: int) -> bool:
        """Return True if frames of later trials cannot change a completed trial's rows."""
        return self._state.point >= BINS * (index + 1)

    def rows(self, index: int) -> Floats:
        """Return the activity of a trial from the frames so far: (60, cells).

        Points beyond the last moving frame are extrapolated. NaN if there are fewer than two
        moving frames at different positions, or if the value does not fit float32.

        Raises:
            ValueError: Rows are not stored.
        """
        if self._store is None:
            raise ValueError("this tuning keeps no rows; give it a store")
        rows = np.array(self._store.read(BINS * index, BINS), np.float32)
        for bin_ in range(max(0, self._state.point - BINS * index), BINS):
            rows[bin_] = self._at(BINS * index + bin_)
        return rows

    def exact_rows(self, index: int) -> NDArray[np.float64]:
        """Return `rows` of one of the latest trials, not rounded to float32: (60, cells)."""
        rows = self.rows(index).astype(np.float64)
        known = min(BINS, max(0, self._state.point - BINS * index))
        if self._remainders is not None and known:
            rows[:known] += self._remainders.read(_remainder_row(BINS * index), known)
        for bin_ in range(known, BINS):
            rows[bin_] = self._at(BINS * index + bin_)
        return rows

    def _determine(self, end: int) -> None:
        state = self._state
        for point in range(state.point, end):
            exact = self._at(point)
            row = exact.astype(np.float32)
            if self._store is not None:
                self._store.write(point, row)
            if self._remainders is not None:
                self._remainders.write(_remainder_row(point), exact - row)
            self._emit(point, row)
        self._state = replace(state, point=max(state.point, end))

    def _at(self, point: int) -> NDArray[np.float64]:
        """Return the activity at a grid point, on the line through the last two frames."""
        before, last = self._state.before, self._state.last
        if before is None or last is None:
            return np.full(self._cells, np.nan)
        index, bin_ = divmod(point, BINS)
        share = (index + bin_ / BINS - before[0]) / (last[0] - before[0])
        row = np.empty(last[1].size)
        _interpolate(before[1], last[1], share, row)
        return row


def _remainder_row(point: int) -> int:
    """Return the row with the remainders of a grid point, in a ring of the latest trials."""
    return point % (BINS * _EXACT_TRIALS)


@compiled
def _interpolate(start: Floats, end: Floats, share: float, row: NDArray[np.float64]) -> None:
    for c in range(row.size):
        value = np.float64(start[c])
        value += (np.float64(end[c]) - value) * share
        # A value is beyond float32 if two frames are almost at one position and far from the point.
        row[c] = value if abs(value) <= _LARGEST else np.nan
