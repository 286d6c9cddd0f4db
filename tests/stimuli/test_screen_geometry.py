"""Screens around the eye: impossible ones are refused, and each pixel has its direction."""

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.errors import Refused
from stimuli.screens.screen_geometry import (
    THREE_VIEWS,
    PhysicalScreen,
    View,
    check_views,
    load_screens,
    pixel_directions,
    read_mesh,
)
from stimuli.screens.window_layout import Area, compute_layout

HEADER = "across,up,x_cm,y_cm,z_cm\n"
CYLINDER_CM = 20.0


def rotated(view: View, degrees: float) -> View:
    """Return the view rotated to the right about the vertical through the eye."""
    turn = np.radians(degrees)
    matrix = np.array(
        [[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]]
    )
    points = {name: (matrix @ getattr(view, name)).tolist() for name in view.__struct_fields__[-3:]}
    return msgspec.convert(points, View)


def cylinder(path: Path, degrees: float = 270.0, columns: int = 91) -> Path:
    """Write the mesh of a cylinder around the eye, 30 cm high."""
    lines = []
    for across in np.linspace(0, 1, columns).tolist():
        turn = math.radians((across - 0.5) * degrees)
        x, z = CYLINDER_CM * math.sin(turn), -CYLINDER_CM * math.cos(turn)
        lines += [f"{across},{up},{x},{-10 + 30 * up},{z}" for up in (0, 1)]
    path.write_text(HEADER + "\n".join(lines))
    return path


@given(st.floats(0, 360), st.floats(0.5, 359))
def test_screens_overlap_where_one_hides_a_part_of_the_other(at: float, apart: float) -> None:
    """The front view covers 90 degrees, so the centres of two must be 90 degrees apart."""
    one, other = rotated(THREE_VIEWS["front"], at), rotated(THREE_VIEWS["front"], at + apart)
    views = {"one": one, "other": other}
    if 91 < apart < 269:
        check_views(views)
    elif not 89 < apart < 271:
        with pytest.raises(Refused, match="screens one and other overlap as seen from the eye"):
            check_views(views)


def test_a_screen_above_another_overlaps_only_if_it_covers_part_of_it() -> None:
    front = THREE_VIEWS["front"]
    above = View(lower_left=(-30, 20, -20), lower_right=(30, 20, -20), upper_left=(-30, 45, -20))
    check_views({"front": front, "above": above})
    low = View(lower_left=(-30, 19, -20), lower_right=(30, 19, -20), upper_left=(-30, 45, -20))
    with pytest.raises(Refused, match="front and low overlap"):
        check_views({"front": front, "low": low})
    behind = View(lower_left=(-90, 40, -40), lower_right=(90, 40, -40), upper_left=(-90, 95, -40))
    check_views({"front": front, "behind": behind})


def test_three_screens_cover_270_degrees_without_a_gap() -> None:
    rows = [pixel_directions(screen, 400, 300)[150] for screen in load_screens(THREE_VIEWS, {})]
    azimuth = np.degrees(np.unwrap(np.arctan2(*np.concatenate(rows).T[[0, 2]] * [[1], [-1]])))
    assert azimuth[0] == pytest.approx(-135, abs=0.2)
    assert azimuth[-1] == pytest.approx(135, abs=0.2)
    steps = np.diff(azimuth)
    assert steps.min() > 0
    assert steps[[399, 799]] == pytest.approx(steps[[398, 798]], rel=0.02)


def test_a_cylinder_sees_as_many_degrees_in_every_column(tmp_path: Path) -> None:
    mesh = read_mesh(cylinder(tmp_path / "mesh.csv"))
    look = THREE_VIEWS["front"]
    toward = pixel_directions(PhysicalScreen("round", mesh, look), 540, 30)
    azimuth = np.degrees(np.unwrap(np.arctan2(toward[15, :, 0], -toward[15, :, 2])))
    assert np.diff(azimuth) == pytest.approx(np.full(539, 0.5), abs=0.01)
    assert (np.diff(toward[:, 100, 1]) < 0).all()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("across,up\n0,0\n", "it needs the columns across, up, x_cm"),
        (HEADER + "0,0,1,1,x\n", "with numbers in every row"),
        (HEADER, "not a full grid"),
        (HEADER + "0,0,1,1,1\n1,0,1,1,1\n0,1,1,1,1\n", "not a full grid"),
        (HEADER + "0,0,1,1,1\n2,0,1,1,1\n0,1,1,1,1\n2,1,1,1,1\n", "from 0 to 1"),
        (HEADER + "0,0,nan,1,1\n1,0,1,1,1\n0,1,1,1,1\n1,1,1,1,1\n", "every value a number"),
    ],
)
def test_a_bad_mesh_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "mesh.csv").write_text(text)
    with pytest.raises(Refused, match=sentence):
        read_mesh(tmp_path / "mesh.csv")


def three(**area_px: Any) -> tuple[PhysicalScreen, ...]:
    views = {
        name: msgspec.structs.replace(view, area_px=area_px.get(name))
        for name, view in THREE_VIEWS.items()
    }
    return load_screens(views, {})


def test_without_areas_the_screens_are_side_by_side_with_the_patch_lower_left() -> None:
    layout = compute_layout(three(), (400, 300), 20)
    assert layout.size_px == (1200, 300)
    assert layout.areas == tuple(Area(400 * n, 0, 400, 300) for n in range(3))
    assert layout.patch == Area(0, 0, 20, 20)


def test_areas_are_counted_from_the_top_and_the_window_holds_the_patch() -> None:
    shown = three(left=(0, 0, 100, 200), front=(100, 20, 300, 250), right=(400, 0, 100, 200))
    layout = compute_layout(shown, (1, 1), 30, (510, 0))
    assert layout.size_px == (540, 270)
    assert layout.areas == (Area(0, 70, 100, 200), Area(100, 0, 300, 250), Area(400, 70, 100, 200))
    assert layout.patch == Area(510, 240, 30, 30)


@pytest.mark.parametrize("corner", [(0, 0), (370, 0), (0, 270), (370, 270)])
def test_the_patch_may_be_in_any_corner_of_a_screen(corner: tuple[int, int]) -> None:
    assert compute_layout(three(), (400, 300), 30, corner).size_px == (1200, 300)


@pytest.mark.parametrize(
    ("areas", "patch_at", "sentence"),
    [
        ({}, (50, 0), "covers a part of screen left that is not a corner"),
        ({}, (405, 270), "covers a part of screen front"),
        ({}, (385, 270), "covers a part of screen left"),  # over the seam
        ({}, (1185, 0), "covers a part of screen right"),  # over the window's edge
        ({"left": (0, 0, 64, 64)}, None, "screen front has no area_px but another screen has"),
        (
            {n: (k, 0, 64, 64) for k, n in zip((0, 63, 200), THREE_VIEWS, strict=True)},
            None,
            "screens left and front overlap in the window",
        ),
    ],
)
def test_overlaps_in_the_window_are_refused(
    areas: dict[str, Any], patch_at: tuple[int, int] | None, sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        compute_layout(three(**areas), (400, 300), 30, patch_at)
