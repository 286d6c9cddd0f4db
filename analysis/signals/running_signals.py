"""The running signals of a session, updated with each frame: selectivity and position tuning."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import NAMES
from analysis.jit import compiled
from analysis.signals.scratch import ScratchRows
from analysis.signals.selectivity import (
    Contrast,
    Selectivity,
    defined_counts,
    fractions,
    selective_fraction,
)
from analysis.signals.tuning import Tuning
from rig.messages import (
    CellSignals,
    Frame,
    LearningSignals,
    Message,
    Position,
    TrialEnd,
    TrialStart,
)

Floats = NDArray[np.float32]


class RunningSignals:
    """Signals from the frames and trials of a session, without its aborted trials.

    Trials are known as soon as their messages arrive; frames come later, in order. A completed
    trial is closed, and its LearningSignals are computed, before the first frame after it.
    """

    def __init__(
        self,
        contrasts: tuple[Contrast, ...],
        groups: NDArray[np.uint8],
        selective_at: float,
        store: ScratchRows | None = None,
    ) -> None:
        """Begin before the first frame.

        Args:
            contrasts: Pairs of stimuli, A and B.
            groups: Index of each cell's group in areas.NAMES: (cells,).
            selective_at: A cell is selective if |d'| is at least this.
            store: Where to keep the position tuning of each cell in each trial; None: nowhere.
        """
        self._selectivity = Selectivity(contrasts, groups.size)
        self._groups, self._at = groups, selective_at
        self.tuning = Tuning(groups.size, store, self._emit)
        self._trials: dict[int, TrialStart] = {}
        self._ended: deque[TrialEnd] = deque()
        """Completed trials that are not closed yet."""
        self._completed: set[int] = set()
        self._last = -1
        self._d_prime = self._selectivity.d_prime()
        self._selective: list[_Selective] | None = None
        self._points: list[tuple[int, Floats]] = []

    def handle_trial(self, message: TrialStart | TrialEnd) -> None:
        """Take in the start or the end of a trial. Only corridors count."""
        if isinstance(message, TrialStart):
            self._trials[message.trial] = message
            if message.picture == "corridor":
                self.tuning.start_trial(message.trial)
        elif message.outcome == "aborted":
            self._drop_trial(message.trial)
        elif self.tuning.index(message.trial) is not None:
            self._ended.append(message)
            self._completed.add(message.trial)

    def add_frame(
        self, frame: Frame, position: Position, activity: Floats, scanned_t: int
    ) -> list[Message]:
        """Take in the final activity of a frame, (cells,).

        Returns:
            LearningSignals of the trials that ended before this frame, and its CellSignals.
        """
        messages: list[Message] = []
        while self._ended and self._is_over(self._ended[0], position, scanned_t):
            messages.append(self._close_trial(self._ended.popleft().trial, frame.t))
        trial = self._trials.get(position.trial)
        counts = trial is not None and self.tuning.index(trial.trial) is not None
        self._points = []
        if trial is not None and counts and position.moving and position.position_m >= 0:
            if position.position_m < trial.texture_m:
                self._selectivity.add_frame(trial.trial, trial.stimulus, activity)
                self._update_d_prime()  # before tuning, which selects cells by it
            length_m = trial.texture_m + trial.grey_m
            self.tuning.add_frame(trial.trial, position.position_m / length_m, activity)
        messages.append(self._cell_signals(frame, position, activity, scanned_t))
        return messages

    def finish(self, t: int) -> list[Message]:
        """End the session: return what is left, with a final LearningSignals."""
        messages: list[Message] = []
        while self._ended:
            messages.append(self._close_trial(self._ended.popleft().trial, t))
        for trial in [t for t in self._trials if t not in self._completed]:
            self._drop_trial(trial)
        self._points = []
        self._update_d_prime()
        self.tuning.finish()
        messages.append(self._learning_signals(t, final=True))
        return messages

    def _drop_trial(self, trial: int) -> None:
        self._selectivity.drop_trial(trial)
        self.tuning.drop_trial(trial)
        self._update_d_prime()

    def _is_over(self, end: TrialEnd, position: Position, scanned_t: int) -> bool:
        return scanned_t >= end.t and position.trial != end.trial

    def _close_trial(self, trial: int, t: int) -> LearningSignals:
        self._last = trial
        self._points = []
        return self._learning_signals(t, final=False)

    def _update_d_prime(self) -> None:
        self._d_prime = self._selectivity.d_prime()
        self._selective = None

    def _emit(self, point: int, row: Floats) -> None:
        if self._selective is None:
            self._selective = [_select(d, self._groups, self._at) for d in self._d_prime]
        means = [selective.means(row) for selective in self._selective]
        self._points.append((point, np.array(means, np.float32)))

    def _fractions(self) -> bytes:
        rows = [fractions(d_prime, self._groups) for d_prime in self._d_prime]
        return np.array(rows, "<f4").tobytes()

    def _defined(self) -> tuple[int, ...]:
        counts = [defined_counts(d_prime, self._groups) for d_prime in self._d_prime]
        return tuple(count for row in counts for count in row)

    def _tuned(self) -> tuple[tuple[int, ...], bytes]:
        values = np.array([means for _, means in self._points], "<f4")
        return tuple(point for point, _ in self._points), values.tobytes()

    def _cell_signals(
        self, frame: Frame, position: Position, activity: Floats, scanned_t: int
    ) -> CellSignals:
        trial = self._trials.get(position.trial)
        tuned, tuning = self._tuned()
        first = self._d_prime[0] if len(self._d_prime) else np.zeros(0)
        return CellSignals(
            frame.t,
            frame.index,
            position.trial,
            None if trial is None else trial.stimulus,
            position.position_m,
            position.moving,
            activity.astype("<f4").tobytes(),
            selective_fraction(first, self._at),
            self._fractions(),
            self._defined(),
            tuned,
            tuning,
            self._selectivity.undefined(),
            scanned_t=scanned_t,
        )

    def _learning_signals(self, t: int, final: bool) -> LearningSignals:
        tuned, tuning = self._tuned()
        last = self.tuning.index(self._last)
        why = self._selectivity.undefined()
        return LearningSignals(
            t,
            self._last,
            0 if last is None else last + 1,
            final,
            self._selectivity.contrasts,
            self._d_prime.astype("<f4").tobytes(),
            self._fractions(),
            self._defined(),
            (why,) if why else (),
            tuned,
            tuning,
        )


@dataclass(frozen=True)
class _Selective:
    """The selective cells of a contrast, sorted into kinds: 2 * group + (d' < 0)."""

    cells: NDArray[np.uint32]
    kinds: NDArray[np.uint8]
    counts: NDArray[np.float64]
    """Number of cells of each kind."""

    def means(self, row: Floats) -> Floats:
        """Return the mean of a row, (cells,), by group and sign: (NAMES, 2); NaN of no cell."""
        kinds = np.zeros(self.counts.size)
        _sum_kinds(row, self.cells, self.kinds, kinds)
        sums, counts = kinds.reshape(-1, 2), self.counts.reshape(-1, 2).copy()
        sums[0], counts[0] = sums.sum(axis=0), counts.sum(axis=0)
        means = np.full(sums.shape, np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means.astype(np.float32)


def _select(d_prime: Floats, groups: NDArray[np.uint8], at: float) -> _Selective:
    """Find the cells with |d'| >= at."""
    cells = np.flatnonzero(np.abs(d_prime.astype(np.float64)) >= at).astype(np.uint32)
    kinds = (2 * groups[cells] + (d_prime[cells] < 0.0)).astype(np.uint8)
    counts = np.bincount(kinds, minlength=2 * len(NAMES)).astype(np.float64)
    return _Selective(cells, kinds, counts)


@compiled
def _sum_kinds(
    row: Floats, cells: NDArray[np.uint32], kinds: NDArray[np.uint8], sums: NDArray[np.float64]
) -> None:
    for k in range(cells.size):
        sums[kinds[k]] += row[cells[k]]
