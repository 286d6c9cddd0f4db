"""The wall pictures' names and ids, and what all of them have in common.

A picture is 4 m of wall: columns run along the corridor, rows up from the floor, and both close
on themselves, so that a wall of any length and height can be laid from it. Levels are linear
luminance, 255 the screen's white; what a screen makes of them is made good by that screen alone.
"""

from collections.abc import Iterable
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused

Picture = NDArray[np.uint8]

STIMULUS_IDS = {
    "circle1": 0,
    "circle2": 1,
    "leaf1": 2,
    "leaf2": 3,
    "leaf3": 4,
    "leaf1_swap1": 5,
    "leaf1_swap2": 6,
    "grating_45": 7,
    "grating_135": 8,
    "rock1": 9,
    "rock2": 10,
    "brick1": 11,
    "brick2": 12,
}
"""0 to 6 are the study's own; the gratings of its control cohorts and the rest follow them here."""
STIMULI = tuple(STIMULUS_IDS)

PICTURE_M = 4.0
PICTURE_HEIGHT_M = 0.25
PX_PER_M = 1024
SHAPE = (int(PICTURE_HEIGHT_M * PX_PER_M), int(PICTURE_M * PX_PER_M))
GREY = 128
"""The level of the grey space, and the mean of every picture."""

_SWAPS_M = {"leaf1_swap1": 1.0, "leaf1_swap2": 2.0}
"""How much of a picture's beginning comes last: its first metre, or its first half."""


def whole_of(name: str) -> str:
    """Return the stimulus that one is a swap of; or itself."""
    return name.partition("_swap")[0]


def swapped(picture: Picture, swap: str) -> Picture:
    """Return a picture with its pieces changed about as that swap says."""
    return np.roll(picture, -int(_SWAPS_M[swap] * PX_PER_M), axis=1)


def check_names(names: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise Refused if one of the names has no picture; `where` says who gave them."""
    known = tuple(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        near = [f'"{n}"' for name in unknown for n in get_close_matches(name, known, 1)]
        meant = f"did you mean {', '.join(near)}? " if near else ""
        quoted = ", ".join(f'"{name}"' for name in unknown)
        raise Refused(
            f"{where} without a picture: {quoted}; {meant}correct that "
            f"(there are: {', '.join(known)})"
        )
