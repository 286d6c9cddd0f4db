"""The corridor's geometry: its walls around the eye, and how a flat screen sees them.

Lengths are in metres; one metre of corridor is drawn as one metre of space around the eye.
"""

from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from stimuli.screens.screen_geometry import View, screen_axes
from stimuli.textures.names import TEXTURE_HEIGHT_M, TEXTURE_M

_NEAR_M, _FAR_M = 0.005, 100.0
"""Distances of the near and the far clipping plane, m."""
FLOOR, CEILING = 3, 4
"""Part numbers of floor and ceiling in `walls`; the part number of a wall is its lap, 0 to 2."""

Centimetres = Annotated[float, msgspec.Meta(ge=-500.0, le=500.0)]


class CorridorGeometry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The corridor's cross-section around the eye, and the fog in which it fades."""

    half_width_cm: Annotated[float, msgspec.Meta(gt=0.0, le=500.0)] = 10.0
    floor_cm: Centimetres = -8.0
    """Height of the floor above the eye, cm."""
    ceiling_cm: Centimetres = 12.0
    """Height of the ceiling above the eye, cm."""
    floor: str = ""
    """Texture of the floor, in corridor and grey space; "" for grey."""
    ceiling: str = ""
    """Texture of the ceiling, in corridor and grey space; "" for grey."""
    fog_from_m: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 3.0
    """Distance at which the walls begin to fade to grey, m."""
    fog_to_m: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)] = 5.5
    """Distance beyond which everything is grey, m."""


class Lap(msgspec.Struct, frozen=True):
    """The corridor of one trial: textured walls (grey if stimulus is None), then grey space."""

    stimulus: str | None
    texture_m: float
    grey_m: float

    @property
    def length_m(self) -> float:
        return self.texture_m + self.grey_m


Laps = tuple[Lap, Lap, Lap]
"""The corridor behind the mouse, the corridor around it, and the corridor ahead."""


def check_corridor(corridor: CorridorGeometry) -> None:
    """Raise Refused if the cross-section or the fog is impossible."""
    if not corridor.floor_cm < 0 < corridor.ceiling_cm:
        raise Refused(
            "[nodes.display.corridor]: floor_cm must be below the eye (less than 0) and "
            "ceiling_cm above it (more than 0); correct them"
        )
    if corridor.fog_to_m <= corridor.fog_from_m:
        raise Refused(
            "[nodes.display.corridor]: fog_to_m must be larger than fog_from_m; increase it"
        )


def projection(view: View) -> NDArray[np.float32]:
    """Return the 4 x 4 matrix from metres around the eye to a flat screen's clip coordinates.

    The frustum is off-axis: from the eye through the corners of the screen (Kooima 2009).
    """
    right, up, normal, distance = screen_axes(view)
    origin = np.array(view.lower_left) / 100
    width = np.linalg.norm(np.subtract(view.lower_right, view.lower_left)) / 100
    height = np.linalg.norm(np.subtract(view.upper_left, view.lower_left)) / 100
    scale = _NEAR_M / distance
    x0, x1 = right @ origin * scale, (right @ origin + width) * scale
    y0, y1 = up @ origin * scale, (up @ origin + height) * scale
    depth = _FAR_M - _NEAR_M
    frustum = np.array(
        [
            [2 * _NEAR_M / (x1 - x0), 0, (x1 + x0) / (x1 - x0), 0],
            [0, 2 * _NEAR_M / (y1 - y0), (y1 + y0) / (y1 - y0), 0],
            [0, 0, -(_FAR_M + _NEAR_M) / depth, -2 * _FAR_M * _NEAR_M / depth],
            [0, 0, -1, 0],
        ]
    )
    rotation = np.eye(4)
    rotation[:3, :3] = right, up, normal
    return (frustum @ rotation).astype(np.float32)


def walls(laps: Laps, corridor: CorridorGeometry) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Return the mesh of three laps.

    Grey space has no vertices, as the background is grey. The mesh is the inside of a tube, so no
    surface hides another.

    Returns:
        Vertices, n x 6: x, y, z in metres (z = 0 where the middle lap begins), u and v in texture
        lengths and heights, and the part: the lap's number, or FLOOR or CEILING if textured.
        Indices of the vertices of all triangles.
    """
    floor, ceiling = corridor.floor_cm / 100, corridor.ceiling_cm / 100
    side = corridor.half_width_cm / 100
    top = (ceiling - floor) / TEXTURE_HEIGHT_M
    vertices: list[tuple[float, ...]] = []
    begins_m = (-laps[0].length_m, 0.0, laps[1].length_m)
    for number, (begin_m, lap) in enumerate(zip(begins_m, laps, strict=True)):
        for x in (-side, side):
            for along_m in (0.0, lap.texture_m):
                z, u = -(begin_m + along_m), along_m / TEXTURE_M
                vertices += [(x, floor, z, u, 0.0, number), (x, ceiling, z, u, top, number)]
        for part, y in _textured_planes(corridor):
            for along_m in (0.0, lap.length_m):
                z, u = -(begin_m + along_m), along_m / lap.length_m * repeats(lap)
                across = side / TEXTURE_HEIGHT_M
                vertices += [(-side, y, z, u, -across, part), (side, y, z, u, across, part)]
    first = np.arange(0, len(vertices), 4)[:, None]  # every four vertices are one rectangle
    triangles = (first + np.array([0, 1, 2, 2, 1, 3])).ravel()
    return np.array(vertices, np.float32), triangles.astype(np.uint32)


def repeats(lap: Lap) -> int:
    """Return the number of texture lengths on a lap's floor, a whole number, so that the floor
    continues without a seam."""
    return max(1, round(lap.length_m / TEXTURE_M))


def fog_m(laps: Laps, corridor: CorridorGeometry) -> tuple[float, float]:
    """Return the distances (m) at which the fog begins and ends.

    They are reduced if a lap is short, so that the end of the last lap is always hidden in the fog.
    """
    shortest_m = min(lap.length_m for lap in laps)
    shrink = min(1.0, shortest_m / corridor.fog_to_m)
    return corridor.fog_from_m * shrink, corridor.fog_to_m * shrink


def _textured_planes(corridor: CorridorGeometry) -> list[tuple[int, float]]:
    """Return part number and height (m) of floor and ceiling, where they have a texture."""
    planes = (
        (FLOOR, corridor.floor, corridor.floor_cm),
        (CEILING, corridor.ceiling, corridor.ceiling_cm),
    )
    return [(part, height_cm / 100) for part, texture, height_cm in planes if texture]
