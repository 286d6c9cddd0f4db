"""At the end the running signals are the definitions on the whole recording, at every stage."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.cells.areas import GROUPS, NAMES, groups_of
from analysis.signals.running_signals import RunningSignals
from analysis.signals.selectivity import Moments, Selectivity
from analysis.signals.tuning import BINS, TrialStore
from rig.messages import CellSignals, Frame, Position
from tests.analysis.logs import corridor, standing
from tests.analysis.nodes import frame
from tests.analysis.test_tuning import by_definition

STAGES = {
    "train1": ("leaf1", "circle1"),
    "test1": ("leaf1", "circle1", "leaf2", "circle2"),
    "train2": ("leaf1", "leaf2", "circle1"),
    "test2": ("leaf1", "leaf2", "leaf3", "circle1"),
    "test3": ("leaf1", "leaf1_swap1", "leaf2", "circle1"),
    "one never shown": ("leaf1", "leaf2"),
}
CELLS = 40
AREA = np.arange(CELLS, dtype=np.int16) % 11 - 1

Step = tuple[int, str, Position, NDArray[np.float32]]


def session(seed: int, stimuli: tuple[str, ...], trials: int) -> tuple[list[Step], set[int]]:
    """Frames with stops and gaps; every sixth trial is aborted half-way, the first one not."""
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


def run(
    steps: list[Step], aborted: set[int], trials: int
) -> tuple[list[CellSignals], NDArray[np.float32]]:
    """Stream the session; return its words, and the tuning of all trials."""
    last, messages = -1, []
    with TrialStore(None, CELLS) as store:
        selectivity = Selectivity("leaf1", "circle1", CELLS)
        signals = RunningSignals(selectivity, store, groups_of(AREA), 0.3)
        for at, (trial, stimulus, place, activity) in enumerate(steps):
            if trial != last:
                if last in aborted:
                    signals.leave_out(last)
                signals.begin(corridor(trial, stimulus))
                last = trial
            messages.append(signals.decoded(Frame(0, at, "", 0, 1, 1, 0.0), place, activity))
        if last in aborted:
            signals.leave_out(last)
        still = standing(0, -1, 0.0, moving=False)
        messages.append(signals.decoded(Frame(0, -1, "", 0, 1, 1, 0.0), still, steps[0][3]))
        signals.tuning.finish(trials)
        tuned = np.array([signals.tuning.trial(trial) for trial in range(trials)])
    return messages, tuned


def d_prime_of(steps: list[Step], aborted: set[int]) -> NDArray[np.float64]:
    """SCIENCE, item 1, on all frames at once."""
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


@pytest.mark.parametrize("trials", [1, 25])
@pytest.mark.parametrize("stage", STAGES)
def test_at_the_end_each_signal_is_its_definition(stage: str, trials: int) -> None:
    steps, aborted = session(list(STAGES).index(stage), STAGES[stage], trials)
    messages, tuned = run(steps, aborted, trials)
    message = messages[-1]
    wanted = d_prime_of(steps, aborted)
    got = np.frombuffer(message.d_prime, "<f4")
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)
    assert np.isnan(got).all() == bool(message.undefined)
    assert np.isnan(got[0])
    shares = np.frombuffer(message.fractions, "<f4").reshape(len(NAMES), 3, 10)
    for number, name in enumerate(NAMES):
        own = np.isin(AREA, GROUPS[name]) if name in GROUPS else np.ones(CELLS, bool)
        values = got[own & ~np.isnan(got)].astype(np.float64)
        for at, reached in enumerate((np.abs(values), values, -values)):
            share = [np.mean(reached >= k / 10) if values.size else np.nan for k in range(1, 11)]
            np.testing.assert_array_equal(shares[number, at], np.array(share, np.float32))
    frames = [
        (trial, place.position_m / 6.0, activity)
        for trial, _, place, activity in steps
        if place.moving and trial not in aborted
    ]
    definition = np.full((trials, BINS, CELLS), np.nan)
    for part in range(0, CELLS, 3):  # the definition there is of three cells
        cells = [(t, at, x[part : part + 3]) for t, at, x in frames]
        width = cells[0][2].size
        padded = [(t, at, np.pad(x, (0, 3 - width))) for t, at, x in cells]
        definition[..., part : part + width] = by_definition(padded, aborted, trials)[..., :width]
    np.testing.assert_allclose(tuned, definition, rtol=1e-6, atol=1e-4)
    check_population(messages, definition, BINS * (frames[-1][0] + frames[-1][1]))


def check_population(messages: list[CellSignals], tuned: NDArray[np.float64], last: float) -> None:
    """Each point, when last told: the mean of the cells that were selective at that moment.

    Beyond the last moving frame that counts, no frame has told anything.
    """
    latest = {
        point: (message, at) for message in messages for at, point in enumerate(message.tuned)
    }
    assert latest
    for point, (message, at) in latest.items():
        row = tuned[point // BINS, point % BINS]
        if np.isnan(row).any() or point > last:
            continue  # of an aborted trial, or told by one
        d_prime = np.frombuffer(message.d_prime, "<f4").astype(np.float64)
        wanted = np.full((len(NAMES), 2), np.nan)
        for number, name in enumerate(NAMES):
            own = np.isin(AREA, GROUPS[name]) if name in GROUPS else np.ones(CELLS, bool)
            for sign, value in enumerate((d_prime, -d_prime)):
                chosen = own & (value >= 0.3)
                if chosen.any():
                    wanted[number, sign] = row[chosen].mean()
        got = np.frombuffer(message.tuning, "<f4").reshape(-1, len(NAMES), 2)[at]
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-4)


def test_a_trial_taken_back_leaves_no_trace_in_later_signals() -> None:
    ends = []
    for trials in (["leaf1", "circle1"], ["leaf1", "aborted", "circle1"]):
        rng, spoiled = np.random.default_rng(3), np.random.default_rng(4)
        with TrialStore(None, 3) as store:
            signals = RunningSignals(
                Selectivity("leaf1", "circle1", 3), store, np.zeros(3, np.uint8), 0.3
            )
            for number, stimulus in enumerate(trials):
                aborted = stimulus == "aborted"
                signals.begin(corridor(number, "circle1" if aborted else stimulus))
                for i in range(1, 4):
                    activity = (spoiled if aborted else rng).exponential(9, 3).astype(np.float32)
                    place = standing(0, number, 1.0 + i / 10)
                    last = signals.decoded(frame(0, i, None), place, activity)
                if aborted:
                    signals.leave_out(number)
        ends.append((last.d_prime, last.fractions))
    assert ends[0] == ends[1]
    assert not np.isnan(np.frombuffer(ends[0][0], "<f4")).any()


def test_naive_float32_sums_would_be_off_where_ours_are_not() -> None:
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
    """Rows go to the disk as they are determined: what is resident does not grow with trials."""
    code = """
