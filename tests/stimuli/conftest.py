"""Fixtures of screens: textures, and the real window where possible."""

import gc
import os
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import pytest

from stimuli.scene.corridor_geometry import CorridorGeometry
from stimuli.scene.screen import RenderSetup, Screen
from stimuli.screens.screen_geometry import THREE_VIEWS, load_screens
from stimuli.textures.cache import load_textures
from stimuli.textures.names import Texture
from stimuli.window.display_requirements import missing
from stimuli.window.psychopy_screen import PsychopyScreen
from stimuli.window.simulated_screen import SimulatedScreen


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Turn the garbage collector on again: a display turns it off while it is open."""
    yield
    gc.enable()


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load no textures: a simulated screen needs only their names."""
    monkeypatch.setattr("stimuli.display.load_textures", lambda names, _: dict.fromkeys(names))


@pytest.fixture(scope="session")
def drawn() -> dict[str, Texture]:
    return load_textures()


@pytest.fixture(scope="session")
def setup(drawn: dict[str, Texture]) -> RenderSetup:
    """The built-in textures, and three that make geometry measurable."""
    grid = np.full_like(drawn["leaf1"], 128)
    grid[:, np.arange(4096) % 64 < 8] = 255
    grid[np.arange(256) % 32 < 8] = 0
    third_metre = np.zeros_like(grid)
    third_metre[:, 2048:3072] = 255
    charts = {"grid": grid, "black": np.zeros_like(grid), "third metre": third_metre}
    return RenderSetup(
        load_screens(THREE_VIEWS, {}),
        msgspec.convert({}, CorridorGeometry),
        {**drawn, **charts},
        False,
    )


@pytest.fixture(scope="session")
def window() -> None:
    """Skip tests if the real window cannot be opened; in CI they fail."""
    if (lack := missing()) is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(lack)
        pytest.skip(lack)


@pytest.fixture(scope="module")
def real(window: None, setup: RenderSetup) -> Iterator[PsychopyScreen]:
    screen = PsychopyScreen(msgspec.convert({"patch_px": 0}, PsychopyScreen.Settings))
    screen.open(setup)
    yield screen
    screen.close()


@pytest.fixture(params=[SimulatedScreen, PsychopyScreen])
def make(request: pytest.FixtureRequest) -> Callable[[], Screen]:
    """Return a function that makes a closed screen of each class, 64 x 48 pixels a view."""
    kind = request.param
    if kind is PsychopyScreen:
        request.getfixturevalue("window")
    return lambda: kind(msgspec.convert({"size_px": [64, 48]}, kind.Settings))
