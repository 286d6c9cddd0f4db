"""Learning signals after each trial agree with the study's definitions on the recording so far.

The definitions are written out here in plain NumPy (float64), independently of the product.
"""

from contextlib import closing
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.cells.areas import groups_of
from analysis.signals import learning_job
from analysis.signals.reward_prediction import fold_of
from analysis.signals.running_signals import RunningSignals
from analysis.signals.scratch import ScratchRows
from analysis.signals.similarity import similarity_index
from analysis.signals.task_signals import TaskSignals
from analysis.signals.trial_records import PlacedLick
from rig.messages import Cue, Frame, LearningSignals, Message, Position, TrialEnd
from tests.analysis.logs import corridor, standing
from tests.analysis.signals.test_tuning import by_definition

Values = NDArray[np.float64]

CELLS, SEED, STEP = 90, 5, 100
AREA = np.resize(np.array([8, 3, 4, 0, 5, 3, 4, -1, 9, 6, 3], np.int16), CELLS)
AREAS = {"V1": (8,), "medial": (0, 1, 2, 9), "lateral": (5, 6), "anterior": (3, 4)}
PAIRS = (("leaf1", "circle1"), ("leaf2", "circle1"), ("leaf1", "leaf2"))
TASK = TaskSignals(contrasts=PAIRS, reference=PAIRS[0], rewarded="leaf1")

STAGES = {
    "train1": ("leaf1", "circle1"),
    "test1": ("leaf1", "circle1", "leaf2", "circle2"),
    "train2": ("leaf1", "leaf2", "circle1"),
    "test3": ("leaf1", "leaf1_swap1", "leaf1_swap2", "leaf2", "circle1"),
    "the rewarded stimulus never shown": ("circle1", "leaf2"),
}


class Recorded(NamedTuple):
    """A frame: its trial (-1: none), stimulus, position, and activity."""

    trial: int
    stimulus: str
    position: Position
    activity: NDArray[np.float32]
    t: int


class Made(NamedTuple):
    frames: list[Recorded]
    outcomes: list[str]
    cues: dict[int, tuple[int, float]]
    licks: list[PlacedLick]


def session(seed: int, stimuli: tuple[str, ...], trials: int) -> Made:
    """A session with stops, missing frames, aborted trials, trials without licks, and grey."""
    rng = np.random.default_rng(seed)
    gain = rng.uniform(0, 3, (len(stimuli), CELLS))
    peak = rng.uniform(0, 4, CELLS)
    made = Made([], [], {}, [])
    t = 0
    for trial in range(trials):
        which = int(rng.integers(len(stimuli)))
        outcome = "aborted" if trial % 7 == 6 else "done"
        stop_m = 3.0 if outcome == "aborted" else float(rng.uniform(5.0, 5.95))
        made.outcomes.append(outcome)
        cue_m, position_m = float(rng.uniform(0.5, 2.5)), 0.0
        licks = rng.random() < 0.7
        while position_m < stop_m:
            t += STEP
            moving = bool(rng.random() > 0.15)
            position_m += float(rng.uniform(0.05, 0.25)) if moving else 0.0
            if trial not in made.cues and position_m >= cue_m:
                made.cues[trial] = (t - 30, position_m)
            if licks and position_m > 1.5 and rng.random() < 0.2:
                made.licks.append(PlacedLick(t - 10, trial, position_m))
            if rng.random() < 0.1:
                continue  # the frame is missing
            bump = 2 * np.exp(-((position_m - peak) ** 2))
            late = (cue_m > 1.5) * rng.uniform(0, 2, CELLS) * (np.arange(CELLS) % 5 == 0)
            activity = rng.exponential(1 + 20 * gain[which] * (bump + late))
            activity *= rng.random(CELLS) < 0.6
            activity[0] = 0.0  # a cell that is never active
            place = standing(t, trial, min(position_m, 5.99), moving)
            made.frames.append(
                Recorded(trial, stimuli[which], place, activity.astype(np.float32), t)
            )
        for _ in range(int(rng.integers(0, 3))):
            t += STEP
            still = standing(t, -1, 0.0, moving=False)
            grey = rng.exponential(1, CELLS).astype(np.float32)
            made.frames.append(Recorded(-1, "", still, grey, t))
    return made


