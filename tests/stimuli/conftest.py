"""The screens under test: pictures to show on them, and the real window where it can be had."""

import gc
import os
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import pytest

from stimuli.scene.corridor_geometry import CorridorGeometry
from stimuli.scene.screen import Screen, Stage
from stimuli.screens.screen_geometry import THREE_VIEWS, panes
from stimuli.textures.cache import pictures
from stimuli.textures.names import Picture
from stimuli.window.display_requirements import missing
from stimuli.window.psychopy_screen import PsychopyScreen
from stimuli.window.simulated_screen import SimulatedScreen


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """An open display keeps the garbage collector off; a test may leave one open."""
    yield
    gc.enable()


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulated screen needs names, not pixels."""
    monkeypatch.setattr("stimuli.display.pictures", lambda names, _: dict.fromkeys(names))


@pytest.fixture(scope="session")
def drawn() -> dict[str, Picture]:
    return pictures()


@pytest.fixture(scope="session")
def stage(drawn: dict[str, Picture]) -> Stage:
    """The study's pictures, and three that make geometry countable."""
    grid = np.full_like(drawn["leaf1"], 128)
    grid[:, np.arange(4096) % 64 < 8] = 255
    grid[np.arange(256) % 32 < 8] = 0
    third_metre = np.zeros_like(grid)
    third_metre[:, 2048:3072] = 255
    charts = {"grid": grid, "black": np.zeros_like(grid), "third metre": third_metre}
    return Stage(
        panes(THREE_VIEWS, {}), msgspec.convert({}, CorridorGeometry), {**drawn, **charts}, False
    )


@pytest.fixture(scope="session")
def window() -> None:
    """Skip where the real window cannot be had, and say why; but never on the CI machine."""
    if (lack := missing()) is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(lack)
        pytest.skip(lack)


@pytest.fixture(scope="module")
def real(window: None, stage: Stage) -> Iterator[PsychopyScreen]:
    screen = PsychopyScreen(msgspec.convert({"patch_px": 0}, PsychopyScreen.Settings))
    screen.open(stage)
    yield screen
    screen.close()


@pytest.fixture(params=[SimulatedScreen, PsychopyScreen])
def make(request: pytest.FixtureRequest) -> Callable[[], Screen]:
    """Return what makes a closed screen of each kind, 64 by 48 pixels a view."""
    kind = request.param
    if kind is PsychopyScreen:
        request.getfixturevalue("window")
    return lambda: kind(msgspec.convert({"size_px": [64, 48]}, kind.Settings))
