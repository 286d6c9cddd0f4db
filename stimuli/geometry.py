"""Where screens and walls stand, and how one is seen through the other: numbers, no drawing.

Two frames. Screens: cm from the eye, x right, y up, z backward (forward is -z). Corridor: metres,
with one corridor metre drawn as one metre of that space.
"""

from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.refused import Refused
from stimuli.textures import PICTURE_HEIGHT_M, PICTURE_M

_NEAR_M, _FAR_M = 0.005, 100.0

Point = tuple[float, float, float]
Centimetres = Annotated[float, msgspec.Meta(ge=-500.0, le=500.0)]


class View(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One flat screen by three of its corners as the eye sees it, cm from the eye."""

    lower_left: Point
    lower_right: Point
    upper_left: Point


THREE_VIEWS = (
    View(lower_left=(-20, -10, 20), lower_right=(-20, -10, -20), upper_left=(-20, 20, 20)),
    View(lower_left=(-20, -10, -20), lower_right=(20, -10, -20), upper_left=(-20, 20, -20)),
    View(lower_left=(20, -10, -20), lower_right=(20, -10, 20), upper_left=(20, 20, -20)),
)
"""Left, front and right at right angles: 270 degrees of azimuth round the eye."""


class Corridor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cross-section of the corridor round the eye, and the fog that ends the sight."""

    half_width_cm: Annotated[float, msgspec.Meta(gt=0.0, le=500.0)] = 10.0
    floor_cm: Centimetres = -8.0
    ceiling_cm: Centimetres = 12.0
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


def check(views: tuple[View, ...], corridor: Corridor) -> None:
    """Raise Refused if a screen or the corridor cannot be seen as they are described."""
    for number, view in enumerate(views, 1):
        right, up, _, distance = _frame(view)
        if not distance > 0:
            raise Refused(
                f"screen {number}: its corners do not face the eye; give lower_left, lower_right "
                "and upper_left as the eye sees them, x right, y up, z backward"
            )
        if abs(right @ up) > 0.01:
            raise Refused(
                f"screen {number}: its corners make no right angle; measure upper_left again"
            )
    if corridor.ceiling_cm <= corridor.floor_cm:
        raise Refused("corridor.ceiling_cm is not above corridor.floor_cm; raise the ceiling")
    if corridor.fog_to_m <= corridor.fog_from_m:
        raise Refused("corridor.fog_to_m is not beyond corridor.fog_from_m; set it farther")


def projection(view: View) -> NDArray[np.float32]:
    """Return the 4 x 4 matrix from metres round the eye to what this screen shows of them.

    The frustum is off-axis, from the eye through the screen's corners (Kooima 2009).
    """
    right, up, normal, distance = _frame(view)
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


def walls(laps: Laps, corridor: Corridor) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Return the textured walls of three laps: vertices x y z u v lap, and triangles' indices.

    Metres; z = 0 where the middle lap begins. u and v run in pictures, along and up; lap is 0, 1
    or 2. Floor, ceiling and grey space are the background itself.
    """
    floor, ceiling = corridor.floor_cm / 100, corridor.ceiling_cm / 100
    top = (ceiling - floor) / PICTURE_HEIGHT_M
    vertices = []
    begins_m = (-laps[0].length_m, 0.0, laps[1].length_m)
    for lap, (begin_m, of) in enumerate(zip(begins_m, laps, strict=True)):
        for x in (-corridor.half_width_cm / 100, corridor.half_width_cm / 100):
            for along_m in (0.0, of.texture_m):
                z, u = -(begin_m + along_m), along_m / PICTURE_M
                vertices += [(x, floor, z, u, 0.0, lap), (x, ceiling, z, u, top, lap)]
    first = np.arange(0, len(vertices), 4)[:, None]
    triangles = (first + np.array([0, 1, 2, 2, 1, 3])).ravel()
    return np.array(vertices, np.float32), triangles.astype(np.uint32)


def fog_m(laps: Laps, corridor: Corridor) -> tuple[float, float]:
    """Return from where to where the walls fade, so that no lap is seen to come or go."""
    shortest_m = min(lap.length_m for lap in laps)
    shrink = min(1.0, shortest_m / corridor.fog_to_m)
    return corridor.fog_from_m * shrink, corridor.fog_to_m * shrink


def _frame(view: View) -> tuple[Any, Any, Any, float]:
    """Return a screen's unit vectors right, up and towards the eye, and its distance (m)."""
    corner = np.array(view.lower_left, float) / 100
    right, up = _unit(view.lower_right, view.lower_left), _unit(view.upper_left, view.lower_left)
    normal = np.cross(right, up)
    return right, up, normal, float(-corner @ normal)


def _unit(to: Point, start: Point) -> Any:
    """Return the direction from one corner to another; zeros where they are one point."""
    step = np.subtract(to, start).astype(float)
    return step / (np.linalg.norm(step) or 1.0)
