"""What simulated cells respond to: texture, place, expected reward, and what they have learned."""

from typing import Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from acquisition.simulation.simulated_cells import Cell, arrays
from acquisition.simulation.simulated_tuning import DECAY_S, Calcium, SimulatedTuning
from rig.messages import Position, TrialStart


def cell(prefers: str, place_m: float = 2.0, **more: float) -> Cell:
    row = {"cell": 0, "y_px": 9, "x_px": 9, "radius_px": 3, "prefers": prefers, "place_m": place_m}
    return msgspec.convert({**row, **more}, Cell)


def trial(stimulus: str, rewarded: bool = True, cue_m: float | None = 2.5) -> TrialStart:
    mode: Literal["active", "none"] = "active" if rewarded else "none"
    return TrialStart(0, 0, stimulus, None, rewarded, 4.0, 2.0, cue_m, mode, 0.0)


def at(position_m: float, moving: bool = True, t: int = 0) -> Position:
    return Position(t, 0, position_m, 60.0, moving, "corridor")


def rates(
    cells: list[Cell], stimulus: str, *places_m: float, learned: float = 1.0, rewarded: bool = True
) -> NDArray[np.float32]:
    """Return places x cells."""
    tuning = SimulatedTuning(arrays(cells), learned)
    tuning.begin(trial(stimulus, rewarded))
    return np.array([tuning.rates_hz(at(m, t=round(m * 1e9))) for m in places_m])


SILENT = 0.2


@given(place_m=st.floats(0, 3.99), prefers=st.sampled_from(["leaf1", "circle1", "both", "none"]))
def test_a_cell_responds_to_its_texture_most_strongly_at_its_place(
    place_m: float, prefers: str
) -> None:
    away_m = (place_m + 2.0) % 4.0
    for stimulus in ("leaf1", "circle1"):
        there, away = rates([cell(prefers, place_m)], stimulus, place_m, away_m)[:, 0]
        answers = prefers in (stimulus, "both")
        assert (there > away) == (away > SILENT) == answers


def test_the_response_to_another_exemplar_depends_on_generalisation() -> None:
    cells = [cell("leaf1", other=0.25), cell("circle1", other=0.25)]
    leaf1, leaf2, circle2 = (rates(cells, name, 2.0)[0] - SILENT for name in
                             ("leaf1", "leaf2", "circle2"))  # fmt: skip
    assert leaf2[0] == pytest.approx(0.25 * leaf1[0])
    assert leaf2[1] == circle2[0] == 0.0
    assert circle2[1] > 0.0


@pytest.mark.parametrize(("swapped", "at_m"), [("leaf1_swap1", 1.0), ("leaf1_swap2", 0.0)])
def test_in_a_swapped_texture_the_response_moves_with_the_piece(swapped: str, at_m: float) -> None:
    """Metres 1-4 come first in swap1; the halves change places in swap2."""
    places_m = np.arange(0, 4, 0.1)
    answer = rates([cell("leaf1", 2.0)], swapped, *places_m)[:, 0]
    assert places_m[answer.argmax()] == pytest.approx(at_m)
    first_metre = rates([cell("leaf1", 0.5)], "leaf1_swap1", *places_m)[:, 0]
    assert places_m[first_metre.argmax()] == pytest.approx(3.5)


def test_prediction_ramps_up_to_the_cue_and_decays_after_it() -> None:
    rising = rates([cell("reward")], "leaf1", 0.5, 1.5, 2.49)[:, 0]
    assert (np.diff(rising) > 0.5).all()
    passed = rates([cell("reward")], "leaf1", 2.49, 2.6, 2.9, 3.9)[:, 0]
    assert passed[0] > passed[2] > passed[3] and passed[3] < 1.5


def test_no_reward_no_prediction() -> None:
    without = rates([cell("reward")], "leaf1", 0.5, 2.4, rewarded=False)
    np.testing.assert_array_equal(without, SILENT)


def test_learned_responses_are_absent_before_learning() -> None:
    cells = [cell("leaf1", learns_at=0.5), cell("reward", learns_at=0.5), cell("leaf1")]
    naive = {name: rates(cells, name, 2.0, learned=0.4)[0] for name in ("leaf1", "circle1")}
    assert naive["leaf1"][0] == naive["circle1"][0] > SILENT
    assert naive["leaf1"][1] == SILENT
    assert naive["leaf1"][2] > naive["circle1"][2] == SILENT
    trained = {name: rates(cells, name, 2.0, learned=0.5)[0] for name in ("leaf1", "circle1")}
    assert trained["leaf1"][0] > naive["leaf1"][0] and trained["circle1"][0] == SILENT
    assert trained["leaf1"][1] > SILENT


@pytest.mark.parametrize(
    "where",
    [
        None,
        at(2.0, moving=False),
        at(4.5),
        Position(0, 1, 2.0, 60.0, True, "corridor"),
    ],
)
def test_cells_are_silent_at_rest_in_grey_and_between_trials(where: Position | None) -> None:
    tuning = SimulatedTuning(arrays([cell("leaf1"), cell("both")]), 1.0)
    tuning.begin(trial("leaf1"))
    np.testing.assert_array_equal(tuning.rates_hz(where), SILENT)
    tuning.begin(msgspec.structs.replace(trial("circle1"), trial=1))
    assert tuning.rates_hz(at(2.0))[0] > SILENT  # drawn after the next trial had begun


def test_cells_do_not_respond_outside_a_corridor() -> None:
    tuning = SimulatedTuning(arrays([cell("both")]), 1.0)
    tuning.begin(msgspec.structs.replace(trial("leaf1"), picture="image"))
    np.testing.assert_array_equal(tuning.rates_hz(at(0.0)), SILENT)


def test_a_spike_rises_fast_and_falls_to_1_over_e_as_gcamp6s() -> None:
    calcium = Calcium(1)
    course = [calcium.step(np.array([float(i == 0)]), 0.01)[0] for i in range(400)]
    peak = int(np.argmax(course))
    assert 0.15 < peak * 0.01 < 0.3
    assert course[peak] == pytest.approx(0.25, rel=0.02)
    late = course[200] / course[200 + round(DECAY_S * 100)]
    assert late == pytest.approx(np.e, rel=0.01)


def test_the_calcium_of_a_rate_does_not_depend_on_the_frame_rate() -> None:
    levels = []
    for rate_hz in (3.0, 30.0):
        calcium = Calcium(1)
        for _ in range(int(20 * rate_hz)):
            level = calcium.step(np.array([2.0 / rate_hz]), 1.0 / rate_hz)
        levels.append(level[0])
    assert levels[0] == pytest.approx(levels[1], rel=0.01)
