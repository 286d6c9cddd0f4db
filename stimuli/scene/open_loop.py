"""Open-loop stimuli, which are shown for a fixed time: images and drifting bars.

Both are defined in azimuth and elevation as seen from the eye (positive to the right and up, 0
straight ahead), over all screens. So a bar has the same angular width everywhere on a screen.
"""

from typing import Annotated, NamedTuple

import msgspec
import numpy as np

from rig.messages import Position, TrialStart
from stimuli.scene.task_stimuli import BARS
from stimuli.screens.screen_geometry import PhysicalScreen, azimuth_elevation

_Degrees = Annotated[float, msgspec.Meta(ge=1.0, le=180.0)]
_GRID = 181
"""Number of points along each side of a screen at which its extent is measured."""


class Bars(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bars of the retinotopy task (defaults: Marshel et al. 2011)."""

    width_deg: _Degrees = 20.0
    checks_deg: _Degrees = 25.0
    """Side of the squares of the checkerboard in the bar, degrees."""
    reversals_hz: Annotated[float, msgspec.Meta(ge=0.0, le=60.0)] = 6.0
    """Number of contrast reversals per second; 0 for none."""


class FieldOfView(NamedTuple):
    """The extent of all screens together, in degrees of azimuth (left, right) and elevation."""

    left: float
    right: float
    low: float
    high: float

    @property
    def width_over_height(self) -> float:
        return (self.right - self.left) / (self.high - self.low)


class Image(msgspec.Struct, frozen=True):
    """An image over the whole field of view."""

    name: str


class Bar(msgspec.Struct, frozen=True):
    """A vertical or horizontal bar of a checkerboard, centred on an azimuth or an elevation."""

    upright: bool
    middle_deg: float
    width_deg: float
    checks_deg: float
    reversed: bool


def field_of_view(screens: tuple[PhysicalScreen, ...]) -> FieldOfView:
    """Return the extent of all screens together."""
    angles = [azimuth_elevation(screen, _GRID, _GRID) for screen in screens]
    azimuths, elevations = (
        np.concatenate([one.ravel() for one in both]) for both in zip(*angles, strict=True)
    )
    return FieldOfView(
        float(np.nanmin(azimuths)),
        float(np.nanmax(azimuths)),
        float(np.nanmin(elevations)),
        float(np.nanmax(elevations)),
    )


def open_loop_stimulus(
    trial: TrialStart, position: Position, bars: Bars, field: FieldOfView
) -> Image | Bar | None:
    """Return the stimulus that a trial shows at a Position; None for grey.

    A bar enters at one edge of the field of view and has left at the opposite edge after show_s.
    """
    if position.phase != "picture":
        return None
    if trial.picture == "image":
        return Image(trial.stimulus)
    if trial.picture != "bar":
        return None
    passed_s = (position.t - trial.t) / 1e9
    upright = trial.stimulus in (BARS[0], BARS[2])
    first, last = (field.left, field.right) if upright else (field.low, field.high)
    share = passed_s / trial.show_s
    if trial.stimulus in (BARS[2], BARS[3]):
        share = 1 - share
    path_deg = last - first + bars.width_deg
    middle_deg = first - bars.width_deg / 2 + share * path_deg
    reversed_ = int(passed_s * bars.reversals_hz) % 2 == 1
    return Bar(upright, middle_deg, bars.width_deg, bars.checks_deg, reversed_)