import resource
import numpy as np
from analysis.signals.selectivity import Selectivity
from analysis.signals.running_signals import RunningSignals
from analysis.signals.tuning import BINS, TrialStore
from rig.messages import Frame, Position, TrialStart
cells, grown = 90_000, []
with TrialStore(None, cells) as store:
    selectivity = Selectivity("leaf1", "circle1", cells)
    signals = RunningSignals(selectivity, store, np.zeros(cells, np.uint8), 0.3)
    activity = np.random.default_rng(1).exponential(50, cells).astype(np.float32)
    for trial in range(400):
        stimulus = ("leaf1", "circle1")[trial % 2]
        start = TrialStart(0, trial, stimulus, None, False, 4.0, 2.0, None, "none", 0.0)
        signals.begin(start)
        place = Position(0, trial, 0.0, 20.0, True, "corridor")
        if trial % 100 == 99:  # one trial in a hundred is written whole, the others left out
            for step in range(2):
                place = Position(0, trial, 0.1 + 5.8 * step, 20.0, True, "corridor")
                signals.decoded(Frame(0, trial, "", 0, 1, 1, 0.0), place, activity)
        else:
            signals.leave_out(trial)
        grown.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
print(grown[99], grown[-1])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    early_mb, late_mb = (float(text) for text in done.stdout.split())
    assert late_mb < 1000
    assert late_mb - early_mb < 50
