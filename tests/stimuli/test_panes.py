"""Screens round the eye: what cannot stand is refused, what can has a direction for each pixel."""

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
    Pane,
    View,
    check_views,
    directions,
    panes,
    read_mesh,
)
from stimuli.screens.window_layout import Area, laid_out

HEADER = "across,up,x_cm,y_cm,z_cm\n"
CYLINDER_CM = 20.0


def turned(view: View, degrees: float) -> View:
    """Return the view turned to the right round the vertical through the eye."""
    turn = np.radians(degrees)
    matrix = np.array(
        [[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]]
    )
    points = {name: (matrix @ getattr(view, name)).tolist() for name in view.__struct_fields__[-3:]}
    return msgspec.convert(points, View)


def cylinder(path: Path, degrees: float = 270.0, columns: int = 91) -> Path:
    """Write the mesh of a cylinder round the eye, 30 cm high."""
    lines = []
    for across in np.linspace(0, 1, columns).tolist():
        turn = math.radians((across - 0.5) * degrees)
        x, z = CYLINDER_CM * math.sin(turn), -CYLINDER_CM * math.cos(turn)
        lines += [f"{across},{up},{x},{-10 + 30 * up},{z}" for up in (0, 1)]
    path.write_text(HEADER + "\n".join(lines))
    return path


@given(st.floats(0, 360), st.floats(0.5, 359))
def test_screens_overlap_where_one_hides_a_part_of_the_other(at: float, apart: float) -> None:
    """The front view covers 90 degrees, so two of them need 90 between their middles."""
    one, other = turned(THREE_VIEWS["front"], at), turned(THREE_VIEWS["front"], at + apart)
    views = {"one": one, "other": other}
    if 91 < apart < 269:
        check_views(views)
    elif not 89 < apart < 271:
        with pytest.raises(Refused, match="screens one and other overlap as the eye sees them"):
            check_views(views)


def test_a_screen_above_another_is_no_overlap_until_it_hangs_into_it() -> None:
    front = THREE_VIEWS["front"]
    above = View(lower_left=(-30, 20, -20), lower_right=(30, 20, -20), upper_left=(-30, 45, -20))
    check_views({"front": front, "above": above})
    low = View(lower_left=(-30, 19, -20), lower_right=(30, 19, -20), upper_left=(-30, 45, -20))
    with pytest.raises(Refused, match="front and low overlap"):
        check_views({"front": front, "low": low})
    behind = View(lower_left=(-90, 40, -40), lower_right=(90, 40, -40), upper_left=(-90, 95, -40))
    check_views({"front": front, "behind": behind})


def test_the_three_screens_look_round_270_degrees_without_a_step() -> None:
    rows = [directions(pane, 400, 300)[150] for pane in panes(THREE_VIEWS, {})]
    azimuth = np.degrees(np.unwrap(np.arctan2(*np.concatenate(rows).T[[0, 2]] * [[1], [-1]])))
    assert azimuth[0] == pytest.approx(-135, abs=0.2)
    assert azimuth[-1] == pytest.approx(135, abs=0.2)
    steps = np.diff(azimuth)
    assert steps.min() > 0
    assert steps[[399, 799]] == pytest.approx(steps[[398, 798]], rel=0.02)


def test_a_cylinder_sees_as_many_degrees_in_every_column(tmp_path: Path) -> None:
    mesh = read_mesh(cylinder(tmp_path / "mesh.csv"))
    look = THREE_VIEWS["front"]
    toward = directions(Pane("round", mesh, look), 540, 30)
    azimuth = np.degrees(np.unwrap(np.arctan2(toward[15, :, 0], -toward[15, :, 2])))
    assert np.diff(azimuth) == pytest.approx(np.full(539, 0.5), abs=0.01)
    assert (np.diff(toward[:, 100, 1]) < 0).all()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("across,up\n0,0\n", "give it the columns across, up, x_cm"),
        (HEADER + "0,0,1,1,x\n", "and numbers"),
        (HEADER, "no full grid"),
        (HEADER + "0,0,1,1,1\n1,0,1,1,1\n0,1,1,1,1\n", "no full grid"),
        (HEADER + "0,0,1,1,1\n2,0,1,1,1\n0,1,1,1,1\n2,1,1,1,1\n", "from 0 to 1"),
        (HEADER + "0,0,nan,1,1\n1,0,1,1,1\n0,1,1,1,1\n1,1,1,1,1\n", "must be numbers"),
    ],
)
def test_a_mesh_that_is_none_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "mesh.csv").write_text(text)
    with pytest.raises(Refused, match=sentence):
        read_mesh(tmp_path / "mesh.csv")


def three(**area_px: Any) -> tuple[Pane, ...]:
    views = {
        name: msgspec.structs.replace(view, area_px=area_px.get(name))
        for name, view in THREE_VIEWS.items()
    }
    return panes(views, {})


def test_without_areas_the_screens_stand_side_by_side_with_the_patch_lower_left() -> None:
    layout = laid_out(three(), (400, 300), 20)
    assert layout.size_px == (1200, 300)
    assert layout.areas == tuple(Area(400 * n, 0, 400, 300) for n in range(3))
    assert layout.patch == Area(0, 0, 20, 20)


def test_areas_are_counted_from_the_top_and_the_window_holds_the_patch() -> None:
    shown = three(left=(0, 0, 100, 200), front=(100, 20, 300, 250), right=(400, 0, 100, 200))
    layout = laid_out(shown, (1, 1), 30, (510, 0))
    assert layout.size_px == (540, 270)
    assert layout.areas == (Area(0, 70, 100, 200), Area(100, 0, 300, 250), Area(400, 70, 100, 200))
    assert layout.patch == Area(510, 240, 30, 30)


@pytest.mark.parametrize("corner", [(0, 0), (370, 0), (0, 270), (370, 270)])
def test_the_patch_may_stand_in_any_corner_of_a_screen(corner: tuple[int, int]) -> None:
    assert laid_out(three(), (400, 300), 30, corner).size_px == (1200, 300)


@pytest.mark.parametrize(
    ("areas", "patch_at", "sentence"),
    [
        ({}, (50, 0), "reaches into screen left elsewhere than in a corner"),
        ({}, (405, 270), "reaches into screen front elsewhere"),
        ({}, (385, 270), "reaches into screen left elsewhere"),  # over the seam
        ({}, (1185, 0), "reaches into screen right elsewhere"),  # over the window's edge
        ({"left": (0, 0, 64, 64)}, None, "screen front has no area_px and others have"),
        (
            {n: (k, 0, 64, 64) for k, n in zip((0, 63, 200), THREE_VIEWS, strict=True)},
            None,
            "screens left and front have one part of the window",
        ),
    ],
)
def test_parts_of_the_window_that_collide_are_refused(
    areas: dict[str, Any], patch_at: tuple[int, int] | None, sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        laid_out(three(**areas), (400, 300), 30, patch_at)
