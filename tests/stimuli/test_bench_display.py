"""rig bench display measures every part, and its reference draws the same corridor."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rig
from rig.cli.bench import display
from rig.process import completed
from rig.settings.config import resolve
from stimuli.scene.screen import Scene
from stimuli.screens.screen_geometry import THREE_VIEWS
from stimuli.window.psychopy_reference import plane_walls

PACKAGE = Path(rig.__file__).parent


@pytest.mark.usefixtures("window")
def test_the_bench_measures_each_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "_FRAMES", 20)
    monkeypatch.setattr(display, "_MANY", 12)
    rows = [*display._cost_rows(), *display._paced_rows(0.5)]
    assert [row.n for row in rows] == [20, 20, 20, 29, 29, 0]
    assert all(row.p50 is not None and row.p50 >= 0 for row in rows)


@pytest.mark.usefixtures("window")
def test_the_reference_has_its_walls_where_ours_are() -> None:
    screen = display._open_screen(display._FEW)
    gl: Any = screen._gl
    screen.draw(Scene(display._LAPS, 1.0, False))
    ours = screen.read_pixels()
    views = tuple(THREE_VIEWS.values())
    draw = plane_walls(screen._window, screen.layout, views, display._CORRIDOR, display._LAPS)
    gl.glClearColor(0.5, 0.5, 0.5, 1.0)
    gl.glClear(gl.GL_COLOR_BUFFER_BIT | gl.GL_DEPTH_BUFFER_BIT)
    draw(1.0)
    gl.glFinish()
    theirs = np.empty_like(ours)
    gl.glReadPixels(0, 0, 1200, 300, gl.GL_RGB, gl.GL_UNSIGNED_BYTE, theirs.ctypes.data)
    screen.close()
    wall = np.abs(ours.astype(int) - 128).max(axis=-1) > 8
    plane = np.abs(theirs[::-1].astype(int) - 128).max(axis=-1) > 8
    near = np.s_[:, np.r_[0:450, 750:1200]]  # only ours has fog
    assert (wall[near] & ~plane[near]).mean() < 0.02


def test_the_measured_session_is_valid() -> None:
    task = PACKAGE.parent / "behavior" / "tasks" / "train1.toml"
    setup = PACKAGE / "setups" / "simulated.toml"
    session = completed(resolve(setup, task, "bench", 1, [*display._SETS]).session)
    assert session.nodes["display"]["screen"]["is"] == "stimuli.window:PsychopyScreen"
