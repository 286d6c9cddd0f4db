"""Compute the signals of all trials so far, after a completed trial, in steps.

A step is short enough to run within one imaging frame. Steps are measured in values read, not in
time, so that a replay has the same steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import GROUPS, NAMES
from analysis.signals import reward_prediction as prediction
from analysis.signals.coding_direction import (
    BINS_BEFORE,
    TEXTURE_BINS,
    Direction,
    Sets,
    is_shown,
    mean_direction,
)
from analysis.signals.moments import Moments, d_prime
from analysis.signals.scratch import ScratchRows
from analysis.signals.selectivity import Contrast
from analysis.signals.sequence import is_swap, peak_correlation, unswapped
from analysis.signals.similarity import Form, similarity_index
from analysis.signals.trial_records import TrialRecord
from analysis.signals.tuning import BINS

Values = NDArray[np.float64]
Floats = NDArray[np.float32]

VALUES_PER_STEP = 60_000_000
"""Approximate number of values that a step reads; more if the job would need over MAX_STEPS."""
MAX_STEPS = 22
"""Approximate number of frames within which the rows of all trials are read. A job ends a few
frames later, in less than 10 s, the shortest duration of a trial."""
_SNAPSHOT_ROWS = 1200
"""Cost of the snapshot at the start of a job, as the number of rows read in the same time."""
FORMS: tuple[Form, ...] = ("signed", "absolute")
"""The two forms of the similarity index, in the order in which they are published."""


@dataclass(frozen=True)
class Snapshot:
    """The data that a job reads; later frames do not change it."""

    records: Sequence[TrialRecord]
    contrasts: Sequence[Contrast]
    rewarded: str
    seed: int
    groups: NDArray[np.uint8]
    anterior: NDArray[np.intp]
    stimulus: Values
    """d' of the reference contrast: (cells,)."""
    sets: Sequence[Sequence[Sets]]
    """The cells of each coding direction: contrasts x areas."""
    directions: Sequence[Sequence[Direction]]
    """The coding directions: contrasts x areas."""
    grid: Moments
    """Mean and standard deviation of interpolated activity over all trials and bins."""
    rows: ScratchRows
    """Interpolated activity: 60 rows per trial."""
    pending: Mapping[int, Values]
    """Rows of the trials that later frames may still change, by trial index: (60, cells)."""
    trial_means: ScratchRows
    """Mean activity of each trial over bins 5-39: one row per trial."""
    frames: ScratchRows
    """Activity of the anterior cells: one row per frame."""
    frame_moments: Moments
    """Mean and standard deviation of the anterior cells over all frames."""
    scanned_t: NDArray[np.int64]
    """Middle of the scan of each frame, ns."""


@dataclass
class Result:
    """The signals of all trials so far."""

    late_early: Values
    predicts: NDArray[np.bool_]
    folds: NDArray[np.int64]
    """Fold of each trial: (trials,)."""
    population: list[NDArray[np.intp]]
    """Cells of the population of each fold, as indices into the anterior cells."""
    by_position: Values
    """Population signal of each trial by position: (trials, 60)."""
    from_cue: Values
    """Population signal around the cue: (trials, 30)."""
    from_lick: Values
    """Population signal around the first lick: (trials, 30)."""
    by_lick: Values
    """Mean population signal in the texture of trials without and with licks: (stimuli, 2)."""
    projections: Values
    """Projections by position: (contrasts, areas, trials, 70), from 1 m before the corridor."""
    stimuli: tuple[str, ...]
    similarity: Values
    """Similarity index: (contrasts, areas, stimuli, FORMS)."""
    comparisons: tuple[tuple[str, ...], ...]
    """For each contrast: the sets of trials with which the first half of A is compared."""
    sequence: tuple[tuple[tuple[float, ...], ...], ...]
    """Sequence similarity: contrasts x areas x comparisons."""
    sets: Sequence[Sets] = ()
    """The cells of each coding direction: contrasts x areas."""
    undefined: list[str] = field(default_factory=list)


