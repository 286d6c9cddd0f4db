"""The running signals of a session, updated with each frame: selectivity and position tuning."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import NAMES
from analysis.jit import compiled
from analysis.signals.learning import Learning
from analysis.signals.learning_job import Result
from analysis.signals.learning_message import with_result
from analysis.signals.scratch import ScratchRows
from analysis.signals.selectivity import (
    Selectivity,
    defined_counts,
    fractions,
    reaches,
    selective_fraction,
)
from analysis.signals.task_signals import TaskSignals
from analysis.signals.trial_records import PlacedLick, TrialRecord, record_of
from analysis.signals.tuning import Tuning
from rig.messages import (
    CellSignals,
    Cue,
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

    The messages of a trial are handled when they arrive; its frames are added later, in order. A
    completed trial is closed, and the computation of its LearningSignals starts, before the first
    frame that was scanned after its end.
    """

    def __init__(
        self,
        task: TaskSignals,
        groups: NDArray[np.uint8],
        selective_at: float,
        store: ScratchRows | None = None,
        seed: int = 0,
    ) -> None:
        """Start before the first frame.

        Args:
            task: Which stimuli are compared.
            groups: Index of each cell's group in areas.NAMES: (cells,).
            selective_at: A cell is selective if |d'| is at least this.
            store: File for the position tuning of each cell in each trial. None: the tuning is not
                stored, and LearningSignals contain only d' and fractions.
            seed: Random seed of the folds of the population signal.
        """
        self._selectivity = Selectivity(task.contrasts, groups.size)
        self._groups, self._at = groups, selective_at
        self._sizes = np.bincount(groups, minlength=len(NAMES)).astype(np.float64)
        """Number of cells of each group; the first is that of the cells in no group."""
        self._remainders = None if store is None else ScratchRows(None, groups.size)
        self.tuning = Tuning(groups.size, store, self._emit, self._remainders)
        self._learning: Learning | None = None
        if store is not None:
            self._learning = Learning(task, groups, self.tuning, store, seed)
        self._base: LearningSignals | None = None
        """The message of the last trial while its learning signals are being computed."""
        self._records: list[TrialRecord] = []
        self._cues: dict[int, tuple[int, float]] = {}
        self._licks: list[PlacedLick] = []
        self._trials: dict[int, TrialStart] = {}
        self._ended: deque[TrialEnd] = deque()
        """Completed trials that are not closed yet."""
        self._completed: set[int] = set()
        self._last = -1
        self._update_d_prime()
        self._points: list[tuple[int, Floats, Floats]] = []
        """Grid points determined by this frame: point, means of selective cells, projections."""

    def handle_trial(self, message: TrialStart | TrialEnd) -> None:
        """Handle the start or the end of a trial. Only corridors count."""
        if isinstance(message, TrialStart):
            self._trials[message.trial] = message
            if message.picture == "corridor":
                self.tuning.start_trial(message.trial)
        elif message.outcome == "aborted":
            self._drop_trial(message.trial)
        elif self.tuning.index(message.trial) is not None:
            self._ended.append(message)
            self._completed.add(message.trial)

    def name_trial(self, start: TrialStart) -> None:
        """Register a trial that began before the cells were known.

        CellSignals of its frames contain its stimulus, but no signal is computed from it.
        """
        self._trials[start.trial] = start

    def add_frame(
        self, frame: Frame, position: Position, activity: Floats, scanned_t: int
    ) -> list[Message]:
        """Add a frame and update the signals.

        Args:
            frame: The frame.
            position: The Position at the middle of its scan.
            activity: Its final activity, (cells,).
            scanned_t: Middle of its scan, ns.

        Returns:
            LearningSignals of the trials that ended before this frame, and its CellSignals.
        """
        messages: list[Message] = []
        while self._ended and self._is_over(self._ended[0], position, scanned_t):
            messages += self._close_trial(self._ended.popleft(), frame.t)
        self._points = []
        index = self.tuning.index(position.trial)
        if index is not None and position.moving and position.position_m >= 0:
            self._add_moving_frame(self._trials[position.trial], index, position, activity)
        if self._learning is not None:
            self._learning.add_frame(activity, scanned_t)
            messages += self._learned(frame.t, self._learning.step())
        messages.append(self._cell_signals(frame, position, activity, scanned_t))
        return messages

    def add_cue(self, cue: Cue) -> None:
        """Add the cue of a trial."""
        self._cues[cue.trial] = (cue.t, cue.position_m)

    def add_lick(self, lick: PlacedLick) -> None:
        """Add a lick."""
        self._licks.append(lick)

    def finish(self, t: int) -> list[Message]:
        """End the session; return the remaining messages and a final LearningSignals."""
        messages: list[Message] = []
        while self._ended:
            messages += self._close_trial(self._ended.popleft(), t)
        if self._learning is not None:
            messages += self._learned(t, self._learning.complete())
        for trial in [t for t in self._trials if t not in self._completed]:
            self._drop_trial(trial)
        self._points = []
        self.tuning.finish()
        self._base = self._learning_signals(t, final=True)
        if self._learning is not None:
            self._learning.end_trial(None, self._reference())
            messages += self._learned(t, self._learning.complete())
            self._learning.close()
            if self._remainders is not None:
                self._remainders.close()
            return messages
        return [*messages, self._base]

    def _add_moving_frame(
        self, trial: TrialStart, index: int, position: Position, activity: Floats
    ) -> None:
        in_texture = position.position_m < trial.texture_m
        if in_texture:
            self._selectivity.add_frame(trial.trial, trial.stimulus, activity)
            self._update_d_prime()  # first, because the tuning uses cells selected by d'
        if self._learning is not None:
            self._learning.add_moving_frame(
                trial.trial, index, trial.stimulus, in_texture, activity
            )
        length_m = trial.texture_m + trial.grey_m
        self.tuning.add_frame(trial.trial, position.position_m / length_m, activity)

    def _drop_trial(self, trial: int) -> None:
        self._selectivity.drop_trial(trial)
        self.tuning.drop_trial(trial)
        if self._learning is not None:
            self._learning.drop_trial(trial)
        self._update_d_prime()

    def _is_over(self, end: TrialEnd, position: Position, scanned_t: int) -> bool:
        return scanned_t >= end.t and position.trial != end.trial

    def _close_trial(self, end: TrialEnd, t: int) -> list[Message]:
        """Start to compute the learning signals of a completed trial."""
        messages: list[Message] = []
        if self._learning is not None:  # the signals of the previous trial may not be ready yet
            messages += self._learned(t, self._learning.complete())
        self._last, self._points = end.trial, []
        start, cue = self._trials[end.trial], self._cues.pop(end.trial, None)
        record = record_of(start, cue, self._licks)
        self._licks = [lick for lick in self._licks if lick.t >= end.t]
        self._records.append(record)
        self._base = self._learning_signals(t, final=False)
        if self._learning is None:
            return [self._base]
        self._learning.end_trial(record, self._reference())
        return messages

    def _learned(self, t: int, result: Result | None) -> list[Message]:
        """Return the message of the last trial, if its learning signals are computed."""
        if result is None or self._base is None:
            return []
        base, self._base = self._base, None
        return [with_result(base, t, result, self._groups)]

    def _reference(self) -> NDArray[np.float64]:
        """Return d' of the reference contrast: (cells,)."""
        rows = self._selectivity.d_prime()
        return rows[0] if len(rows) else np.full(self._groups.size, np.nan)

    def _update_d_prime(self) -> None:
        self._d_prime = self._selectivity.d_prime().astype(np.float32)
        self._selective: list[_Selective] | None = None
        self._counted: tuple[bytes, tuple[int, ...]] | None = None

    def _emit(self, point: int, row: Floats) -> None:
        if self._selective is None:
            self._selective = [_select(d, self._groups, self._at) for d in self._d_prime]
        means = np.array([selective.means(row) for selective in self._selective], np.float32)
        none = np.zeros(0, np.float32)
        projected = none if self._learning is None else self._learning.project(row)
        self._points.append((point, means, projected))

    def _tuned(self) -> tuple[tuple[int, ...], bytes]:
        values = np.array([means for _, means, _ in self._points], "<f4")
        return tuple(point for point, _, _ in self._points), values.tobytes()

    def _ramp(self, position: Position, activity: Floats) -> float | None:
        index = self.tuning.index(position.trial)
        if self._learning is None or index is None:
            return None
        return self._learning.ramp(activity, index)

    def _counts(self) -> tuple[bytes, tuple[int, ...]]:
        """Return the fractions of selective cells and the numbers of cells with a defined d'.

        They are counted once for each d', which does not change while the mouse stands still.
        """
        if self._counted is None:
            rows = [fractions(d_prime, self._groups) for d_prime in self._d_prime]
            counts = [defined_counts(d_prime, self._groups) for d_prime in self._d_prime]
            defined = tuple(count for row in counts for count in row)
            self._counted = np.array(rows, "<f4").tobytes(), defined
        return self._counted

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
            *self._counts(),
            tuned,
            tuning,
            self._selectivity.undefined(),
            scanned_t=scanned_t,
            projection=np.array([p for _, _, p in self._points], "<f4").tobytes(),
            ramp=self._ramp(position, activity),
            area_activity=area_means(activity, self._groups, self._sizes).tobytes(),
            area_projection=self._projection(activity),
        )

    def _projection(self, activity: Floats) -> bytes:
        """Return the projections of a frame as bytes: (contrasts, areas)."""
        if self._learning is None:
            return b""
        return self._learning.project(activity).astype("<f4").tobytes()

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
            *self._counts(),
            (why,) if why else (),
            tuned,
            tuning,
            tuple(record.responded for record in self._records),
            licked=tuple(record.licked for record in self._records),
        )


