"""Pictures that are on for a time, wherever the mouse is: images, and bars that drift.

Both stand in azimuth and elevation as the eye sees them (right and up are positive, ahead is 0),
over all screens together, so that a bar is as wide at a screen's edge as in its middle.
"""

from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.messages import Position, TrialStart
from stimuli.scene.task_stimuli import BARS
from stimuli.screens.screen_geometry import Pane, directions

_Degrees = Annotated[float, msgspec.Meta(ge=1.0, le=180.0)]
_LOOK_PX = 181
"""Places along a screen's side at which its extent is measured."""


class Bars(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the bars of the retinotopy task look (defaults: Marshel et al. 2011)."""

    width_deg: _Degrees = 20.0
    checks_deg: _Degrees = 25.0
    """Side of the squares of the checkerboard that shows through the bar."""
    reversals_hz: Annotated[float, msgspec.Meta(ge=0.0, le=60.0)] = 6.0
    """How often a second black and white change places; 0: never."""


class Sight(NamedTuple):
    """What all screens together show of the world, degrees of azimuth and of elevation."""

    left: float
    right: float
    low: float
    high: float

    @property
    def width_over_height(self) -> float:
        return (self.right - self.left) / (self.high - self.low)


class Image(msgspec.Struct, frozen=True):
    """An image over all that the screens show."""

    name: str


class Bar(msgspec.Struct, frozen=True):
    """A bar of a checkerboard: upright or level, with its middle at a place in degrees."""

    upright: bool
    middle_deg: float
    width_deg: float
    checks_deg: float
    reversed: bool


def sight(panes: tuple[Pane, ...]) -> Sight:
    """Return what the screens show together."""
    azimuths, elevations = zip(*(_angles(pane) for pane in panes), strict=True)
    left, right = (float(f([f(a) for a in azimuths])) for f in (np.nanmin, np.nanmax))
    low, high = (float(f([f(e) for e in elevations])) for f in (np.nanmin, np.nanmax))
    return Sight(left, right, low, high)


def on_show(trial: TrialStart, position: Position, bars: Bars, seen: Sight) -> Image | Bar | None:
    """Return the picture that a trial shows at a position; None for grey.

    A bar enters at one side of what is seen and has left it at the other after show_s.
    """
    if position.phase != "picture":
        return None
    if trial.picture == "image":
        return Image(trial.stimulus)
    if trial.picture != "bar":
        return None
    passed_s = (position.t - trial.t) / 1e9
    upright = trial.stimulus in (BARS[0], BARS[2])
    first, last = (seen.left, seen.right) if upright else (seen.low, seen.high)
    share = passed_s / trial.show_s
    if trial.stimulus in (BARS[2], BARS[3]):
        share = 1 - share
    way_deg = last - first + bars.width_deg
    middle_deg = first - bars.width_deg / 2 + share * way_deg
    odd = int(passed_s * bars.reversals_hz) % 2 == 1
    return Bar(upright, middle_deg, bars.width_deg, bars.checks_deg, odd)


def _angles(pane: Pane) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return azimuth and elevation (degrees) of many places of a screen."""
    right, up, back = np.moveaxis(directions(pane, _LOOK_PX, _LOOK_PX), -1, 0)
    return np.degrees(np.arctan2(right, -back)), np.degrees(np.arcsin(up))
