"""Projection and walls: each point is drawn where the eye sees it through the screen."""

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rig.errors import Refused
from stimuli.scene.corridor_geometry import (
    CorridorGeometry,
    Lap,
    check_corridor,
    fog_m,
    projection,
    walls,
)
from stimuli.screens.screen_geometry import THREE_VIEWS, View, check_views

centimetres = st.floats(-50, 50)
share = st.floats(0, 1)
length_m = st.floats(0.1, 20)


@st.composite
def views(draw: st.DrawFn) -> View:
    """A rectangle at any place, facing the eye, at any angle about the vertical."""
    turn, distance = draw(st.floats(-np.pi, np.pi)), draw(st.floats(5, 100))
    width, height = draw(st.floats(5, 100)), draw(st.floats(5, 100))
    right = np.array([np.cos(turn), 0, np.sin(turn)])
    up = np.array([0, 1, 0])
    ahead = np.array([np.sin(turn), 0, -np.cos(turn)])
    corner = distance * ahead + draw(centimetres) * right + draw(centimetres) * up
    points = (corner, corner + width * right, corner + height * up)
    names = ("lower_left", "lower_right", "upper_left")
    return msgspec.convert({n: p.tolist() for n, p in zip(names, points, strict=True)}, View)


def shown(view: View, point_m: Any) -> Any:
    """Return where a point (metres from the eye) is drawn on the screen, -1 to 1."""
    x, y, _, w = projection(view).astype(float) @ [*point_m, 1.0]
    assert w > 0
    return np.array([x, y]) / w


@given(views(), share, share, st.floats(0.5, 20))
def test_a_point_behind_the_screen_is_drawn_where_it_is_seen_through(
    view: View, along: float, up: float, farther: float
) -> None:
    check_views({"one": view})
    corner = np.array(view.lower_left)
    on_screen = (
        corner
        + along * (np.array(view.lower_right) - corner)
        + up * (np.array(view.upper_left) - corner)
    )
    expected = np.array([2 * along - 1, 2 * up - 1])
    assert shown(view, on_screen / 100 * farther) == pytest.approx(expected, abs=1e-3)


@given(share, st.floats(1, 20))
def test_the_default_screens_meet_without_a_gap(up: float, farther: float) -> None:
    for one, next_one in pairwise(THREE_VIEWS.values()):
        corner = np.array(next_one.lower_left)
        edge = corner + up * (np.array(next_one.upper_left) - corner)
        left, right = (shown(view, edge / 100 * farther) for view in (one, next_one))
        assert left == pytest.approx([1, 2 * up - 1], abs=1e-4)
        assert right == pytest.approx([-1, 2 * up - 1], abs=1e-4)


@given(length_m, length_m, length_m, length_m)
def test_walls_have_the_lengths_of_their_laps(a: float, b: float, c: float, grey: float) -> None:
    laps = (Lap("leaf1", a, grey), Lap("leaf2", b, grey), Lap("leaf3", c, grey))
    vertices, indices = walls(laps, msgspec.convert({}, CorridorGeometry))
    assert set(indices) == set(range(len(vertices)))
    begin_m = -(a + grey)
    for number, lap in enumerate(laps):
        of_lap = vertices[vertices[:, 5] == number]
        ahead_m, u = -of_lap[:, 2], of_lap[:, 3]
        assert ahead_m.min() == pytest.approx(begin_m, abs=1e-4)
        assert ahead_m.max() == pytest.approx(begin_m + lap.texture_m, abs=1e-4)
        assert u * 4 == pytest.approx(ahead_m - begin_m, abs=1e-4)
        begin_m += lap.length_m


@given(length_m, length_m, length_m)
def test_nothing_is_seen_beyond_the_shortest_lap(a: float, b: float, c: float) -> None:
    laps = (Lap("leaf1", a, 0.5), Lap("leaf2", b, 0.5), Lap("leaf3", c, 0.5))
    from_m, to_m = fog_m(laps, msgspec.convert({}, CorridorGeometry))
    assert from_m < to_m <= min(a, b, c) + 0.5 + 1e-9


@given(views(), st.floats(0.2, 1))
def test_impossible_screens_are_refused(view: View, lean: float) -> None:
    turned = msgspec.structs.replace(view, lower_left=view.lower_right, lower_right=view.lower_left)
    with pytest.raises(Refused, match="screen two: its corners do not face the eye"):
        check_views({"one": view, "two": turned})
    corner, up = np.array(view.lower_left), np.array(view.upper_left)
    along = np.array(view.lower_right) - corner
    height = np.linalg.norm(up - corner)
    slanted = up + lean * height * along / np.linalg.norm(along)
    assume(np.isfinite(slanted).all())
    crooked = msgspec.structs.replace(view, upper_left=tuple(slanted.tolist()))
    with pytest.raises(Refused, match="do not form a right angle"):
        check_views({"one": crooked})


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"ceiling_cm": -9.0}, "ceiling_cm above it"),
        ({"floor_cm": 0.0}, "floor_cm must be below the eye"),
        ({"fog_from_m": 6.0}, "fog_to_m must be larger"),
    ],
)
def test_impossible_corridors_are_refused(table: dict[str, float], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        check_corridor(msgspec.convert(table, CorridorGeometry))
