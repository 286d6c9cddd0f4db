"""After each trial the running signals agree with their definitions on the recording so far."""

import subprocess
import sys
from contextlib import closing
from typing import Literal, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.cells.areas import GROUPS, NAMES, groups_of
from analysis.signals.moments import Moments
from analysis.signals.running_signals import RunningSignals
from analysis.signals.scratch import ScratchRows
from analysis.signals.task_signals import TaskSignals
from analysis.signals.tuning import BINS
from rig.messages import CellSignals, Frame, LearningSignals, Message, Position, TrialEnd
from tests.analysis.logs import corridor, standing
from tests.analysis.nodes import frame
from tests.analysis.signals.test_tuning import by_definition

STAGES = {
    "train1": ("leaf1", "circle1"),
    "test1": ("leaf1", "circle1", "leaf2", "circle2"),
    "train2": ("leaf1", "leaf2", "circle1"),
    "test2": ("leaf1", "leaf2", "leaf3", "circle1"),
    "test3": ("leaf1", "leaf1_swap1", "leaf2", "circle1"),
    "one never shown": ("leaf1", "leaf2"),
}
CELLS = 40
TASK = TaskSignals(contrasts=(("leaf1", "circle1"),), rewarded="leaf1")
AREA = np.arange(CELLS, dtype=np.int16) % 11 - 1

Step = tuple[int, str, Position, NDArray[np.float32]]


class Run(NamedTuple):
    messages: list[Message]
    tuned: NDArray[np.float32]

    def learning(self) -> list[LearningSignals]:
        return [m for m in self.messages if isinstance(m, LearningSignals)]

    def frames(self) -> list[CellSignals]:
        return [m for m in self.messages if isinstance(m, CellSignals)]


def session(seed: int, stimuli: tuple[str, ...], trials: int) -> tuple[list[Step], set[int]]:
    """Frames with stops and gaps; every sixth trial is aborted half-way, but not the first."""
    rng = np.random.default_rng(seed)
    gain = rng.uniform(0, 3, (len(stimuli), CELLS))
    steps: list[Step] = []
    aborted = {t for t in range(1, trials) if t % 6 == 0}
    for trial in range(trials):
        which = int(rng.integers(len(stimuli)))
        position_m = 0.0
        while position_m < (3.0 if trial in aborted else 5.8):
            moving = rng.random() > 0.2
            position_m += float(rng.uniform(0.05, 0.25)) if moving else 0.0
            if rng.random() < 0.1:
                continue  # the frame is missing
            activity = rng.exponential(1 + 50 * gain[which], CELLS) * (rng.random(CELLS) < 0.5)
            activity[0] = 0.0  # a cell that is never active
            place = standing(0, trial, min(position_m, 5.99), moving)
            steps.append((trial, stimuli[which], place, activity.astype(np.float32)))
    return steps, aborted


def run(steps: list[Step], aborted: set[int], trials: int) -> Run:
    """Stream a session; return its messages, and the tuning of all completed trials."""
    messages: list[Message] = []
    last = -1
    with closing(ScratchRows(None, CELLS)) as store:
        signals = RunningSignals(TASK, groups_of(AREA), 0.3, store)
        for at, (trial, stimulus, position, activity) in enumerate(steps):
            if trial != last:
                if last >= 0:
                    signals.handle_trial(TrialEnd(at, last, outcome_of(last, aborted)))
                signals.handle_trial(corridor(trial, stimulus))
                last = trial
            imaged = Frame(at, at, "", 0, 1, 1, 0.0)
            messages += signals.add_frame(imaged, position, activity, at)
        signals.handle_trial(TrialEnd(len(steps), last, outcome_of(last, aborted)))
        still = standing(0, -1, 0.0, moving=False)
        end = Frame(len(steps), len(steps), "", 0, 1, 1, 0.0)
        messages += signals.add_frame(end, still, steps[0][3], len(steps))
        messages += signals.finish(len(steps))
        completed = trials - len(aborted)
        tuned = np.array([signals.tuning.rows(index) for index in range(completed)])
    return Run(messages, tuned)


