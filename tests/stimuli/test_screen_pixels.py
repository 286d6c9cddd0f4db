"""Every pixel of every screen, flat or warped, shows what is in its direction; gamma and masks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from stimuli.scene.corridor_geometry import CorridorGeometry, Lap, Laps
from stimuli.scene.screen import GREY_SCENE, RenderSetup, Scene
from stimuli.screens.gamma import check_readings, correction_table, write_gamma
from stimuli.screens.screen_geometry import (
    THREE_VIEWS,
    PhysicalScreen,
    View,
    Warp,
    load_screens,
    pixel_directions,
)
from stimuli.textures.names import GREY, Texture
from stimuli.window.psychopy_screen import PsychopyScreen
from tests.stimuli.ray_casting import cast, wave
from tests.stimuli.test_gamma import measured
from tests.stimuli.test_screen_geometry import cylinder

CLEAR = CorridorGeometry(fog_from_m=90.0, fog_to_m=99.0)
WAVE, EYE_LINE = Lap("wave", 4.0, 2.0), Lap("eye line", 4.0, 2.0)
LAPS = (WAVE, WAVE, WAVE)
NEAR_M = 0.8
"""Walls nearer than this are drawn at the texture's full resolution."""


def charts() -> dict[str, Texture]:
    up_m, along_m = np.meshgrid(
        (np.arange(256) + 0.5) / 1024, (np.arange(4096) + 0.5) / 1024, indexing="ij"
    )
    eye_line = np.where(up_m < 0.08, 0, 255)
    return {
        "wave": np.rint(wave(along_m, up_m)).astype(np.uint8),
        "eye line": eye_line.astype(np.uint8),
    }


def opened(
    shown: tuple[PhysicalScreen, ...], corridor: CorridorGeometry = CLEAR, **table: Any
) -> PsychopyScreen:
    screen = PsychopyScreen(msgspec.convert({"patch_px": 0, **table}, PsychopyScreen.Settings))
    screen.open(RenderSetup(shown, corridor, charts(), False))
    return screen


def drawn(screen: PsychopyScreen, laps: Laps = LAPS, position_m: float = 1.3) -> NDArray[Any]:
    screen.draw(Scene(laps, position_m, False))
    return screen.read_pixels().astype(float)


def difference(picture: NDArray[Any], physical: PhysicalScreen, **differing: Any) -> NDArray[Any]:
    """Return the error of each near pixel of a screen's image; 0 for far ones."""
    height, width = picture.shape[:2]
    corridor = differing.get("corridor", CLEAR)
    level, reach = cast(pixel_directions(physical, width, height), 1.3, LAPS, corridor, wave)
    return np.where(reach < NEAR_M, picture[..., 0] - level, 0.0)


@pytest.fixture(scope="module")
def flat(window: None) -> Iterator[PsychopyScreen]:
    screen = opened(load_screens(THREE_VIEWS, {}))
    yield screen
    screen.close()


def test_every_pixel_of_three_screens_shows_the_right_wall(flat: PsychopyScreen) -> None:
    picture = drawn(flat)
    for number, physical in enumerate(load_screens(THREE_VIEWS, {})):
        wrong = difference(picture[:, 400 * number : 400 * (number + 1)], physical)
        edge = np.abs(wrong) > 6  # pixels cut by the edge of a wall are a mixture
        assert edge.mean() < 0.005
        assert np.abs(wrong[~edge]).mean() < 0.6
        assert np.abs(wrong[:, [0, 1, -2, -1]]).mean() < 1.5


def test_the_horizon_is_one_line_over_270_degrees(flat: PsychopyScreen) -> None:
    """A line on the walls at the height of the eye is level in every near column."""
    picture = drawn(flat, (EYE_LINE,) * 3)[..., 0]
    assert picture.shape == (300, 1200)
    columns = np.r_[0:480, 720:1200]
    dark = picture[:, columns] < GREY
    assert (dark[205:220].all()) and not dark[180:195].any()
    rows = 180 + (~dark[180:220]).sum(axis=0)
    assert (rows == 200).all()