def streamed(made: Made) -> list[LearningSignals]:
    """Run a session through the product."""
    messages: list[Message] = []
    last = -1
    ends = {f.trial: f.t for f in made.frames if f.trial >= 0}
    with closing(ScratchRows(None, CELLS)) as store:
        signals = RunningSignals(TASK, groups_of(AREA), 0.3, store, SEED)

        def end(trial: int) -> None:
            for lick in made.licks:
                if lick.trial == trial:
                    signals.add_lick(lick)
            outcome: Literal["done", "aborted"] = (
                "aborted" if made.outcomes[trial] == "aborted" else "done"
            )
            signals.handle_trial(TrialEnd(ends[trial] + 1, trial, outcome))

        for index, one in enumerate(made.frames):
            if last >= 0 and one.trial != last:
                end(last)
                last = -1
            if one.trial >= 0 and last < 0:
                signals.handle_trial(corridor(one.trial, one.stimulus, one.t - STEP))
                if one.trial in made.cues:
                    t, position_m = made.cues[one.trial]
                    signals.add_cue(Cue(t, one.trial, position_m))
                last = one.trial
            frame = Frame(one.t, index, "", 0, 1, 1, 0.0)
            messages += signals.add_frame(frame, one.position, one.activity, one.t)
        if last >= 0:
            end(last)
        messages += signals.finish(made.frames[-1].t)
    return [message for message in messages if isinstance(message, LearningSignals)]


def d_prime(a: Values, b: Values) -> Values:
    out = np.full(CELLS if a.ndim < 2 else a.shape[1], np.nan)
    if len(a) and len(b):
        spread = a.std(axis=0) + b.std(axis=0)
        np.divide(2 * (a.mean(axis=0) - b.mean(axis=0)), spread, out=out, where=spread > 0)
    return out


