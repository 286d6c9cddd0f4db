"""Open-loop stimuli: when they are shown, and each pixel where the eye should see it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rig.errors import Refused
from rig.messages import Position, TrialStart
from stimuli.scene.corridor_geometry import CorridorGeometry
from stimuli.scene.open_loop import Bar, Bars, FieldOfView, Image, field_of_view, open_loop_stimulus
from stimuli.scene.screen import RenderSetup, Scene
from stimuli.scene.task_stimuli import BARS
from stimuli.screens.screen_geometry import (
    THREE_VIEWS,
    PhysicalScreen,
    Warp,
    load_screens,
    pixel_directions,
)
from stimuli.textures.names import GREY, Texture
from stimuli.window.psychopy_screen import PsychopyScreen
from tests.stimuli.test_screen_geometry import cylinder

SEEN = FieldOfView(-135.0, 135.0, -30.0, 45.0)
DEFAULT_BARS = Bars()
SCREENS = load_screens(THREE_VIEWS, {})


def trial(picture: Any, stimulus: str, show_s: float = 10.0, t: int = 3_000_000_000) -> TrialStart:
    none: Any = None
    return TrialStart(
        t, 0, stimulus, None, False, 0.0, 0.0, none, "none", 0.0, 0, picture, show_s, 5.0
    )


def at(passed_s: float, phase: Any = "picture") -> Position:
    return Position(3_000_000_000 + round(passed_s * 1e9), 0, 0.0, 0.0, False, phase)


def bar(stimulus: str, passed_s: float, bars: Bars = DEFAULT_BARS) -> Bar:
    shown = open_loop_stimulus(trial("bar", stimulus), at(passed_s), bars, SEEN)
    assert isinstance(shown, Bar)
    return shown


def test_three_screens_at_right_angles_show_270_degrees() -> None:
    assert field_of_view(SCREENS) == pytest.approx((-135, 135, -26.6, 45), abs=0.3)


@pytest.mark.parametrize(
    ("stimulus", "upright", "first", "last"),
    [
        ("bar_0", True, -145, 145),
        ("bar_180", True, 145, -145),
        ("bar_90", False, -40, 55),
        ("bar_270", False, 55, -40),
    ],
)
@given(share=st.floats(0, 1))
def test_a_bar_crosses_the_field_of_view_at_constant_speed(
    stimulus: str, upright: bool, first: float, last: float, share: float
) -> None:
    shown = bar(stimulus, 10 * share)
    assert shown.upright == upright
    assert shown.middle_deg == pytest.approx(first + share * (last - first), abs=1e-6)


def test_contrast_reverses_at_the_set_rate() -> None:
    states = [bar("bar_0", (n + 0.5) / 6).reversed for n in range(6)]
    assert states == [False, True] * 3
    assert not any(bar("bar_0", n / 7, Bars(reversals_hz=0.0)).reversed for n in range(50))


@pytest.mark.parametrize("phase", ["grey", "paused", "done"])
def test_all_other_phases_are_grey(phase: str) -> None:
    assert open_loop_stimulus(trial("bar", "bar_0"), at(1.0, phase), Bars(), SEEN) is None
    assert open_loop_stimulus(trial("image", "shore"), at(1.0, phase), Bars(), SEEN) is None
    assert open_loop_stimulus(trial("grey", "grey"), at(1.0), Bars(), SEEN) is None
    assert open_loop_stimulus(trial("image", "shore"), at(1.0), Bars(), SEEN) == Image("shore")


def ramps() -> dict[str, Texture]:
    """Return two smooth images: one brighter to the right, one brighter upwards."""
    shape = (270, 1024)
    right = np.broadcast_to(np.linspace(20, 230, shape[1]), shape)
    up = np.broadcast_to(np.linspace(20, 230, shape[0])[:, None], shape)
    return {"right": np.rint(right).astype(np.uint8), "up": np.rint(up).astype(np.uint8)}


def opened(shown: tuple[PhysicalScreen, ...], size_px: list[int]) -> PsychopyScreen:
    table = {"patch_px": 0, "size_px": size_px}
    screen = PsychopyScreen(msgspec.convert(table, PsychopyScreen.Settings))
    screen.open(RenderSetup(shown, CorridorGeometry(), {}, False, ramps()))
    return screen


@pytest.fixture(scope="module")
def three(window: None) -> Iterator[PsychopyScreen]:
    screen = opened(SCREENS, [400, 300])
    yield screen
    screen.close()


def drawn(screen: PsychopyScreen, shown: Image | Bar) -> NDArray[Any]:
    screen.draw(Scene(None, 0.0, False, shown))
    return screen.read_pixels()[..., 0].astype(float)


def angles(screen: PhysicalScreen, width: int, height: int) -> tuple[NDArray[Any], NDArray[Any]]:
    x, y, z = np.moveaxis(pixel_directions(screen, width, height), -1, 0)
    return np.degrees(np.arctan2(x, -z)), np.degrees(np.arctan2(y, np.hypot(x, z)))


def expected(
    screen: PhysicalScreen, width: int, height: int, bar: Bar
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the level of each pixel, and whether it is half a degree or more from every edge."""
    azimuth, elevation = angles(screen, width, height)
    across = (azimuth if bar.upright else elevation) - bar.middle_deg
    squares = np.floor(azimuth / bar.checks_deg) + np.floor(elevation / bar.checks_deg)
    level = 255.0 * ((squares + bar.reversed) % 2)
    level = np.where(np.abs(across) < bar.width_deg / 2, level, GREY)
    side = bar.checks_deg
    clear = np.abs(np.abs(across) - bar.width_deg / 2) > 0.5
    for angle in (azimuth, elevation):
        clear &= np.abs((angle + side / 2) % side - side / 2) > 0.5
    return level, clear


