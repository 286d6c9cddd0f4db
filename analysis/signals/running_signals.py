"""The running signals of a session, kept up to date with each frame: selectivity and tuning."""

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import NAMES
from analysis.cells.model import disc, gathered
from analysis.extraction.strip import PipelineSettings
from analysis.extraction.traces import Floats, Traces, TraceSettings
from analysis.extraction.volume import Volume
from analysis.jit import compiled
from analysis.registration.reference_images import ReferenceImages
from analysis.registration.rigid import MotionSettings
from analysis.signals.selectivity import Selectivity, fractions, selective_fraction
from analysis.signals.tuning import TrialStore, Tuning
from rig.messages import CellSignals, Frame, Position, TrialEnd, TrialStart


class RunningSignals:
    """What the frames of a session add up to, without its aborted trials."""

    def __init__(
        self,
        selectivity: Selectivity,
        store: TrialStore | None,
        groups: NDArray[np.uint8],
        selective_at: float,
    ) -> None:
        """Begin without having seen a frame; groups is each cell's place in areas.NAMES.

        Each cell's tuning in each trial is kept in the store, if there is one.
        """
        self._selectivity, self._groups, self._at = selectivity, groups, selective_at
        self.tuning = Tuning(store, self._tell)
        self._trials: dict[int, TrialStart] = {}
        self._d_prime = selectivity.d_prime()
        self._selective: _Selective | None = None
        self._told: list[tuple[int, Floats]] = []

    def learn(self, message: TrialStart | TrialEnd) -> None:
        """Take in that a trial begins, or that one was aborted."""
        if isinstance(message, TrialStart):
            self.begin(message)
        else:
            self.leave_out(message.trial)

    def begin(self, trial: TrialStart) -> None:
        """Take in a trial; what is no corridor is known to all, and in no signal."""
        self._trials[trial.trial] = trial
        if trial.picture != "corridor":
            self.leave_out(trial.trial)

    def leave_out(self, trial: int) -> None:
        """Forget a trial."""
        self._selectivity.abort(trial)
        self.tuning.leave_out(trial)

    def decoded(self, frame: Frame, position: Position, activity: Floats) -> CellSignals:
        """Take in the final activity of a frame, (cells,), and return what is known after it."""
        trial = self._trials.get(position.trial)
        moving = trial is not None and position.moving and position.position_m >= 0
        if trial is not None and moving and position.position_m < trial.texture_m:
            self._selectivity.add(trial.trial, trial.stimulus, activity)
        self._d_prime = self._selectivity.d_prime()
        self._selective, self._told = None, []
        if trial is not None and moving and trial.picture == "corridor":
            length_m = trial.texture_m + trial.grey_m
            self.tuning.add(trial.trial, position.position_m / length_m, activity)
        tuning = [means for _, means in self._told]
        return CellSignals(
            frame.t,
            frame.index,
            position.trial,
            None if trial is None else trial.stimulus,
            position.position_m,
            position.moving,
            activity.astype("<f4").tobytes(),
            self._d_prime.astype("<f4").tobytes(),
            selective_fraction(self._d_prime, self._at),
            fractions(self._d_prime, self._groups).astype("<f4").tobytes(),
            tuple(point for point, _ in self._told),
            np.asarray(tuning, "<f4").tobytes(),
            self._selectivity.undefined(),
        )

    def _tell(self, point: int, row: Floats) -> None:
        if self._selective is None:
            self._selective = _selective(self._d_prime, self._groups, self._at)
        self._told.append((point, self._selective.means(row)))


@dataclass(frozen=True)
class _Selective:
    """The selective cells, in which kind each is (2 * group + (d' < 0)), and each kind's count."""

    cells: NDArray[np.uint32]
    kinds: NDArray[np.uint8]
    counts: NDArray[np.float64]

    def means(self, row: Floats) -> Floats:
        """Return the mean activity, (cells,), of each group and sign: (NAMES, 2); NaN: of none."""
        kinds = np.zeros(self.counts.size)
        _sum_kinds(row, self.cells, self.kinds, kinds)
        sums, counts = kinds.reshape(-1, 2), self.counts.reshape(-1, 2).copy()
        sums[0], counts[0] = sums.sum(axis=0), counts.sum(axis=0)
        means = np.full(sums.shape, np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means.astype(np.float32)


def _selective(d_prime: Floats, groups: NDArray[np.uint8], at: float) -> _Selective:
    """Find the cells with |d'| >= at; groups is each cell's place in NAMES, 0: in none."""
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


def warm() -> None:
    """Run all compiled loops once on next to nothing, so that no frame waits for a compiler."""
    pixels = disc(8.0, 8.0, 2.0)
    cells = gathered(["0"], [pixels], [np.ones(len(pixels))])
    place = Position(0, 0, 0.0, 0.0, True, "corridor")
    page = np.arange(256, dtype=np.int16).reshape(16, 16)
    signals = RunningSignals(Selectivity("a", "b", 1), None, np.zeros(1, np.uint8), 0.3)
    signals.begin(TrialStart(0, 0, "a", None, False, 1.0, 1.0, None, "none", 0.0))
    lag = TraceSettings(deconvolution_lag_frames=0)
    how = PipelineSettings(lag, MotionSettings(), ReferenceImages())
    volume, traces = Volume(cells, (), (16, 16), how), Traces(1, lag)
    for index in range(2):
        frame = Frame(0, index, "", 0, 16, 16, 0.0, pixels=page)
        values = volume.add(frame, float(index))
        activity = None if values is None else traces.add(values, float(index))
        if activity is not None:
            at = msgspec.structs.replace(place, position_m=0.5 * index)
            signals.decoded(frame, at, activity)
