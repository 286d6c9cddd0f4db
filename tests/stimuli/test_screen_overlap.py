"""Warped screens that overlap as seen from the eye are refused; touching ones are not."""

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig.errors import Refused
from stimuli.screens.screen_geometry import (
    THREE_VIEWS,
    PhysicalScreen,
    View,
    Warp,
    load_screens,
    read_mesh,
)
from stimuli.screens.screen_overlap import check_overlap
from tests.stimuli.displays import display


def dome(path: Path, place: tuple[float, float, float, float], columns: int = 61) -> PhysicalScreen:
    """Return a part of a sphere around the eye, between azimuths and elevations (degrees)."""
    left, right, low, high = (math.radians(angle) for angle in place)
    lines = ["across,up,x_cm,y_cm,z_cm"]
    for across in (k / (columns - 1) for k in range(columns)):
        for up in (k / 8 for k in range(9)):
            turn, rise = left + across * (right - left), low + up * (high - low)
            flat = 30 * math.cos(rise)
            x, y, z = flat * math.sin(turn), 30 * math.sin(rise), -flat * math.cos(turn)
            lines.append(f"{across!r},{up!r},{x!r},{y!r},{z!r}")
    path.write_text("\n".join(lines))
    return PhysicalScreen(path.stem, read_mesh(path), Warp(mesh_file=str(path)))


@given(st.floats(0, 360), st.floats(20, 200), st.floats(-3, 3))
@settings(max_examples=40, deadline=None)
def test_two_parts_of_a_dome_may_touch_and_not_overlap(
    tmp_path_factory: pytest.TempPathFactory, at: float, wide: float, over: float
) -> None:
    folder = tmp_path_factory.mktemp("dome")
    one = dome(folder / "one.csv", (at, at + wide, -20, 40))
    other = dome(folder / "other.csv", (at + wide - over, at + wide + 100, -20, 40))
    if over < 0.1:
        check_overlap((one, other))
    elif over > 0.5:
        with pytest.raises(Refused, match="screens one and other overlap as seen from the eye"):
            check_overlap((one, other))


@pytest.mark.parametrize(
    ("place", "overlaps"),
    [
        ((50, 130, -20, 30), False),  # beside it
        ((40, 130, -20, 30), True),
        ((-10, 10, 5, 15), True),  # in the middle of it
        ((-1, 1, 5, 6), True),  # and small
        ((-180, 180, 48, 80), False),  # a dome's top above it
        ((-180, 180, -60, -40), False),
        ((-170, 170, -20, 30), True),  # around it
    ],
)
def test_a_warped_screen_and_a_flat_one(
    place: tuple[float, float, float, float], overlaps: bool, tmp_path: Path
) -> None:
    front: View = THREE_VIEWS["front"]
    shown = (*load_screens({"front": front}, {}), dome(tmp_path / "round.csv", place))
    if not overlaps:
        check_overlap(shown)
        return
    with pytest.raises(Refused, match="screens front and round overlap"):
        check_overlap(shown)


@pytest.mark.usefixtures("no_drawing")
def test_a_display_refuses_them_before_its_window_opens(tmp_path: Path) -> None:
    dome(tmp_path / "round.csv", (40, 130, -20, 30))
    corners = msgspec.to_builtins(THREE_VIEWS["front"])
    warps = {"round": {"mesh_file": str(tmp_path / "round.csv")}}
    node = display(views={"front": corners}, warps=warps)
    with pytest.raises(Refused, match="screens front and round overlap"):
        node.open()
    screen: Any = node.screen
    assert screen.shown is None
