"""A signal that cannot be computed is NaN with a reason; the other signals are not affected."""

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.signals.task_signals import TaskSignals
from rig.messages import LearningSignals
from tests.analysis.logs import standing
from tests.analysis.signals import test_learning
from tests.analysis.signals.test_learning import STAGES, Definition, Made, check, session, streamed

pytestmark = pytest.mark.filterwarnings("ignore:invalid value", "ignore:Mean", "ignore:Degrees")
TRIALS = 20


def floats(data: bytes) -> NDArray[np.float32]:
    return np.frombuffer(data, "<f4")


def checked(made: Made) -> LearningSignals:
    """Run a session; compare its last message with the definitions, and return it."""
    last = streamed(made)[-1]
    completed = [n for n, outcome in enumerate(made.outcomes) if outcome == "done"]
    check(last, Definition(made, made.frames, completed))
    return last


def test_a_session_without_cues_has_no_reward_prediction() -> None:
    made = session(1, STAGES["train2"], TRIALS)._replace(cues={})
    last = streamed(made)[-1]
    for name in ("late_early", "ramp_by_position", "ramp_from_cue", "ramp_from_lick"):
        assert np.isnan(floats(getattr(last, name))).all(), name
    assert "reward prediction: no late and no early cue yet in a trial of leaf1" in last.undefined
    assert (floats(last.predicting) == 0).all()
    assert not np.isnan(floats(last.projections)).all()
    assert not np.isnan(floats(last.similarity)).all()


def test_a_session_without_the_rewarded_stimulus_says_so() -> None:
    last = checked(session(2, ("circle1", "leaf2"), TRIALS))
    assert np.isnan(floats(last.ramp_by_position)).all()
    assert "reward prediction: no late and no early cue yet in a trial of leaf1" in last.undefined
    why = "coding direction leaf1 - circle1: no even trial of leaf1 yet"
    assert why in last.undefined


@pytest.mark.parametrize("area", ["V1", "medial", "lateral", "anterior"])
def test_an_area_without_cells_has_no_signal(area: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = test_learning.AREAS[area]
    moved = np.where(np.isin(test_learning.AREA, ids), -1, test_learning.AREA).astype(np.int16)
    monkeypatch.setattr(test_learning, "AREA", moved)
    last = checked(session(3, STAGES["train1"], TRIALS))
    assert f"coding direction leaf1 - circle1: no cell is in a {area} area" in last.undefined
    number = list(test_learning.AREAS).index(area)
    projections = floats(last.projections).reshape(3, 4, -1)
    assert np.isnan(projections[0, number]).all()
    assert not np.isnan(np.delete(projections[0], number, axis=0)).all()
    assert np.isnan(floats(last.predicting)[1 + number])
    assert np.isnan(floats(last.ramp_by_position)).all() == (area == "anterior")
    if area == "anterior":
        assert "population signal: no cell is in an anterior area" in last.undefined


def test_stimuli_that_are_never_shown_have_no_contrast(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = (("leaf1", "circle1"), ("leaf3", "circle2"), ("leaf1", "leaf3"))
    monkeypatch.setattr(test_learning, "PAIRS", pairs)
    task = TaskSignals(contrasts=pairs, reference=pairs[0], rewarded="leaf1")
    monkeypatch.setattr(test_learning, "TASK", task)
    last = checked(session(4, STAGES["train1"], TRIALS))
    projections = floats(last.projections).reshape(3, -1)
    assert np.isnan(projections[1:]).all()
    assert not np.isnan(projections[0]).all()
    for parity in ("even", "odd"):
        why = f"coding direction leaf3 - circle2: no {parity} trial of leaf3 and circle2 yet"
        assert why in last.undefined
    assert np.isnan(floats(last.d_prime).reshape(3, -1)[1:]).all()


def test_a_session_without_trials_or_without_contrasts_ends_without_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = session(5, STAGES["train1"], 3)
    still = [
        frame._replace(trial=-1, position=standing(frame.t, -1, 0.0, moving=False))
        for frame in made.frames
    ]
    (last,) = streamed(Made(still, [], {}, []))
    assert (last.trials, last.final) == (0, True)
    assert last.undefined
    monkeypatch.setattr(test_learning, "TASK", TaskSignals())
    last = streamed(made)[-1]
    assert last.projections == b""
    assert "reward prediction: the task names no rewarded stimulus" in last.undefined
