"""The corridor as numbers: its walls round the eye, and how a flat screen sees them.

Metres, with one corridor metre drawn as one metre of the space round the eye.
"""

from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from stimuli.screens.screen_geometry import View, frame
from stimuli.textures.names import PICTURE_HEIGHT_M, PICTURE_M

_NEAR_M, _FAR_M = 0.005, 100.0
FLOOR, CEILING = 3, 4
"""Where other vertices have the number of their lap: 0, 1 or 2."""

Centimetres = Annotated[float, msgspec.Meta(ge=-500.0, le=500.0)]


class CorridorGeometry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cross-section of the corridor round the eye, and the fog that ends the sight."""

    half_width_cm: Annotated[float, msgspec.Meta(gt=0.0, le=500.0)] = 10.0
    floor_cm: Centimetres = -8.0
    ceiling_cm: Centimetres = 12.0
    floor: str = ""
    """The picture that lies on the floor of corridor and grey space; none: grey."""
    ceiling: str = ""
    fog_from_m: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 3.0
    fog_to_m: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)] = 5.5


class Lap(msgspec.Struct, frozen=True):
    """One trial's corridor: metres of a stimulus (None: of grey), then metres of grey."""

    stimulus: str | None
    texture_m: float
    grey_m: float

    @property
    def length_m(self) -> float:
        return self.texture_m + self.grey_m


Laps = tuple[Lap, Lap, Lap]
"""The corridor behind, the one the animal is in, the one ahead."""


def check_corridor(corridor: CorridorGeometry) -> None:
    """Raise Refused if the corridor cannot be seen as it is described."""
    if not corridor.floor_cm < 0 < corridor.ceiling_cm:
        raise Refused(
            "corridor.floor_cm must be below the eye (less than 0) and corridor.ceiling_cm above it"
        )
    if corridor.fog_to_m <= corridor.fog_from_m:
        raise Refused("corridor.fog_to_m is not beyond corridor.fog_from_m; set it farther")


def projection(view: View) -> NDArray[np.float32]:
    """Return the 4 x 4 matrix from metres round the eye to what this screen shows of them.

    The frustum is off-axis, from the eye through the screen's corners (Kooima 2009).
    """
    right, up, normal, distance = frame(view)
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
    turn = np.eye(4)
    turn[:3, :3] = right, up, normal
    return (frustum @ turn).astype(np.float32)


def walls(laps: Laps, corridor: CorridorGeometry) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Return what three laps are made of: vertices x y z u v part, and triangles' indices.

    Metres; z = 0 where the middle lap begins. u and v run in pictures, along and up (or to the
    right); part is the lap, 0, 1 or 2, or FLOOR or CEILING where these have a picture. Grey space
    is the background itself. The inside of a tube: nothing hides behind anything.
    """
    floor, ceiling = corridor.floor_cm / 100, corridor.ceiling_cm / 100
    side = corridor.half_width_cm / 100
    top = (ceiling - floor) / PICTURE_HEIGHT_M
    vertices: list[tuple[float, ...]] = []
    begins_m = (-laps[0].length_m, 0.0, laps[1].length_m)
    for lap, (begin_m, of) in enumerate(zip(begins_m, laps, strict=True)):
        for x in (-side, side):
            for along_m in (0.0, of.texture_m):
                z, u = -(begin_m + along_m), along_m / PICTURE_M
                vertices += [(x, floor, z, u, 0.0, lap), (x, ceiling, z, u, top, lap)]
        for part, y in _planes(corridor):
            for along_m in (0.0, of.length_m):
                z, u = -(begin_m + along_m), along_m / of.length_m * repeats(of)
                across = side / PICTURE_HEIGHT_M
                vertices += [(-side, y, z, u, -across, part), (side, y, z, u, across, part)]
    first = np.arange(0, len(vertices), 4)[:, None]
    triangles = (first + np.array([0, 1, 2, 2, 1, 3])).ravel()
    return np.array(vertices, np.float32), triangles.astype(np.uint32)


def repeats(lap: Lap) -> int:
    """Return how many whole pictures lie along a lap's floor, so that it closes at the next one."""
    return max(1, round(lap.length_m / PICTURE_M))


def fog_m(laps: Laps, corridor: CorridorGeometry) -> tuple[float, float]:
    """Return from where to where the walls fade, so that no lap is seen to come or go."""
    shortest_m = min(lap.length_m for lap in laps)
    shrink = min(1.0, shortest_m / corridor.fog_to_m)
    return corridor.fog_from_m * shrink, corridor.fog_to_m * shrink


def _planes(corridor: CorridorGeometry) -> list[tuple[int, Any]]:
    """Return the floor and the ceiling that have a picture: part and height (m)."""
    both = (
        (FLOOR, corridor.floor, corridor.floor_cm),
        (CEILING, corridor.ceiling, corridor.ceiling_cm),
    )
    return [(part, height_cm / 100) for part, picture, height_cm in both if picture]