@pytest.mark.parametrize("stimulus", BARS)
@pytest.mark.parametrize("passed_s", [1.2, 4.1, 6.8])
def test_every_pixel_of_a_bar_is_right_on_every_screen(
    three: PsychopyScreen, stimulus: str, passed_s: float
) -> None:
    shown = bar(stimulus, passed_s)
    picture = drawn(three, shown)
    for number, screen in enumerate(SCREENS):
        level, clear = expected(screen, 400, 300, shown)
        own = picture[:, 400 * number : 400 * (number + 1)]
        assert clear.mean() > 0.85
        assert np.array_equal(own[clear], level[clear])


def test_a_bar_that_has_left_is_not_visible(three: PsychopyScreen) -> None:
    for passed_s in (0.0, 10.0):
        assert (drawn(three, bar("bar_0", passed_s)) == GREY).all()
        assert (drawn(three, bar("bar_90", passed_s)) == GREY).all()


@pytest.mark.parametrize("name", ["right", "up"])
def test_every_pixel_of_an_image_is_where_the_eye_should_see_it(
    three: PsychopyScreen, name: str
) -> None:
    picture = drawn(three, Image(name))
    seen = field_of_view(SCREENS)
    for number, screen in enumerate(SCREENS):
        azimuth, elevation = angles(screen, 400, 300)
        share = (azimuth - seen.left) / (seen.right - seen.left)
        if name == "up":
            share = (elevation - seen.low) / (seen.high - seen.low)
        own = picture[:, 400 * number : 400 * (number + 1)]
        assert np.abs(own - (20 + 210 * share)).max() <= 2


@pytest.mark.usefixtures("window")
def test_a_bar_is_right_on_a_cylinder_too(tmp_path: Path) -> None:
    (round_screen,) = load_screens({}, {"round": Warp(mesh_file=str(cylinder(tmp_path / "c.csv")))})
    screen = opened((round_screen,), [810, 200])
    shown = Bar(True, 31.0, 20.0, 25.0, True)
    picture = drawn(screen, shown)
    screen.close()
    level, clear = expected(round_screen, 810, 200, shown)
    assert np.array_equal(picture[clear], level[clear])


def test_an_image_that_is_not_there_is_refused(three: PsychopyScreen) -> None:
    with pytest.raises(Refused, match='no image "shore"'):
        drawn(three, Image("shore"))