class Definition:
    """The study's definitions of these signals, on a whole recording."""

    def __init__(self, made: Made, frames: list[Recorded], completed: list[int]) -> None:
        self.made, self.completed = made, completed
        self.x = np.array([f.activity for f in frames], np.float64)
        self.t = np.array([f.t for f in frames])
        self.index = np.array(
            [completed.index(f.trial) if f.trial in completed else -1 for f in frames]
        )
        self.moving = np.array([f.position.moving for f in frames]) & (self.index >= 0)
        self.in_texture = np.array([f.position.position_m < 4.0 for f in frames])
        of = {f.trial: f.stimulus for f in frames}
        self.stimulus = np.array([of[trial] for trial in completed], object)
        self.frame_stimulus = np.array([f.stimulus for f in frames], object)
        places = [f.position.position_m / 6.0 for f in frames]
        kept = [
            (int(self.index[n]), places[n], frames[n].activity)
            for n in range(len(frames))
            if self.moving[n]
        ]
        self.grid = by_definition(kept, len(completed))
        self.fold = np.array([fold_of(n, SEED) for n in range(len(completed))])

    def texture(self, stimulus: str, even: bool = False) -> Values:
        own = self.moving & self.in_texture & (self.frame_stimulus == stimulus)
        return np.asarray(self.x[own & (self.index % 2 == 0)] if even else self.x[own])

    def late_early(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Values]:
        cue = np.array([self.made.cues[trial][1] for trial in self.completed])
        rewarded = self.stimulus == "leaf1"
        late = cue > cue.mean()
        m = self.grid[:, 5:40].mean(axis=1)
        return late & rewarded, ~late & rewarded, m

    def frame_of(self, t: float) -> int:
        return int(np.argmin(np.abs(self.t - t)))

    def populations(self) -> list[NDArray[np.intp]]:
        late, early, m = self.late_early()
        anterior = np.flatnonzero(np.isin(AREA, AREAS["anterior"]))
        z = (self.x - self.x.mean(axis=0)) / np.where(self.x.std(axis=0) > 0, self.x.std(axis=0), 1)
        at_cue = np.array([z[self.frame_of(self.made.cues[t][0])] for t in self.completed])
        sets = []
        for fold in range(10):
            train = self.fold != fold
            stimulus = d_prime(
                at_cue[train & (self.stimulus == "leaf1")],
                at_cue[train & (self.stimulus == "circle1")],
            )[anterior]
            le = d_prime(m[train & late], m[train & early])[anterior]
            if np.isnan(le).all():
                sets.append(anterior[:0])
                continue
            limit = np.nanpercentile(le, 95)
            sets.append(anterior[(stimulus > 0.3) & (le >= limit)])
        return sets

    def ramps(self) -> tuple[Values, Values, Values]:
        n = len(self.completed)
        by_position, cue, lick = np.full((n, 60), np.nan), *np.full((2, n, 30), np.nan)
        flat = self.grid.reshape(-1, CELLS)
        zg = (self.grid - flat.mean(axis=0)) / flat.std(axis=0)
        zf = (self.x - self.x.mean(axis=0)) / self.x.std(axis=0)
        sets = self.populations()
        for i, trial in enumerate(self.completed):
            own = sets[self.fold[i]]
            if not own.size:
                continue
            by_position[i] = zg[i][:, own].mean(axis=1)
            licks = [lick.t for lick in self.made.licks if lick.trial == trial]
            for out, event in ((cue, self.made.cues[trial][0]), (lick, min(licks, default=None))):
                if event is None:
                    continue
                f = self.frame_of(event)
                for k in range(-15, 15):
                    if 0 <= f + k < len(self.x):
                        out[i, k + 15] = zf[f + k][own].mean()
        return by_position, cue, lick

    def sets(self, pair: tuple[str, str], area: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        a, b = (self.texture(name, even=True) for name in pair)
        grey = self.x[self.moving & ~self.in_texture & (self.index % 2 == 0)]
        unknown = np.full(CELLS, np.nan)
        means = [v.mean(axis=0) if len(v) else unknown for v in (a, b, grey)]
        d = d_prime(a, b)
        own = np.isin(AREA, AREAS[area]) & ~np.isnan(d)
        own &= (means[0] > means[2]) | (means[1] > means[2])
        cells = np.flatnonzero(own)
        if not cells.size:
            return cells, cells
        low, high = np.percentile(d[cells], [5, 95])
        return cells[d[cells] >= high], cells[d[cells] <= low]

    def projection(self, pair: tuple[str, str], area: str) -> Values:
        top, bottom = self.sets(pair, area)
        g = self.grid[:, 42:52].reshape(-1, CELLS).mean(axis=0)
        sds = []
        for name in pair:
            own = self.grid[self.stimulus == name][:, :40].reshape(-1, CELLS)
            sds.append(own.std(axis=0) if len(own) else np.full(CELLS, np.nan))
        out = np.full((len(self.completed), 70), np.nan)
        if not top.size or not bottom.size or np.isnan(sds[0] + sds[1]).any():
            return out
        spread = np.where(sds[0] + sds[1] > 0, sds[0] + sds[1], np.nan)
        x = 2 * (self.grid - g) / spread
        p = np.nanmean(x[:, :, top], axis=2) - np.nanmean(x[:, :, bottom], axis=2)
        for i, name in enumerate(self.stimulus):
            if name not in pair or i % 2 == 1:
                out[i, 10:] = p[i]
                if i:
                    out[i, :10] = p[i - 1, 50:]
        return out


def check(message: LearningSignals, wanted: Definition) -> dict[str, int]:
    """Compare a message with the definition; return how much of it is defined."""
    n = len(wanted.completed)
    late, early, m = wanted.late_early()
    near: dict[str, Any] = {"rtol": 1e-6, "atol": 2e-6}
    le = d_prime(m[late], m[early])
    np.testing.assert_allclose(np.frombuffer(message.late_early, "<f4"), le, **near)
    stimulus = d_prime(wanted.texture("leaf1"), wanted.texture("circle1"))
    predicts = (le >= 0.3) & (stimulus >= 0)
    groups = [np.ones(CELLS, bool), *(np.isin(AREA, ids) for ids in AREAS.values())]
    shares = [(predicts & own).sum() / own.sum() for own in groups]
    np.testing.assert_allclose(np.frombuffer(message.predicting, "<f4"), shares, rtol=1e-6)
    assert message.population == tuple(own.size for own in wanted.populations())
    ramps = (message.ramp_by_position, message.ramp_from_cue, message.ramp_from_lick)
    defined = 0
    for got, ramp in zip(ramps, wanted.ramps(), strict=True):
        np.testing.assert_allclose(np.frombuffer(got, "<f4"), ramp.reshape(-1), **near)
        defined += int((~np.isnan(ramp)).sum())
    projections = np.frombuffer(message.projections, "<f4").reshape(len(PAIRS), 4, n, 70)
    similar = np.frombuffer(message.similarity, "<f4").reshape(len(PAIRS), 4, -1, 2)
    names = list(message.stimuli)
    projected = 0
    for c, (a, b) in enumerate(PAIRS):
        for area_number, area in enumerate(AREAS):
            p = wanted.projection((a, b), area)
            top, bottom = wanted.sets((a, b), area)
            assert message.top[c * len(AREAS) + area_number] == tuple(top)
            assert message.bottom[c * len(AREAS) + area_number] == tuple(bottom)
            np.testing.assert_allclose(projections[c, area_number], p, rtol=1e-6, atol=1e-5)
            projected += int((~np.isnan(p)).sum())
            value = p[:, 10:50].mean(axis=1)
            mean = {}
            for name in {*names, a, b}:
                own = value[(wanted.stimulus == name) & ~np.isnan(value)]
                mean[name] = own.mean() if own.size else np.nan
            for number, name in enumerate(names):
                si = (abs(mean[name] - mean[b]) - abs(mean[a] - mean[name])) / (mean[a] - mean[b])
                signed, absolute = similar[c, area_number, number]
                np.testing.assert_allclose(signed, si, rtol=1e-4, atol=1e-4)
                si *= np.sign(mean[a] - mean[b])
                np.testing.assert_allclose(absolute, si, rtol=1e-4, atol=1e-4)
            check_sequences(message, wanted, c, area_number)
    check_licks(message, wanted)
    split = int((~np.isnan(np.frombuffer(message.ramp_by_lick, "<f4"))).sum())
    return {"ramp": defined, "projection": projected, "split": split}


def check_licks(message: LearningSignals, wanted: Definition) -> None:
    """Figure 4f of the study: the mean of bins 0-39, of trials with no lick and with licks there.

    The study's functions: lickCount(def_range=[0, 40])["inRange"], and resp[:, 0:40].mean(1).
    """
    in_texture = {lick.trial for lick in wanted.made.licks if 0 <= lick.position_m <= 4.0}
    licked = np.array([trial in in_texture for trial in wanted.completed])
    assert message.licked == tuple(licked.tolist())
    signal = wanted.ramps()[0][:, 0:40].mean(axis=1)
    got = np.frombuffer(message.ramp_by_lick, "<f4").reshape(len(message.stimuli), 2)
    for name, row in zip(message.stimuli, got, strict=True):
        for value, kind in zip(row, (~licked, licked), strict=True):
            own = signal[kind & (wanted.stimulus == name)]
            own = own[~np.isnan(own)]
            np.testing.assert_allclose(
                value, own.mean() if own.size else np.nan, rtol=1e-6, atol=1e-6
            )


def check_sequences(message: LearningSignals, wanted: Definition, c: int, area: int) -> None:
    a = PAIRS[c][0]
    top, _ = wanted.sets(PAIRS[c], list(AREAS)[area])
    flat = wanted.grid.reshape(-1, CELLS)
    z = (wanted.grid - flat.mean(axis=0)) / np.where(flat.std(axis=0) > 0, flat.std(axis=0), 1)
    odd = [i for i, name in enumerate(wanted.stimulus) if name == a and i % 2 == 1]

    def peaks(trials: list[int], order: list[int]) -> Values | None:
        if not trials or not top.size:
            return None
        mean = z[trials][:, order][:, :, top].mean(axis=0)
        return np.asarray(np.argmax(mean, axis=0), np.float64)

    run = list(range(40))
    first = peaks(odd[0::2], run)
    values = np.frombuffer(message.sequence[c], "<f4").reshape(4, -1)[area]
    for name, got in zip(message.comparisons[c], values, strict=True):
        order = run
        if name == "second half":
            trials = odd[1::2]
        else:
            stimulus = name.removesuffix(" unswapped")
            trials = [i for i, other in enumerate(wanted.stimulus) if other == stimulus]
            if stimulus != name:
                order = (
                    [*range(30, 40), *range(30)]
                    if "swap1" in name
                    else [*range(20, 40), *range(20)]
                )
        second = peaks(trials, order)
        ok = first is not None and second is not None and len(first) > 1
        if not ok or first is None or second is None or not first.std() or not second.std():
            assert np.isnan(got), name
        else:
            np.testing.assert_allclose(got, np.corrcoef(first, second)[0, 1], rtol=1e-6)


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:Mean of empty", "ignore:Degrees")
@pytest.mark.parametrize("trials", [1, 2, 33])
@pytest.mark.parametrize("stage", STAGES)
def test_after_each_trial_every_learning_signal_agrees_with_its_definition(
    stage: str, trials: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning_job, "VALUES_PER_STEP", 40_000)  # several frames a job
    made = session(list(STAGES).index(stage), STAGES[stage], trials)
    messages = streamed(made)
    completed = [n for n, outcome in enumerate(made.outcomes) if outcome == "done"]
    assert [m.trial for m in messages] == [*completed, completed[-1]]
    most = {"ramp": 0, "projection": 0, "split": 0}
    for number, message in enumerate(messages):
        so_far = completed[: message.trials]
        ended = max(n for n, f in enumerate(made.frames) if f.trial == message.trial)
        frames = made.frames if message.final else made.frames[: ended + 1]
        if number % 4 == 0 or message.final:
            found = check(message, Definition(made, frames, so_far))
            most = {name: max(most[name], count) for name, count in found.items()}
    if trials > 2:
        assert most["projection"] > 1000
    if trials > 2 and "never" not in stage:
        assert most["ramp"] > 100
        assert most["split"] >= 4
    if "never" in stage:
        assert any(
            "reward prediction: no late and no early cue" in w for w in messages[-1].undefined
        )


def test_steps_spread_over_frames_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    made = session(3, STAGES["train2"], 20)
    at_once = streamed(made)
    monkeypatch.setattr(learning_job, "VALUES_PER_STEP", 20_000)
    spread = streamed(made)
    assert [m.t for m in at_once] != [m.t for m in spread]
    for a, b in zip(at_once, spread, strict=True):
        for name in LearningSignals.__struct_fields__[1:]:
            assert repr(getattr(a, name)) == repr(getattr(b, name)), name


def test_each_fold_has_one_of_ten_consecutive_trials() -> None:
    folds = [fold_of(n, SEED) for n in range(200)]
    for first in range(0, 200, 10):
        assert sorted(folds[first : first + 10]) == list(range(10))
    assert folds != [fold_of(n, SEED + 1) for n in range(200)]


def test_the_similarity_index_has_two_forms() -> None:
    assert similarity_index(1.0, 2.0, -2.0, "signed") == pytest.approx((3 - 1) / 4)
    assert similarity_index(1.0, -2.0, 2.0, "signed") == pytest.approx((1 - 3) / -4)
    assert similarity_index(1.0, -2.0, 2.0, "absolute") == pytest.approx((1 - 3) / 4)
    assert np.isnan(similarity_index(1.0, 2.0, 2.0, "signed"))