def outcome_of(trial: int, aborted: set[int]) -> Literal["done", "aborted"]:
    return "aborted" if trial in aborted else "done"


def d_prime_of(steps: list[Step], aborted: set[int]) -> NDArray[np.float64]:
    """The study's definition, on all frames at once."""
    rows: dict[str, list[NDArray[np.float32]]] = {"leaf1": [], "circle1": []}
    for trial, stimulus, place, activity in steps:
        inside = place.moving and place.position_m < 4.0 and trial not in aborted
        if inside and stimulus in rows:
            rows[stimulus].append(activity)
    if not all(rows.values()):
        return np.full(CELLS, np.nan)
    a, b = (np.array(rows[name], np.float64) for name in ("leaf1", "circle1"))
    spread = a.std(axis=0) + b.std(axis=0)
    out = np.full(CELLS, np.nan)
    np.divide(2 * (a.mean(axis=0) - b.mean(axis=0)), spread, out=out, where=spread > 0)
    return out


def shares_of(d_prime: NDArray[np.float64]) -> NDArray[np.float64]:
    """The study's definition: selective cells over all cells of an area, also undefined ones."""
    out = np.full((len(NAMES), 3, 10), np.nan)
    for number, name in enumerate(NAMES):
        own = np.isin(AREA, GROUPS[name]) if name in GROUPS else np.ones(CELLS, bool)
        values = d_prime[own]
        for at, reached in enumerate((np.abs(values), values, -values)):
            out[number, at] = [np.sum(reached >= k / 10) / own.sum() for k in range(1, 11)]
    return out


@pytest.mark.parametrize("trials", [1, 25])
@pytest.mark.parametrize("stage", STAGES)
def test_after_each_trial_each_running_signal_agrees_with_its_definition(
    stage: str, trials: int
) -> None:
    steps, aborted = session(list(STAGES).index(stage), STAGES[stage], trials)
    made = run(steps, aborted, trials)
    learning = made.learning()
    completed = [trial for trial in range(trials) if trial not in aborted]
    assert [m.trial for m in learning] == [*completed, completed[-1]]
    assert [m.trials for m in learning] == [*range(1, len(completed) + 1), len(completed)]
    assert [m.final for m in learning] == [False] * len(completed) + [True]
    for message in learning:
        so_far = [step for step in steps if step[0] <= message.trial]
        wanted = d_prime_of(so_far, aborted)
        got = np.frombuffer(message.d_prime, "<f4")
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)
        assert np.isnan(got).all() == any("texture frame" in why for why in message.undefined)
        assert np.isnan(got[0])
        shares = np.frombuffer(message.fractions, "<f4").reshape(len(NAMES), 3, 10)
        np.testing.assert_array_equal(shares, shares_of(got.astype(float)).astype(np.float32))
        defined = [np.isin(AREA, GROUPS.get(name, AREA)) & ~np.isnan(got) for name in NAMES]
        assert message.defined == tuple(int(d.sum()) for d in defined)
    frames = [
        (completed.index(trial), position.position_m / 6.0, activity)
        for trial, _, position, activity in steps
        if position.moving and trial not in aborted
    ]
    definition = by_definition(frames, len(completed))
    np.testing.assert_allclose(made.tuned, definition, rtol=1e-6, atol=1e-4)
    check_population(made, definition)