@pytest.mark.usefixtures("window")
def test_a_flat_screen_through_a_mesh_is_the_same_screen(tmp_path: Path) -> None:
    front = THREE_VIEWS["front"]
    flat_mesh = tmp_path / "flat.csv"
    flat_mesh.write_text(
        "across,up,x_cm,y_cm,z_cm\n0,0,-20,-10,-20\n1,0,20,-10,-20\n0,1,-20,20,-20\n1,1,20,20,-20\n"
    )
    (warped,) = load_screens({}, {"front": Warp(mesh_file=str(flat_mesh))})
    pictures = []
    for shown in (load_screens({"front": front}, {}), (warped,)):
        screen = opened(shown, CorridorGeometry(floor="wave", ceiling="wave"))
        pictures.append(drawn(screen))
        screen.close()
    gap = np.abs(pictures[0] - pictures[1])
    assert np.percentile(gap, 99) <= 3
    assert gap.mean() < 0.5
    assert pictures[0].std() > 20


@pytest.mark.usefixtures("window")
def test_every_pixel_of_a_cylinder_shows_the_right_wall(tmp_path: Path) -> None:
    (round_screen,) = load_screens({}, {"round": Warp(mesh_file=str(cylinder(tmp_path / "c.csv")))})
    screen = opened((round_screen,), size_px=[810, 200])
    wrong = difference(drawn(screen), round_screen)
    screen.close()
    edge = np.abs(wrong) > 6
    assert edge.mean() < 0.01
    assert np.abs(wrong[~edge]).mean() < 0.6


@pytest.mark.usefixtures("window")
def test_each_screen_has_its_own_gamma_and_colours(tmp_path: Path) -> None:
    table = check_readings(measured(2.2, 0.0, 100.0), "left")
    write_gamma(tmp_path / "left.csv", table, [])
    views: dict[str, View] = {
        "left": msgspec.structs.replace(
            THREE_VIEWS["left"], gamma_file=str(tmp_path / "left.csv"), colour=(1.0, 0.5, 0.0)
        ),
        "front": THREE_VIEWS["front"],
    }
    plain = opened(load_screens({n: THREE_VIEWS[n] for n in views}, {}), size_px=[64, 48])
    wanted = drawn(plain)
    plain.close()
    screen = opened(load_screens(views, {}), size_px=[64, 48], patch_px=8)
    picture = drawn(screen)
    screen.draw(GREY_SCENE)
    grey = screen.read_pixels()
    screen.draw(Scene(None, 0.0, True))
    patch = screen.read_pixels()[-8:, :8]
    screen.close()
    curve = correction_table(table, 0.0, 100.0).astype(float) * 255
    corrected = curve[wanted[:40, :64, 0].astype(int)]
    assert picture[:40, :64, 0] == pytest.approx(corrected, abs=1.5)
    assert picture[:40, :64, 1] == pytest.approx(corrected / 2, abs=1.5)
    assert not picture[:, :64, 2].any()
    assert picture[:, 64:] == pytest.approx(wanted[:, 64:], abs=1)
    assert grey[0, 0] == pytest.approx([curve[GREY], curve[GREY] / 2, 0], abs=1)
    assert (grey[:, 64:] == GREY).all()
    assert (patch == (255, 128, 0)).all()


@pytest.mark.usefixtures("window")
def test_a_floor_and_a_ceiling_close_where_one_lap_becomes_the_next() -> None:
    screen = opened(load_screens(THREE_VIEWS, {}), CorridorGeometry(floor="wave", ceiling="wave"))
    before, after = (
        drawn(screen, laps, position_m) for laps, position_m in ((LAPS, 5.999999), (LAPS, 0.000001))
    )
    screen.close()
    assert np.abs(before - after).mean() < 0.1
    assert np.ptp(before[-40:, 400:800]) > 50
    assert np.ptp(before[:40, 500:700]) > 50
