"""The simulated cells: a table that is read and written, or cells drawn as the study found them."""

from pathlib import Path

import numpy as np
import pytest

from acquisition.simulation.population import ANTERIOR, MEDIAL, V1, draw_cells
from acquisition.simulation.simulated_cells import (
    PREFERS,
    SimulatedCells,
    arrays,
    read_cells,
    table,
)
from acquisition.simulation.strip_layout import StripLayout
from acquisition.simulation.vessels import vessels
from rig.errors import Refused

SHIPPED = Path(__file__).parents[2] / "rig" / "setups" / "simulated_cells.csv"
FIELD = StripLayout(128, 128)
STRIPS = StripLayout(200, 60, rois=5, fly_rows=12)
COLUMNS = "cell,y_px,x_px,radius_px,prefers,place_m"


def drawn(
    layout: StripLayout = STRIPS, depths: int = 2, count: int = 300, seed: int = 1
) -> SimulatedCells:
    shadows = [vessels(layout, 4.0, seed, plane) for plane in range(depths)]
    return draw_cells(layout, shadows, count, 4.0, 4.0, seed)


def test_the_shipped_cells_are_those_of_the_shipped_field() -> None:
    assert table(drawn(FIELD, 1, 60)) == SHIPPED.read_text()
    cells = read_cells(SHIPPED, FIELD)
    for name in ("leaf1", "circle1"):
        places = cells.place_m[cells.prefers == PREFERS.index(name)]
        assert len(places) >= 12 and places.min() < 1 and places.max() > 3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_drawn_cells_do_not_overlap_and_are_within_their_strips_at_every_depth(seed: int) -> None:
    cells = drawn(seed=seed)
    assert len(cells) == 300
    for plane in range(2):
        here = cells.plane == plane
        y, x = STRIPS.to_field(cells.y_px[here], cells.x_px[here])
        assert np.isfinite(y).all()
        away = np.hypot(y - y[:, None], x - x[:, None]) + 1e3 * np.eye(here.sum())
        assert away.min() > 6.0
        assert 140 <= here.sum() <= 160
    assert (cells.x_px >= 0).all() and (cells.x_px < 60).all()


def test_areas_have_their_cells_and_their_preferences() -> None:
    cells = drawn(StripLayout(400, 100, rois=5, fly_rows=8), 1, 2000)
    anterior, medial = np.isin(cells.area, ANTERIOR), np.isin(cells.area, MEDIAL)
    for group in (anterior, medial, cells.area == V1, np.isin(cells.area, (5, 6))):
        assert group.sum() > 150
    reward = cells.prefers == PREFERS.index("reward")
    assert reward.sum() > 50 and anterior[reward].all()
    assert (cells.learns_at[reward | medial] > 0).all()
    assert (cells.learns_at[cells.area == V1] == 0).all()
    assert cells.other[medial].mean() > cells.other[cells.area == V1].mean() + 0.2


def test_a_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    cells = drawn()
    (tmp_path / "cells.csv").write_text(table(cells))
    again = read_cells(tmp_path / "cells.csv", STRIPS, depths=2)
    assert table(again) == table(cells)
    with pytest.raises(Refused, match="depth 1, and there is no depth above 0"):
        read_cells(tmp_path / "cells.csv", STRIPS, depths=1)


def test_too_many_cells_are_refused() -> None:
    with pytest.raises(Refused, match="do not fit into 128 x 128 px; reduce"):
        drawn(FIELD, 1, 400)


def test_a_table_without_cells_gives_no_cells() -> None:
    assert len(arrays([])) == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "needs the columns"),
        (COLUMNS, "needs the columns"),
        ("cell,y,x\n1,2,3", "needs the columns"),
        (COLUMNS + "\n0,9,9,3,leaf1", "line 2"),
        (COLUMNS + ",colour\n0,9,9,3,leaf1,1,7", "needs the columns"),
        (COLUMNS + ",area\n0,9,9,3,leaf1,1,12", "line 2.*area"),
        (COLUMNS + "\n0,9,9,3,leaf1,1\n1,9,9,3,leaf9,1", "line 3.*prefers"),
        (COLUMNS + "\n0,9,9,3,leaf1,1\n0,19,9,3,leaf1,1", "line 3.*cell 0 is listed twice"),
        (COLUMNS + "\n0,nine,9,3,leaf1,1", "line 2.*y_px"),
        (COLUMNS + "\n0,9,9,0,leaf1,1", "line 2.*radius_px"),
        (COLUMNS + "\n0,9,60,3,leaf1,1", "line 2: cell 0 is outside the page of 1048 x 60 px"),
        (COLUMNS + "\n0,205,9,3,leaf1,1", "line 2: cell 0 is between two strips"),
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
        read_cells(path, STRIPS)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        read_cells(tmp_path / "cells.csv", FIELD)


def test_page_and_field_coordinates_are_each_others_inverse() -> None:
    rng = np.random.default_rng(1)
    y, x = rng.uniform(0, 199, 200), rng.uniform(0, 299, 200)
    back = STRIPS.to_field(*STRIPS.to_page(y, x))
    np.testing.assert_allclose(back, (y, x))
    assert STRIPS.slots != tuple(range(5)) and sorted(STRIPS.slots) == list(range(5))
    assert STRIPS.page_shape == (5 * 200 + 4 * 12, 60)
