"""The real window, pixel by pixel."""

import ctypes
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import stimuli.window.display_requirements
from stimuli.scene.corridor_geometry import Lap
from stimuli.scene.screen import Scene
from stimuli.textures.names import GREY
from stimuli.window import grey_backdrop
from stimuli.window.display_requirements import missing
from stimuli.window.psychopy_screen import PsychopyScreen

GREY_LAP = Lap(None, 4.0, 2.0)
WIDTH = 400
SEAMS = (WIDTH, 2 * WIDTH)


def lap(stimulus: str) -> Lap:
    return Lap(stimulus, 4.0, 2.0)


def seen(screen: PsychopyScreen, *laps: Lap, position_m: float) -> NDArray[Any]:
    behind, here, ahead = laps
    screen.draw(Scene((behind, here, ahead), position_m, False))
    return screen.read_pixels()[..., 0].astype(float)


def test_the_grid_continues_across_the_seams(real: PsychopyScreen) -> None:
    """Over one period of the grid, neighbouring columns differ no more at a seam than beside it."""
    positions_m = 1.0 + np.arange(16) * (64 / 1024) / 16
    pictures = [seen(real, *[lap("grid")] * 3, position_m=at_m) for at_m in positions_m]
    steps = np.mean([np.abs(np.diff(picture, axis=1)).mean(axis=0) for picture in pictures], axis=0)
    for seam in SEAMS:
        beside = np.r_[steps[seam - 30 : seam - 1], steps[seam : seam + 30]]
        assert steps[seam - 1] < 1.1 * beside.max()


def test_both_walls_mirror_each_other(real: PsychopyScreen) -> None:
    picture = seen(real, lap("circle1"), lap("leaf1"), lap("circle1"), position_m=1.3)
    assert np.abs(picture - picture[:, ::-1]).mean() < 0.5
    assert picture.std() > 10


def test_the_horizon_is_where_the_eye_is_level(real: PsychopyScreen) -> None:
    """The eye is 10 cm up on a 30 cm screen; the walls converge on that row."""
    picture = seen(real, *[lap("black")] * 3, position_m=1.0)
    far = picture[:, WIDTH + 190]
    rows = np.flatnonzero(far < GREY - 20)
    up, down = 200 - rows.min(), rows.max() - 200
    assert up / down == pytest.approx(12 / 8, rel=0.2)


def test_textures_are_in_metres(real: PsychopyScreen) -> None:
    for position_m, level in ((1.5, 0), (2.5, 255), (3.5, 0)):
        picture = seen(real, GREY_LAP, lap("third metre"), GREY_LAP, position_m=position_m)
        assert picture[150, WIDTH // 2] == level
        assert picture[150, 5 * WIDTH // 2] == level


def test_the_grey_space_is_grey_and_the_next_corridor_is_ahead(real: PsychopyScreen) -> None:
    picture = seen(real, lap("leaf1"), lap("leaf1"), GREY_LAP, position_m=5.0)
    assert (picture == GREY).all()
    picture = seen(real, lap("leaf1"), lap("leaf1"), lap("black"), position_m=5.0)
    assert (picture[:, :WIDTH] == GREY).all()
    assert (picture[:, 2 * WIDTH :] == GREY).all()
    dark_px = (picture[:, WIDTH : 2 * WIDTH] < GREY // 4).sum()
    nearer = seen(real, lap("leaf1"), lap("leaf1"), lap("black"), position_m=5.5)
    assert 100 < dark_px < (nearer < GREY // 4).sum()


def test_nothing_appears_suddenly_out_of_the_fog(real: PsychopyScreen) -> None:
    """Where a lap would appear or vanish in the distance, the fog hides it completely."""
    with_next = seen(real, lap("black"), lap("leaf1"), lap("black"), position_m=0.0)
    without = seen(real, lap("black"), lap("leaf1"), GREY_LAP, position_m=0.0)
    assert np.array_equal(with_next, without)


def test_missing_psychopy_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stimuli.window.display_requirements, "find_spec", lambda _: None)
    assert "package psychopy" in str(missing())


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    load = ctypes.CDLL

    def load_but_glu(name: str) -> ctypes.CDLL:
        if name == "libGLU.so.1":
            raise OSError(name)
        return load(name)

    monkeypatch.setattr(stimuli.window.display_requirements, "find_spec", lambda name: name)
    monkeypatch.setattr(ctypes, "CDLL", load_but_glu)
    lack = str(missing())
    assert "libGLU.so.1" in lack
    assert "apt-get install" in lack


def test_a_missing_x_server_is_named(window: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":7777")
    assert "no X server answers at DISPLAY = :7777" in str(missing())


def test_the_backdrop_is_supported_only_with_an_x_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    for system, hangs in (("linux", True), ("win32", False), ("darwin", False)):
        monkeypatch.setattr(sys, "platform", system)
        assert grey_backdrop.supported() == hangs
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY")
    assert not grey_backdrop.supported()


GOLDEN = """
162.8 106.4 98.4 96.8 123.4 127.9 127.9 123.4 96.8 98.4 106.4 162.8
139.9 152.9 109.9 127.3 135.1 132.6 132.6 135.1 127.3 109.9 152.9 139.9
134.5 118.0 131.8 146.5 98.6 123.3 123.3 98.6 146.5 131.8 118.0 134.5
"""
"""Mean levels of squares of 100 pixels on three screens, left to right and top to bottom."""


def test_the_corridor_looks_as_it_always_did(real: PsychopyScreen) -> None:
    """Anything that moves, turns, fades or has another texture changes these levels."""
    picture = seen(real, lap("circle1"), lap("leaf1"), lap("circle1"), position_m=1.3)
    thumbnail = picture.reshape(3, 100, 12, 100).mean(axis=(1, 3))
    golden = np.array(GOLDEN.split(), float).reshape(3, 12)
    assert thumbnail == pytest.approx(golden, abs=1.0)
