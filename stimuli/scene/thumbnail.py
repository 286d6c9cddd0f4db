"""A small picture of what the screens show, computed by ray casting, for the live page.

It is computed from the session's settings and the position of a flip, so it takes no time from the
display process.
"""

import numpy as np
from numpy.typing import NDArray

from stimuli.scene.corridor_geometry import CorridorGeometry, Laps, fog_m
from stimuli.screens.screen_geometry import PhysicalScreen, pixel_directions
from stimuli.textures.names import GREY, TEXTURE_HEIGHT_M, TEXTURE_M, Texture

Levels = NDArray[np.uint8]
_GAMMA = 2.2
"""Gamma of an ordinary monitor, to convert linear luminance to levels."""


class Thumbnail:
    """A renderer of small pictures of the corridor's walls, for flat and warped screens."""

    def __init__(
        self,
        screens: tuple[PhysicalScreen, ...],
        corridor: CorridorGeometry,
        textures: dict[str, Texture],
        size_px: tuple[int, int],
    ) -> None:
        """Compute where each pixel's ray meets a wall.

        Args:
            screens: The screens, from left to right.
            corridor: The cross-section around the eye, and the fog.
            textures: The texture of each stimulus.
            size_px: Width and height of each screen's picture.
        """
        rays = np.concatenate([pixel_directions(screen, *size_px) for screen in screens], axis=1)
        x, y, z = np.moveaxis(rays, -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            to_wall = corridor.half_width_cm / 100 / np.abs(x)
            to_plane = np.where(y < 0, corridor.floor_cm, corridor.ceiling_cm) / 100 / y
        self._is_wall = to_wall < to_plane
        reach = np.minimum(to_wall, to_plane)
        self._distance_m, self._ahead_m = reach, -z * reach
        up = np.nan_to_num((y * reach - corridor.floor_cm / 100) / TEXTURE_HEIGHT_M)
        self._up = up % 1.0
        self._corridor, self._textures = corridor, textures

    def grey(self) -> Levels:
        """Return the picture outside a corridor."""
        return _shown(np.full(self._up.shape, float(GREY)))

    def draw(self, laps: Laps, position_m: float) -> Levels:
        """Return the picture at a position (m) in the middle lap: rows from the top x columns."""
        along = position_m + self._ahead_m
        level = np.full(along.shape, float(GREY))
        begin = -laps[0].length_m
        for lap in laps:
            texture = self._textures.get(lap.stimulus or "")
            if texture is not None:
                here = self._is_wall & (along >= begin) & (along < begin + lap.texture_m)
                rows, columns = texture.shape
                u = ((along[here] - begin) / TEXTURE_M * columns).astype(np.intp) % columns
                level[here] = texture[(self._up[here] * rows).astype(np.intp), u]
            begin += lap.length_m
        from_m, to_m = fog_m(laps, self._corridor)
        fog = np.clip(np.nan_to_num((self._distance_m - from_m) / (to_m - from_m), nan=1.0), 0, 1)
        return _shown(level * (1 - fog) + GREY * fog)


def _shown(level: NDArray[np.float64]) -> Levels:
    return np.asarray(np.rint(255 * (level / 255) ** (1 / _GAMMA)), np.uint8)