def area_means(activity: Floats, groups: NDArray[np.uint8], sizes: NDArray[np.float64]) -> Floats:
    """Return the mean activity of all cells and of each area group; NaN for an empty group.

    Args:
        activity: (cells,).
        groups: Index of each cell's group in areas.NAMES, 0 for a cell in none: (cells,).
        sizes: Number of cells of each group: (NAMES,).
    """
    sums, counts = np.zeros(len(NAMES)), sizes.copy()
    _sum_groups(activity, groups, sums)
    sums[0], counts[0] = sums.sum(), counts.sum()
    means = np.full(len(NAMES), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means.astype("<f4")


@dataclass(frozen=True)
class _Selective:
    """The selective cells of a contrast; kind = 2 * group + (d' < 0) is the class of a cell."""

    cells: NDArray[np.uint32]
    kinds: NDArray[np.uint8]
    counts: NDArray[np.float64]
    """Number of cells of each kind."""

    def means(self, row: Floats) -> Floats:
        """Return the mean of a row, (cells,), by group and sign: (NAMES, 2); NaN without cells."""
        kinds = np.zeros(self.counts.size)
        _sum_kinds(row, self.cells, self.kinds, kinds)
        sums, counts = kinds.reshape(-1, 2), self.counts.reshape(-1, 2).copy()
        sums[0], counts[0] = sums.sum(axis=0), counts.sum(axis=0)
        means = np.full(sums.shape, np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means.astype(np.float32)


def _select(d_prime: Floats, groups: NDArray[np.uint8], at: float) -> _Selective:
    """Find the cells with |d'| >= at."""
    cells = np.flatnonzero(reaches(d_prime, at)).astype(np.uint32)
    kinds = (2 * groups[cells] + (d_prime[cells] < 0.0)).astype(np.uint8)
    counts = np.bincount(kinds, minlength=2 * len(NAMES)).astype(np.float64)
    return _Selective(cells, kinds, counts)


@compiled
def _sum_groups(row: Floats, groups: NDArray[np.uint8], sums: NDArray[np.float64]) -> None:
    for c in range(row.size):
        sums[groups[c]] += row[c]


@compiled
def _sum_kinds(
    row: Floats, cells: NDArray[np.uint32], kinds: NDArray[np.uint8], sums: NDArray[np.float64]
) -> None:
    for k in range(cells.size):
        sums[kinds[k]] += row[cells[k]]
