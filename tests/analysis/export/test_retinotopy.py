"""Where the cells of an exported session are: in the atlas, in the field, or unknown."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from analysis.export.contents import Contents, read_contents
from analysis.export.lab import warnings, write_lab
from analysis.export.retinotopy import ATLAS_MIDDLE_UM, atlas_positions
from rig.errors import Refused
from rig.messages import Message, Scan
from tests.analysis.export.recorded import AREAS, CELLS, start, trial, whole_session, write

MAP = "retinotopy/VR2_2026_03_04_trans.npz"
SIZE_UM, PIXELS = 1600.0, 8
"""The field is square, and centred on the axis of the objective."""


def with_header(folder: Path, um_per_degree: float | None) -> Contents:
    """A session on pages of 8 x 8 pixels, whose header may have the objective's resolution."""
    region = {
        "plane": 0, "first_row": 0, "height_px": PIXELS, "width_px": PIXELS, "y_px": 0, "x_px": 0,
        "size_deg": (10.0, 10.0), "centre_deg": (0.0, 0.0),
    }  # fmt: skip
    header = {"um_per_degree": um_per_degree} if um_per_degree else {}
    messages: list[Message] = [Scan(5_000_000, "imaging/a.tif", header, (0.0,), (region,))]
    messages += trial(0, "leaf1", 6000) + trial(1, "circle1", 14_000)
    return read_contents(write(folder, messages, start()))


def test_without_an_atlas_xy_t_is_the_place_in_the_field_in_micrometres(tmp_path: Path) -> None:
    """Cell n is a disc around pixel (2 + n, 2 + n), which the page cuts at its edge."""
    contents = with_header(tmp_path, SIZE_UM / 10)
    (warning,) = (text for text in warnings(contents) if "xy_t" in text)
    assert "xy_t is the position in the microscope's field, in µm" in warning
    write_lab(contents, tmp_path / "lab")
    with np.load(tmp_path / "lab" / MAP) as held:
        up, right = (held["xy_t"] - ATLAS_MIDDLE_UM).T
    pixel_um = SIZE_UM / PIXELS
    np.testing.assert_allclose(right[:3], (np.array([2, 3, 4]) + 0.5) * pixel_um - SIZE_UM / 2)
    np.testing.assert_allclose(up, -right)  # rows of a page are counted downwards


def test_without_the_size_of_a_pixel_xy_t_is_unknown_not_in_pixels(tmp_path: Path) -> None:
    contents = with_header(tmp_path, None)
    xy_t, warning = atlas_positions(contents)
    assert np.isnan(xy_t).all()
    assert xy_t.shape == (CELLS, 2)
    assert "xy_t is NaN, and the study's scripts cannot draw maps" in warning
    write_lab(contents, tmp_path / "lab")
    with np.load(tmp_path / "lab" / "retinotopy" / "areas.npz", allow_pickle=True) as held:
        assert [outline.shape for outline in held["out"]] == [(0, 2)] * 10


def test_atlas_positions_are_written_unchanged(tmp_path: Path) -> None:
    folder = whole_session(tmp_path)
    xy_t = np.random.default_rng(2).normal(0, 900, (CELLS, 2))
    np.savez(folder / "trans.npz", iarea=np.array(AREAS), xy_t=xy_t)
    contents = read_contents(folder)
    contents.session.settings["nodes"]["online"]["areas_file"] = "trans.npz"
    assert not any("xy_t" in text for text in warnings(contents))
    write_lab(contents, tmp_path / "lab")
    with np.load(tmp_path / "lab" / MAP) as held:
        np.testing.assert_array_equal(held["xy_t"], xy_t)


def test_outlines_of_an_atlas_are_kept_and_those_of_cells_replaced(tmp_path: Path) -> None:
    contents, path = with_header(tmp_path, 160.0), tmp_path / "lab" / "retinotopy" / "areas.npz"
    for _ in range(2):
        write_lab(contents, tmp_path / "lab")
    with np.load(path, allow_pickle=True) as held:
        assert held["out"][8].shape == (2, 2)
    atlas = np.empty(10, object)
    atlas[:] = [np.full((5, 2), number) for number in range(10)]
    np.savez(path, out=atlas)
    write_lab(contents, tmp_path / "lab")
    with np.load(path, allow_pickle=True) as held:
        assert [outline[0, 0] for outline in held["out"]] == list(range(10))


def test_a_second_session_of_the_day_with_other_cells_is_refused(tmp_path: Path) -> None:
    folder = whole_session(tmp_path)
    write_lab(read_contents(folder), tmp_path / "lab")
    second = folder.with_name("ses-20260304_3")
    shutil.copytree(folder, second)
    write_lab(read_contents(second), tmp_path / "lab")
    with np.load(tmp_path / "lab" / MAP) as held:
        np.savez(tmp_path / "lab" / MAP, xy_t=held["xy_t"][:-1], iarea=held["iarea"][:-1])
    with pytest.raises(Refused, match=r"has the cells of another session of this day"):
        write_lab(read_contents(second), tmp_path / "lab")
