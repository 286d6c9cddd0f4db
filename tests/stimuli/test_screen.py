"""The contract of every Screen class, and how a setup chooses one."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from rig.errors import Refused
from stimuli.display import Display
from stimuli.scene.corridor_geometry import Lap
from stimuli.scene.screen import GREY_SCENE, RenderSetup, Scene, Screen
from stimuli.textures.names import GREY
from stimuli.window import PsychopyScreen, SimulatedScreen

LEAF, UNKNOWN = Lap("leaf1", 4.0, 2.0), Lap("fish1", 4.0, 2.0)


def test_a_screen_opens_on_grey_over_all_views(
    make: Callable[[], Screen], setup: RenderSetup
) -> None:
    screen = make()
    screen.open(setup)
    picture = screen.read_pixels()
    screen.close()
    assert picture.shape == (48, 3 * 64, 3)
    assert picture.dtype == np.uint8
    assert (picture[:24] == GREY).all()


def test_a_screen_shows_scenes_and_returns_to_grey(
    make: Callable[[], Screen], setup: RenderSetup
) -> None:
    screen = make()
    screen.open(setup)
    for number in range(5):
        screen.draw(Scene((LEAF, LEAF, LEAF), float(number), number % 2 == 0))
        screen.flip()
    screen.draw(GREY_SCENE)
    screen.flip()
    picture = screen.read_pixels()
    screen.close()
    assert (picture[:24] == GREY).all()


def test_a_stimulus_without_texture_is_refused(
    make: Callable[[], Screen], setup: RenderSetup
) -> None:
    screen = make()
    screen.open(setup)
    with pytest.raises(Refused, match=r'"fish1" has no texture; the task may use: .*leaf3'):
        screen.draw(Scene((LEAF, LEAF, UNKNOWN), 0.0, False))
    screen.close()


def test_a_screen_may_be_closed_unopened_twice_and_opened_again(
    make: Callable[[], Screen], setup: RenderSetup
) -> None:
    screen = make()
    screen.close()
    for _ in range(2):
        screen.open(setup)
        screen.flip()
        screen.close()
    screen.close()


def display(screen: dict[str, Any]) -> Display:
    return Display(msgspec.convert({"screen": screen}, Display.Settings), lambda _: None)


@pytest.mark.parametrize("kind", [SimulatedScreen, PsychopyScreen])
def test_the_setup_chooses_the_screen(kind: type[Screen]) -> None:
    table = {"is": f"stimuli.window:{kind.__name__}", "size_px": [320, 200]}
    assert type(display(table).screen) is kind


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({}, "must name a class"),
        ({"is": 3}, "must name a class"),
        ({"is": "stimuli.window.simulated_screen"}, "must name a class"),
        ({"is": "stimuli.nowhere:Screen"}, "cannot be loaded"),
        ({"is": "stimuli.window.simulated_screen:Nothing"}, "cannot be loaded"),
        ({"is": "stimuli.scene.screen:Scene"}, "is not a device"),
        ({"is": "stimuli.window:SimulatedScreen", "colour": 1}, "colour"),
        ({"is": "stimuli.window:PsychopyScreen", "size_px": [0, 300]}, "size_px"),
    ],
)
def test_a_table_without_a_screen_class_is_refused(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        display(table)
