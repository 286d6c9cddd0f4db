"""Compute reward prediction, coding direction and similarity after each completed trial.

Values of each trial and frame are kept in scratch files. When a trial has ended, a LearningJob
computes all signals from all trials so far, in steps spread over the following frames.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import GROUPS, NAMES
from analysis.signals.coding_direction import (
    GREY_BINS,
    TEXTURE_BINS,
    Direction,
    EvenTrials,
    direction,
)
from analysis.signals.learning_job import LearningJob, Result, Snapshot
from analysis.signals.moments import Moments
from analysis.signals.reward_prediction import BINS_BEFORE_CUE, fold_of
from analysis.signals.scratch import ScratchRows
from analysis.signals.task_signals import TaskSignals
from analysis.signals.trial_records import TrialRecord
from analysis.signals.tuning import Tuning

Floats = NDArray[np.float32]
Values = NDArray[np.float64]

AREAS = tuple(GROUPS)
"""The areas that have a coding direction, in the order in which signals list them."""


class Learning:
    """The data that the signals of all trials need, and their computation after each trial."""

    def __init__(
        self,
        task: TaskSignals,
        groups: NDArray[np.uint8],
        tuning: Tuning,
        rows: ScratchRows,
        seed: int,
    ) -> None:
        """Start before the first frame.

        Args:
            task: The contrasts and the rewarded stimulus.
            groups: Index of each cell's group in areas.NAMES: (cells,).
            tuning: Interpolates activity into `rows`.
            rows: Interpolated activity, 60 rows per completed trial.
            seed: Random seed of the folds.
        """
        self._task, self._groups, self._tuning, self._rows = task, groups, tuning, rows
        self._seed = seed
        self._anterior = np.flatnonzero(groups == NAMES.index("anterior"))
        self._even = EvenTrials(task.contrasts, groups.size)
        stimuli = sorted({stimulus for contrast in task.contrasts for stimulus in contrast})
        self._texture = {name: Moments(groups.size) for name in stimuli}
        self._grey, self._grid = Moments(groups.size), Moments(groups.size)
        self._committed = 0
        """Number of trials in these moments, whose rows later frames cannot change."""
        self._means = ScratchRows(None, groups.size, np.float64)
        self._frames = ScratchRows(None, max(1, self._anterior.size))
        self._frame_moments = Moments(self._anterior.size)
        self._scanned_t: list[int] = []
        self._records: list[TrialRecord] = []
        self._job: tuple[LearningJob, Iterator[None]] | None = None
        self._directions: Sequence[Sequence[Direction]] = ()
        self._ramps: Sequence[Direction] = ()

    def add_frame(self, activity: Floats, scanned_t: int) -> None:
        """Add the activity of a frame, (cells,), scanned at scanned_t, ns."""
        own = activity[self._anterior]
        self._frames.write(len(self._scanned_t), own)
        self._frame_moments.add(own)
        self._scanned_t.append(scanned_t)

    def add_moving_frame(
        self, trial: int, index: int, stimulus: str, in_texture: bool, activity: Floats
    ) -> None:
        """Add a moving frame of a trial; index counts the completed trials from 0."""
        self._even.add_frame(trial, index, stimulus, in_texture, activity)

    def drop_trial(self, trial: int) -> None:
        """Remove the latest trial."""
        self._even.drop_trial(trial)

    def add_trial(self, record: TrialRecord) -> None:
        """Add a completed trial, without computing the signals of all trials."""
        self._records.append(record)

    def end_trial(self, record: TrialRecord | None, stimulus: Values) -> None:
        """Start to compute the signals of all trials, after a trial has ended.

        Args:
            record: The trial that ended; None at the end of the session.
            stimulus: d' of the reference contrast: (cells,).
        """
        if record is not None:
            self.add_trial(record)
        job = LearningJob(self._snapshot(stimulus))
        self._job = (job, job.steps())

    def step(self) -> Result | None:
        """Run the next step of the current job; return the result if it was the last step."""
        if self._job is None:
            return None
        job, steps = self._job
        for _ in steps:
            return None
        self._job = None
        self._ramps, self._directions = job.ramps, job.snapshot.directions
        return job.result

    def complete(self) -> Result | None:
        """Run all remaining steps of the current job; return its result, None without a job."""
        while self._job is not None:
            result = self.step()
            if result is not None:
                return result
        return None

    def close(self) -> None:
        """Delete the scratch files."""
        self._means.close()
        self._frames.close()

    def project(self, row: Floats) -> Floats:
        """Return the projections of a row of interpolated activity, (cells,): (contrasts, areas).

        The coding directions are those of the last result; NaN before the first result.
        """
        shape = (len(self._task.contrasts), len(AREAS))
        if not self._directions:
            return np.full(shape, np.nan, np.float32)
        values = [[d.project(row[None])[0] for d in own] for own in self._directions]
        return np.array(values, np.float32).reshape(shape)

    def ramp(self, activity: Floats, index: int) -> float | None:
        """Return the population signal of a frame, from the cells of its trial's fold.

        The cells are those of the last result; None without a result or without such cells.
        """
        if not self._ramps:
            return None
        ramp = self._ramps[fold_of(index, self._seed)]
        if not ramp.cells.size:
            return None
        return float(ramp.project(activity[None, self._anterior])[0])

    def _snapshot(self, stimulus: Values) -> Snapshot:
        pending = self.commit()
        texture = {name: moments.copy() for name, moments in self._texture.items()}
        grey, grid = self._grey.copy(), self._grid.copy()
        for index, rows in pending.items():
            _add_rows(self._records[index].stimulus, rows, texture, grey, grid)
        groups = [self._groups == NAMES.index(area) for area in AREAS]
        sets = [[self._even.choose(pair, own) for own in groups] for pair in self._task.contrasts]
        directions = [
            [direction(own, texture[a].sd() + texture[b].sd(), grey.mean()) for own in by_area]
            for (a, b), by_area in zip(self._task.contrasts, sets, strict=True)
        ]
        return Snapshot(
            tuple(self._records),
            self._task.contrasts,
            self._task.rewarded,
            self._seed,
            self._groups,
            self._anterior,
            stimulus,
            sets,
            directions,
            grid,
            self._rows,
            pending,
            self._means,
            self._frames,
            self._frame_moments.copy(),
            np.array(self._scanned_t, np.int64),
        )

    def commit(self) -> dict[int, Values]:
        """Add the rows of trials that are final to the moments; return the rows of the others."""
        pending: dict[int, Values] = {}
        for index in range(self._committed, len(self._records)):
            rows = self._tuning.exact_rows(index)
            self._means.write(index, rows[BINS_BEFORE_CUE].mean(axis=0))
            if pending or not self._tuning.is_final(index):
                pending[index] = rows
                continue
            stimulus = self._records[index].stimulus
            _add_rows(stimulus, rows, self._texture, self._grey, self._grid)
            self._committed += 1
        return pending


def _add_rows(
    stimulus: str, rows: Values, texture: dict[str, Moments], grey: Moments, grid: Moments
) -> None:
    """Add the rows of a trial, (60, cells), to the moments of interpolated activity."""
    if stimulus in texture:
        for row in rows[TEXTURE_BINS]:
            texture[stimulus].add(row)
    for row in rows[GREY_BINS]:
        grey.add(row)
    for row in rows:
        grid.add(row)