def check_population(made: Run, tuned: NDArray[np.float64]) -> None:
    """Each point, when last published: the mean of the cells that were selective at that moment."""
    published: list[CellSignals | LearningSignals] = [*made.frames(), made.learning()[-1]]
    latest = {
        point: (message, at)
        for message in published
        for at, point in enumerate(message.tuned)
        if point < BINS * len(tuned)  # later points belong to an aborted trial at the end
    }
    assert sorted(latest) == list(range(BINS * len(tuned)))
    d_prime = {m: np.frombuffer(m.d_prime, "<f4").astype(float) for m in made.learning()}
    final = made.learning()[-1]
    for point, (message, at) in latest.items():
        row = tuned[point // BINS, point % BINS]
        got = np.frombuffer(message.tuning, "<f4").reshape(-1, len(NAMES), 2)[at]
        if message is not final:
            assert got.shape == (len(NAMES), 2)
            continue
        wanted = np.full((len(NAMES), 2), np.nan)
        for number, name in enumerate(NAMES):
            own = np.isin(AREA, GROUPS[name]) if name in GROUPS else np.ones(CELLS, bool)
            for sign, value in enumerate((d_prime[final], -d_prime[final])):
                chosen = own & (value >= 0.3)
                if chosen.any():
                    wanted[number, sign] = row[chosen].mean()
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-4)


def test_a_session_that_ends_inside_a_trial_gives_the_signals_of_the_completed_ones() -> None:
    """The unfinished trial determined the last points of the one before it; they are corrected."""
    steps, _ = session(5, ("leaf1", "circle1"), 4)
    steps = [step for step in steps if step[2].position_m < 4.5]
    whole = run([step for step in steps if step[0] < 3], set(), 3).learning()[-1]
    signals = RunningSignals(TASK, groups_of(AREA), 0.3)
    messages: list[Message] = []
    for trial in range(4):
        own = [step for step in steps if step[0] == trial]
        signals.handle_trial(corridor(trial, own[0][1]))
        for at, (_, _, position, activity) in enumerate(own):
            imaged = Frame(100 * trial + at, at, "", 0, 1, 1, 0.0)
            messages += signals.add_frame(imaged, position, activity, imaged.t)
        if trial < 3:
            signals.handle_trial(TrialEnd(100 * trial + 99, trial, "done"))
    last = signals.finish(999)[-1]
    assert isinstance(last, LearningSignals)
    assert (last.d_prime, last.fractions) == (whole.d_prime, whole.fractions)
    assert (last.trial, last.trials, last.tuned, last.tuning) == (
        2, 3, whole.tuned, whole.tuning,
    )  # fmt: skip
    assert last.tuned


def test_an_aborted_trial_does_not_affect_later_signals() -> None:
    ends = []
    for trials in (["leaf1", "circle1"], ["leaf1", "aborted", "circle1"]):
        rng, spoiled = np.random.default_rng(3), np.random.default_rng(4)
        signals = RunningSignals(TASK, np.zeros(3, np.uint8), 0.3)
        tuned: dict[int, bytes] = {}
        for number, stimulus in enumerate(trials):
            aborted = stimulus == "aborted"
            signals.handle_trial(corridor(number, "circle1" if aborted else stimulus))
            for i in range(1, 4):
                activity = (spoiled if aborted else rng).exponential(9, 3).astype(np.float32)
                position = standing(0, number, 1.0 + i / 10)
                (last,) = signals.add_frame(frame(0, i, None), position, activity, 0)[-1:]
                assert isinstance(last, CellSignals)
                size = len(last.tuning) // max(1, len(last.tuned))
                tuned |= {p: last.tuning[n * size :][:size] for n, p in enumerate(last.tuned)}
            signals.handle_trial(TrialEnd(0, number, "aborted" if aborted else "done"))
        assert isinstance(last, CellSignals)
        ends.append((last.fractions, last.defined, tuned))
    assert ends[0] == ends[1]
    assert ends[0][1][0] == 3


def test_signals_are_accurate_where_naive_float32_sums_are_not() -> None:
    rng = np.random.default_rng(1)
    values = (rng.normal(0, 40, (20_000, 3)) + 9000).astype(np.float32)
    moments = Moments(3)
    total, squares = np.zeros(3, np.float32), np.zeros(3, np.float32)
    for row in values:
        moments.add(row)
        total += row
        squares += row * row
    wanted = values.astype(np.float64).std(axis=0)
    np.testing.assert_allclose(moments.sd(), wanted, rtol=1e-6)
    naive = squares / np.float32(len(values)) - (total / np.float32(len(values))) ** 2
    assert (np.abs(np.sqrt(np.maximum(naive, 0)) / wanted - 1) > 1e-3).all()


