"""The thumbnail of the screens agrees with what the eye should see."""

import numpy as np

from stimuli.scene.corridor_geometry import CorridorGeometry, Lap, Laps, fog_m
from stimuli.scene.thumbnail import Thumbnail
from stimuli.screens.screen_geometry import THREE_VIEWS, load_screens, pixel_directions
from stimuli.textures.names import GREY, SHAPE, TEXTURE_HEIGHT_M, TEXTURE_M
from tests.stimuli.ray_casting import cast, wave

_SIZE = (40, 30)
_CORRIDOR = CorridorGeometry()
_SCREENS = load_screens(THREE_VIEWS, {})
_LAPS: Laps = (Lap(None, 4.0, 2.0), Lap("leaf1", 4.0, 2.0), Lap("leaf1", 4.0, 2.0))


def thumbnail() -> Thumbnail:
    rows, columns = SHAPE
    along, up = (np.arange(columns) + 0.5) / columns, (np.arange(rows)[:, None] + 0.5) / rows
    texture = wave(along * TEXTURE_M, up * TEXTURE_HEIGHT_M).astype(np.uint8)
    return Thumbnail(_SCREENS, _CORRIDOR, {"leaf1": texture}, _SIZE)


def test_it_agrees_with_ray_casting_of_the_eye() -> None:
    rays = np.concatenate([pixel_directions(screen, *_SIZE) for screen in _SCREENS], axis=1)
    for position_m in (0.0, 1.37, 3.9):
        level, reach = cast(rays, position_m, _LAPS, _CORRIDOR, wave)
        from_m, to_m = fog_m(_LAPS, _CORRIDOR)
        fog = np.clip((reach - from_m) / (to_m - from_m), 0, 1)
        expected = 255 * ((level * (1 - fog) + GREY * fog) / 255) ** (1 / 2.2)
        drawn = thumbnail().draw(_LAPS, position_m)
        assert drawn.shape == (30, 120)
        assert np.mean(np.abs(drawn - expected) > 4) < 0.01


def test_it_moves_with_the_mouse_and_is_grey_outside() -> None:
    small = thumbnail()
    assert (small.draw(_LAPS, 1.0) != small.draw(_LAPS, 1.1)).mean() > 0.2
    assert len(np.unique(small.grey())) == 1
