"""Draw the corridor with PsychoPy's PlaneStim objects, as a reference for our renderer."""

from collections.abc import Callable
from typing import Any

import numpy as np

from stimuli.scene.corridor_geometry import CorridorGeometry, Laps, projection
from stimuli.screens.screen_geometry import View
from stimuli.screens.window_layout import WindowLayout


def plane_walls(
    window: Any,
    layout: WindowLayout,
    views: tuple[View, ...],
    corridor: CorridorGeometry,
    laps: Laps,
) -> Callable[[float], None]:
    """Return a function that draws the walls of three laps at a position (m), black and unlit.

    There is one object per wall, which is drawn once per view. Textures are left out, so the
    reference is faster than a real display with PsychoPy would be.
    """
    from psychopy.visual import PlaneStim

    floor, ceiling = corridor.floor_cm / 100, corridor.ceiling_cm / 100
    turn = np.sqrt(0.5)  # quaternion of a quarter turn about the vertical, towards the eye
    begins_m = (-laps[0].length_m, 0.0, laps[1].length_m)
    planes = [
        PlaneStim(
            window,
            size=(lap.texture_m, ceiling - floor),
            pos=(side * corridor.half_width_cm / 100, (floor + ceiling) / 2, -middle_m),
            ori=(0.0, -side * turn, 0.0, turn),
        )
        for lap, begin_m in zip(laps, begins_m, strict=True)
        for middle_m in (begin_m + lap.texture_m / 2,)
        for side in (-1, 1)
    ]
    projections = [projection(view) for view in views]

    def draw(position_m: float) -> None:
        eye = np.eye(4, dtype=np.float32)
        eye[2, 3] = position_m
        for area, matrix in zip(layout.areas, projections, strict=True):
            window.viewport = tuple(area)
            window.projectionMatrix, window.viewMatrix = matrix, eye
            window.applyEyeTransform()
            for plane in planes:
                plane.draw()
        window.resetEyeTransform()

    return draw