def test_ninety_thousand_cells_and_hundreds_of_trials_stay_below_a_gigabyte() -> None:
    """Rows are written to disk when they are determined, so memory does not grow with trials."""
    code = """
import resource
from contextlib import closing
import numpy as np
from analysis.signals.running_signals import RunningSignals
from analysis.signals.scratch import ScratchRows
from analysis.signals.task_signals import TaskSignals
from rig.messages import Frame, Position, TrialEnd, TrialStart
cells, grown = 90_000, []
with closing(ScratchRows(None, cells)) as store:
    task = TaskSignals(contrasts=(("leaf1", "circle1"),))
    signals = RunningSignals(task, np.zeros(cells, np.uint8), 0.3, store)
    activity = np.random.default_rng(1).exponential(50, cells).astype(np.float32)
    for trial in range(400):
        stimulus = ("leaf1", "circle1")[trial % 2]
        start = TrialStart(0, trial, stimulus, None, False, 4.0, 2.0, None, "none", 0.0)
        signals.handle_trial(start)
        whole = trial % 100 == 99  # one trial in a hundred is written whole, the others dropped
        for step in range(2 if whole else 0):
            position = Position(0, trial, 0.1 + 5.8 * step, 20.0, True, "corridor")
            signals.add_frame(Frame(0, trial, "", 0, 1, 1, 0.0), position, activity, 0)
        signals.handle_trial(TrialEnd(0, trial, "done" if whole else "aborted"))
        grown.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
print(grown[299], grown[-1])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    early_mb, late_mb = (float(text) for text in done.stdout.split())
    assert late_mb < 1000
    assert late_mb - early_mb < 50


def test_each_frame_has_its_mean_activity_by_area() -> None:
    steps, aborted = session(3, STAGES["train1"], 3)
    groups = groups_of(AREA)
    frames = run(steps, aborted, 3).frames()[: len(steps)]
    for signals, (_, _, _, activity) in zip(frames, steps, strict=True):
        means = [activity.mean(dtype=np.float64)]
        means += [activity[groups == k].mean(dtype=np.float64) for k in range(1, len(NAMES))]
        np.testing.assert_allclose(np.frombuffer(signals.area_activity, "<f4"), means, rtol=1e-6)


def test_the_projection_of_a_frame_is_that_of_the_grid_point_where_it_was_taken() -> None:
    """A frame that is scanned at a grid point needs no interpolation."""
    rng, trials = np.random.default_rng(5), 8
    gain = rng.uniform(0, 3, (2, CELLS))
    steps: list[Step] = []
    for trial in range(trials):
        for b in range(BINS):
            activity = rng.exponential(1 + gain[trial // 2 % 2] * (b < 40), CELLS)
            place = standing(0, trial, b / 10, True)
            steps.append((trial, STAGES["train1"][trial // 2 % 2], place, activity.astype("<f4")))
    compared = 0
    of_bin: dict[int, NDArray[np.float32]] = {}
    before: Message | None = None
    for message in run(steps, set(), trials).messages:
        last, before = before, message
        if not isinstance(message, CellSignals):
            of_bin.clear()  # other directions from here on
            continue
        if not isinstance(last, CellSignals):
            continue
        own = np.frombuffer(message.area_projection, "<f4")
        of_bin[BINS * message.trial + round(message.position_m * 10)] = own
        points = np.frombuffer(message.projection, "<f4").reshape(-1, own.size)
        for point, projected in zip(message.tuned, points, strict=True):
            if point in of_bin:
                np.testing.assert_allclose(projected, of_bin[point], rtol=1e-4, atol=1e-5)
                compared += np.isfinite(projected).all()
    assert compared > 100