class LearningJob:
    """The computation of the signals of a snapshot: run `steps` to its end, then read `result`."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = self._s = snapshot
        self.ramps: list[Direction] = []
        """For each fold, the direction that gives the population's mean z-scored activity."""
        trials, cells = len(snapshot.records), snapshot.groups.size
        shape = (len(snapshot.contrasts), len(snapshot.directions[0]) if snapshot.contrasts else 0)
        stimuli = tuple(dict.fromkeys(record.stimulus for record in snapshot.records))
        self._names = np.array([record.stimulus for record in snapshot.records], object)
        self._index = np.arange(trials)
        self.result = Result(
            np.full(cells, np.nan),
            np.zeros(cells, bool),
            np.array([prediction.fold_of(i, snapshot.seed) for i in range(trials)], np.int64),
            [np.zeros(0, np.intp)] * prediction.FOLDS,
            np.full((trials, BINS), np.nan),
            np.full((trials, 30), np.nan),
            np.full((trials, 30), np.nan),
            np.full((len(stimuli), 2), np.nan),
            np.full((*shape, trials, BINS_BEFORE + BINS), np.nan),
            stimuli,
            np.full((*shape, len(stimuli), len(FORMS)), np.nan),
            (),
            (),
        )
        self.result.sets = [own for by_area in snapshot.sets for own in by_area]
        total = trials * BINS * (cells + snapshot.anterior.size)
        self._values_per_step = max(VALUES_PER_STEP, total // MAX_STEPS)
        self._read = _SNAPSHOT_ROWS * cells
        self._means: Values = np.zeros((0, 0))
        self._sums: dict[tuple[int, int, str], tuple[Values, int]] = {}

    def steps(self) -> Iterator[None]:
        """Run the job; yield at the end of each step."""
        self._explain_directions()
        late, early = self._split()
        yield from self._late_early(late, early)
        yield from self._populations(late, early)
        yield from self._trials()
        yield from self._windows()
        self._split_by_lick()
        self._compare()

    def _step_is_full(self, values: int) -> bool:
        self._read += values
        if self._read < self._values_per_step:
            return False
        self._read = 0
        return True

    def _explain_directions(self) -> None:
        """Append the reason why a coding direction, or what is computed from it, is undefined."""
        s, is_even = self._s, self._index % 2 == 0
        for c, contrast in enumerate(s.contrasts):
            name = f"coding direction {' - '.join(contrast)}"
            for parity, own in (("even", is_even), ("odd", ~is_even)):
                absent = [n for n in contrast if not (own & (self._names == n)).any()]
                if absent:
                    why = f"{name}: no {parity} trial of {' and '.join(absent)} yet"
                    self.result.undefined.append(why)
            for area, direction in zip(GROUPS, s.directions[c], strict=True):
                if not (s.groups == NAMES.index(area)).any():
                    self.result.undefined.append(f"{name}: no cell is in a {area} area")
                elif np.isnan(direction.offset) and len(set(self._names) & set(contrast)) == 2:
                    self.result.undefined.append(
                        f"{name}: no {area} cell is more active in the texture than in grey"
                    )

    def _split(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        cue_m = np.array([record.cue_m for record in self._s.records], np.float64)
        rewarded = np.asarray(self._names == self._s.rewarded, bool)
        late, early = prediction.late_and_early(cue_m, rewarded)
        if not self._s.rewarded:
            self.result.undefined.append("reward prediction: the task names no rewarded stimulus")
        elif not late.any() or not early.any():
            kinds = [k for k, own in (("late", late), ("early", early)) if not own.any()]
            self.result.undefined.append(
                f"reward prediction: no {' and no '.join(kinds)} cue yet in a trial of "
                f"{self._s.rewarded}"
            )
        return late, early

    def _late_early(self, late: NDArray[np.bool_], early: NDArray[np.bool_]) -> Iterator[None]:
        cells = self._s.groups.size
        moments = {True: Moments(cells), False: Moments(cells)}
        used = np.flatnonzero(late | early)
        self._means = np.zeros((used.size, self._s.anterior.size))
        for number, index in enumerate(used):
            row = self._s.trial_means.read(int(index), 1)[0]
            moments[bool(late[index])].add(row)
            self._means[number] = row[self._s.anterior]
            if self._step_is_full(12 * cells):
                yield
        self.result.late_early = d_prime(moments[True], moments[False])
        self.result.predicts = prediction.predicts_reward(self.result.late_early, self._s.stimulus)

    def _populations(self, late: NDArray[np.bool_], early: NDArray[np.bool_]) -> Iterator[None]:
        """Select the cells of each fold in the trials of the other folds."""
        s, anterior = self._s, self._s.anterior.size
        if not anterior:
            self.result.undefined.append("population signal: no cell is in an anterior area")
        if not anterior or not s.contrasts or not (late.any() and early.any()):
            return
        used = np.flatnonzero(late | early)
        cue_t = np.array([record.cue_t for record in s.records], np.float64)
        cue_frame = prediction.nearest_frames(cue_t, s.scanned_t)
        pair = {
            name: self._index[(self._names == name) & (cue_frame >= 0)] for name in s.contrasts[0]
        }
        at_cue = {
            name: np.array([s.frames.read(int(cue_frame[i]), 1)[0] for i in own], np.float64)
            for name, own in pair.items()
        }
        cue_values = sum(rows.size for rows in at_cue.values())
        if self._step_is_full(8 * cue_values):
            yield
        a, b = s.contrasts[0]
        for fold in range(prediction.FOLDS):
            train = self.result.folds != fold
            rows = self._means[train[used]]
            is_late = late[used][train[used]]
            stimulus = prediction.d_prime_of_rows(
                *(at_cue[name].reshape(-1, anterior)[train[pair[name]]] for name in (a, b))
            )
            late_early = prediction.d_prime_of_rows(rows[is_late], rows[~is_late])
            chosen = prediction.population(late_early, stimulus)
            self.result.population[fold] = np.flatnonzero(chosen)
            if self._step_is_full(12 * (rows.size + cue_values)):
                yield
        empty = [str(f) for f, own in enumerate(self.result.population) if not own.size]
        if empty:
            self.result.undefined.append(
                f"population signal: no cell is selected in fold {', '.join(empty)}"
            )

    def _trials(self) -> Iterator[None]:
        """Read the rows of all trials once; compute projections, population signal and means."""
        s = self._s
        ramps = [mean_direction(s.anterior[own], s.grid) for own in self.result.population]
        needed = self._needed_cells(ramps)
        ramps = [ramp.among(needed) for ramp in ramps]
        directions = [[d.among(needed) for d in by_area] for by_area in s.directions]
        tops = [[np.searchsorted(needed, own.top) for own in by_area] for by_area in s.sets]
        buffer = np.empty((BINS, s.groups.size), np.float32)
        before: Floats | Values | None = None
        for index, record in enumerate(s.records):
            rows: Floats | Values | None = s.pending.get(index)
            if rows is None:
                rows = s.rows.read(BINS * index, BINS, buffer)
            rows = rows.take(needed, axis=1)
            self.result.by_position[index] = ramps[self.result.folds[index]].project(rows)
            for c, contrast in enumerate(s.contrasts):
                for area, direction in enumerate(directions[c]):
                    if is_shown(record.stimulus, index, contrast):
                        out = self.result.projections[c, area, index]
                        out[BINS_BEFORE:] = direction.project(rows)
                        if before is not None:
                            out[:BINS_BEFORE] = direction.project(before)
                    self._add_to_sums(c, area, index, rows[TEXTURE_BINS, tops[c][area]])
            before = rows[BINS - BINS_BEFORE :]
            if self._step_is_full(BINS * s.groups.size):
                yield

    def _needed_cells(self, ramps: list[Direction]) -> NDArray[np.intp]:
        """Return the indices of the cells of all sets, sorted; no other columns are read."""
        own = [direction.cells for by_area in self._s.directions for direction in by_area]
        own += [sets.top for by_area in self._s.sets for sets in by_area]
        return np.unique(np.concatenate([*own, *(ramp.cells for ramp in ramps)])).astype(np.intp)

    def _add_to_sums(self, c: int, area: int, index: int, texture: Floats | Values) -> None:
        """Add a trial to the mean activity of its set: half of A's odd trials, or its stimulus."""
        name, a = self._s.records[index].stimulus, self._s.contrasts[c][0]
        if name == a:
            if index % 2 == 0:
                return
            odd = int(np.sum((self._names[:index] == a) & (self._index[:index] % 2 == 1)))
            name = "first half" if odd % 2 == 0 else "second half"
        texture = texture.astype(np.float64)
        total, count = self._sums.get((c, area, name), (np.zeros_like(texture), 0))
        self._sums[c, area, name] = (total + texture, count + 1)

    def _windows(self) -> Iterator[None]:
        """Read the frames around each cue and first lick."""
        s = self._s
        ramps = self.ramps = [
            mean_direction(own, s.frame_moments) for own in self.result.population
        ]
        buffer = np.empty((prediction.WINDOW[1] - prediction.WINDOW[0], s.frames.cells), np.float32)
        for name, out in (("cue_t", self.result.from_cue), ("lick_t", self.result.from_lick)):
            times = np.array([getattr(record, name) for record in s.records], np.float64)
            for index, frame in enumerate(prediction.nearest_frames(times, s.scanned_t)):
                ramp = ramps[self.result.folds[index]]
                if frame < 0 or not ramp.cells.size:
                    continue
                first = frame + prediction.WINDOW[0]
                begin = max(0, int(first))
                end = min(s.scanned_t.size, int(frame) + prediction.WINDOW[1])
                rows = s.frames.read(begin, end - begin, buffer[: end - begin])
                out[index, begin - first : end - first] = ramp.project(rows)
                if self._step_is_full(rows.size):
                    yield

    def _split_by_lick(self) -> None:
        """Average the population signal of each stimulus over trials without and with licks."""
        licked = np.array([record.licked for record in self._s.records], bool)
        values = self.result.by_position[:, TEXTURE_BINS].mean(axis=1)
        self.result.by_lick[:] = prediction.split_by_lick(
            values, self._names, licked, self.result.stimuli
        )

    def _compare(self) -> None:
        """Compute the similarity indices and the sequence similarities."""
        s, result = self._s, self.result
        values = result.projections[..., BINS_BEFORE:][..., TEXTURE_BINS].mean(axis=-1)
        means = {}
        for name in result.stimuli:
            shown = values[..., self._names == name]
            count = np.sum(~np.isnan(shown), axis=-1)
            means[name] = np.divide(
                np.nansum(shown, axis=-1), count, out=np.full(count.shape, np.nan), where=count > 0
            )
        names, sequence = [], []
        for c, (a, b) in enumerate(s.contrasts):
            own = [name for name in result.stimuli if name != a]
            names.append(self._comparisons(a, own))
            by_area = []
            for area in range(len(s.directions[c])):
                for n, name in enumerate(result.stimuli):
                    p_s, p_a, p_b = (
                        float(means[x][c, area]) if x in means else np.nan for x in (name, a, b)
                    )
                    result.similarity[c, area, n] = [
                        similarity_index(p_s, p_a, p_b, form) for form in FORMS
                    ]
                by_area.append(self._sequences(c, area, a, own))
            sequence.append(tuple(by_area))
        result.comparisons, result.sequence = tuple(names), tuple(sequence)

    def _comparisons(self, a: str, others: list[str]) -> tuple[str, ...]:
        names = ["second half", *others]
        swaps = [f"{other} unswapped" for other in others if is_swap(other, a)]
        return (*names, *swaps)

    def _sequences(self, c: int, area: int, a: str, others: list[str]) -> tuple[float, ...]:
        first = self._mean(c, area, "first half")
        values, swaps = [], []
        for name in ("second half", *others):
            rows = self._mean(c, area, name)
            values.append(peak_correlation(first, rows))
            if is_swap(name, a):
                back = None if rows is None else unswapped(rows, name, a)
                swaps.append(peak_correlation(first, back))
        return (*values, *swaps)

    def _mean(self, c: int, area: int, name: str) -> Values | None:
        total, count = self._sums.get((c, area, name), (np.zeros((0, 0)), 0))
        return total / count if count else None
