"""The simulated cells answer to what they prefer, strongly enough to be found."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.cells import Cell, Field, next_calcium, rates_hz, read_cells
from rig.refused import Refused

SHIPPED = Path(__file__).parents[2] / "rig" / "setups" / "simulated_cells.csv"
SHAPE = (128, 128)
COLUMNS = "cell,y_px,x_px,radius_px,prefers,place_m"
FRAME_S = 1 / 3


def cell(prefers: str, place_m: float) -> Cell:
    row = {"cell": 0, "y_px": 9, "x_px": 9, "radius_px": 3, "prefers": prefers, "place_m": place_m}
    return msgspec.convert(row, Cell)


def test_the_shipped_cells_lie_apart_and_cover_the_corridor() -> None:
    cells = read_cells(SHIPPED, SHAPE)
    assert len(cells) >= 50
    for i, a in enumerate(cells):
        for b in cells[:i]:
            assert np.hypot(a.y_px - b.y_px, a.x_px - b.x_px) > a.radius_px + b.radius_px
    for stimulus, share in (("leaf1", 0.4), ("circle1", 0.3)):
        places = [c.place_m for c in cells if c.prefers == stimulus]
        assert len(places) / len(cells) == pytest.approx(share, abs=0.05)
        assert min(places) < 1 and max(places) > 3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_five_trials_of_each_tell_the_preferred_stimulus(seed: int) -> None:
    cells = read_cells(SHIPPED, SHAPE)
    field, rng = Field(cells, SHAPE, seed), np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    masks = [np.hypot(y - c.y_px, x - c.x_px) <= c.radius_px for c in cells]
    calcium = np.zeros(len(cells))
    traces: dict[str, list[list[float]]] = {"leaf1": [], "circle1": []}
    for trial in range(10):
        stimulus = ("leaf1", "circle1")[trial % 2]
        for place_m in [*np.arange(20) * 0.2, *[None] * 10]:
            rate_hz = rates_hz(cells, stimulus, place_m)
            calcium = next_calcium(calcium, rate_hz, FRAME_S, 0.7, rng)
            picture = field.picture(calcium, rng)
            if place_m is not None:
                traces[stimulus].append([float(picture[mask].mean()) for mask in masks])
    a, b = np.array(traces["leaf1"]), np.array(traces["circle1"])
    d_prime = 2 * (a.mean(0) - b.mean(0)) / (a.std(0) + b.std(0))
    sign = np.array([{"leaf1": 1, "circle1": -1}.get(c.prefers, 0) for c in cells])
    assert (d_prime * sign >= 0.3)[sign != 0].mean() > 0.95
    assert (np.abs(d_prime[sign == 0]) < 0.7).all()


@given(place_m=st.floats(0, 4), prefers=st.sampled_from(["leaf1", "circle1", "both", "none"]))
def test_a_cell_answers_to_its_stimulus_and_most_at_its_place(place_m: float, prefers: str) -> None:
    one = [cell(prefers, place_m)]
    silent = rates_hz(one, None, place_m)
    assert (rates_hz(one, "leaf1", None) == silent).all()
    assert (rates_hz(one, "grating", place_m) > silent).all() == (prefers == "both")
    for stimulus in ("leaf1", "circle1"):
        answers = prefers in (stimulus, "both")
        there, away = (rates_hz(one, stimulus, at) for at in (place_m, place_m + 1))
        assert (there > away).all() == (away > silent).all() == answers


def test_calcium_falls_to_1_over_e_in_its_decay_time() -> None:
    rng = np.random.default_rng(1)
    calcium = np.array([1.0, 3.0])
    for _ in range(10):
        calcium = next_calcium(calcium, np.zeros(2), 0.07, 0.7, rng)
    np.testing.assert_allclose(calcium, np.array([1.0, 3.0]) / np.e)


def test_a_picture_is_the_same_for_the_same_seeds_only() -> None:
    cells = read_cells(SHIPPED, SHAPE)

    def picture(field_seed: int, seed: int) -> bytes:
        field = Field(cells, SHAPE, field_seed)
        return field.picture(np.zeros(len(cells)), np.random.default_rng(seed)).tobytes()

    assert picture(1, 1) == picture(1, 1)
    assert len({picture(1, 1), picture(2, 1), picture(1, 2)}) == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "needs rows under the columns"),
        (COLUMNS, "needs rows"),
        ("cell,y,x\n1,2,3", "needs rows"),
        (COLUMNS + "\n0,9,9,3,leaf1", "line 2"),
        (COLUMNS + "\n0,9,9,3,leaf1,1,7", "needs rows"),
        (COLUMNS + "\n0,9,9,3,leaf1,1\n1,9,9,3,leaf9,1", "line 3.*prefers"),
        (COLUMNS + "\n0,9,9,3,leaf1,1\n0,19,9,3,leaf1,1", "line 3.*second cell 0"),
        (COLUMNS + "\n0,nine,9,3,leaf1,1", "line 2.*y_px"),
        (COLUMNS + "\n0,9,9,0,leaf1,1", "line 2.*radius_px"),
        (COLUMNS + "\n0,9,128,3,leaf1,1", "line 2: cell 0 lies outside the field of 128 x 128"),
        (COLUMNS + "\n0,nan,9,3,leaf1,1", "line 2"),
        (COLUMNS + "\n0,9,9,nan,leaf1,1", "line 2"),
        (COLUMNS + "\n0,9,9,3,leaf1,nan", "line 2"),
        (COLUMNS + "\n0,9,9,3,leaf1,\xff", "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "cells.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Refused, match=rf"cells\.csv.*{why}"):
        read_cells(path, SHAPE)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        read_cells(tmp_path / "none.csv", SHAPE)
