"""What the eye should see of a corridor in each direction, computed by ray casting in NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stimuli.scene.corridor_geometry import CorridorGeometry, Laps
from stimuli.textures.names import GREY

Chart = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
"""The level of a wall, by metres along its lap and metres above the floor."""


def wave(along_m: NDArray[Any], up_m: NDArray[Any]) -> NDArray[Any]:
    """A smooth texture in which a shift of a centimetre is visible; periodic over 4 x 0.25 m."""
    level: NDArray[Any] = 128 + 60 * np.sin(8 * np.pi * along_m) + 50 * np.sin(8 * np.pi * up_m)
    return level


def cast(
    toward: NDArray[Any], position_m: float, laps: Laps, corridor: CorridorGeometry, chart: Chart
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the level in each direction (before fog), and how far away (m) that is."""
    unit = toward / np.linalg.norm(toward, axis=-1, keepdims=True)
    x, y, z = np.moveaxis(unit, -1, 0)
    with np.errstate(divide="ignore"):
        to_wall = corridor.half_width_cm / 100 / np.abs(x)
        to_plane = np.where(y < 0, corridor.floor_cm / 100 / y, corridor.ceiling_cm / 100 / y)
    reach = np.minimum(to_wall, to_plane)
    ahead = position_m - z * reach
    level = np.full(x.shape, float(GREY))
    begin = -laps[0].length_m
    for lap in laps:
        here = (ahead >= begin) & (ahead < begin + lap.texture_m) & (to_wall < to_plane)
        if lap.stimulus is not None:
            up = y * reach - corridor.floor_cm / 100
            level = np.where(here, chart(ahead - begin, up), level)
        begin += lap.length_m
    return level, reach
