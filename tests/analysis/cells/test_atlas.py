"""Atlas positions of cells: xy_t of a retinotopy file, in the order of the cells."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.cells.read_cells import read_cells
from rig.errors import Refused

TABLE = "cell,y_px,x_px,radius_px\n0,5,5,2\n1,9,9,2\n2,15,15,2\n"


def files(folder: Path, **arrays: Any) -> tuple[Path, Path]:
    (folder / "cells.csv").write_text(TABLE)
    np.savez(folder / "trans.npz", **arrays)
    return folder / "cells.csv", folder / "trans.npz"


def test_each_cell_has_its_atlas_position_beside_its_area(tmp_path: Path) -> None:
    xy_t = np.array([[10.0, 20.0], [30.0, 40.0], [50.0, 60.0]])
    cells = read_cells(*files(tmp_path, iarea=np.array([8, 3, 0]), xy_t=xy_t))
    assert cells.atlas is not None
    np.testing.assert_array_equal(cells.atlas, xy_t)
    np.testing.assert_array_equal(cells.area, [8, 3, 0])
    chosen = cells.subset(np.array([2, 0]))
    assert chosen.atlas is not None
    np.testing.assert_array_equal(chosen.atlas, xy_t[[2, 0]])


def test_cells_that_iscell_rejects_take_no_position(tmp_path: Path) -> None:
    entry = {"lam": np.ones(4, np.float32)}
    stat = [
        {**entry, "ypix": np.arange(4) + 10 * n, "xpix": np.full(4, 10 * n)} for n in range(1, 4)
    ]
    np.save(tmp_path / "stat.npy", np.array(stat, object), allow_pickle=True)
    np.save(tmp_path / "iscell.npy", np.array([[1, 1.0], [0, 0.1], [1, 0.9]]))
    xy_t = np.arange(6.0).reshape(3, 2)
    np.savez(tmp_path / "trans.npz", iarea=np.array([8, 3, 0]), xy_t=xy_t)
    cells = read_cells(tmp_path / "stat.npy", tmp_path / "trans.npz")
    assert cells.atlas is not None
    np.testing.assert_array_equal(cells.atlas, xy_t[[0, 2]])
    np.testing.assert_array_equal(cells.area, [8, 0])


def test_a_file_without_positions_gives_areas_alone(tmp_path: Path) -> None:
    assert read_cells(*files(tmp_path, iarea=np.array([8, 3, 0]))).atlas is None


@pytest.mark.parametrize("xy_t", [np.zeros((2, 2)), np.zeros((3, 3)), np.array(["a", "b", "c"])])
def test_positions_that_do_not_fit_the_cells_are_refused(tmp_path: Path, xy_t: object) -> None:
    cells, areas = files(tmp_path, iarea=np.array([8, 3, 0]), xy_t=xy_t)
    with pytest.raises(Refused, match=r"trans.npz has xy_t of shape .* give an x and a y"):
        read_cells(cells, areas)
