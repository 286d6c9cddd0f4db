"""Names and ids of the built-in wall textures, and the properties that all textures share.

A texture covers 4 m of wall. Its columns go along the corridor and its rows go up from the floor.
It is periodic in both directions, so it can cover a wall of any length and height. Levels are
linear luminance, where 255 is the screen's white; gamma is corrected later, for each screen.
"""

from collections.abc import Iterable
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused

Texture = NDArray[np.uint8]
"""Linear luminance, rows x columns; row 0 is at the floor (or at the bottom of an image)."""

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
"""Id of each stimulus. Ids 0 to 6 are those of the study; the others, such as those of gratings,
are ours."""
STIMULI = tuple(STIMULUS_IDS)

TEXTURE_M = 4.0
"""Length of a texture along the wall, metres."""
TEXTURE_HEIGHT_M = 0.25
"""Height of a texture, metres."""
PX_PER_M = 1024
SHAPE = (int(TEXTURE_HEIGHT_M * PX_PER_M), int(TEXTURE_M * PX_PER_M))
"""Rows and columns of a texture."""
GREY = 128
"""Level of the grey space, and the mean level of every texture."""

_SWAPS_M = {"_swap1": 1.0, "_swap2": 2.0}
"""Metres at the start of the base texture that are moved to its end, by the name's suffix."""


def base_name(name: str) -> str:
    """Return the base stimulus of a swapped stimulus; return any other name unchanged."""
    return name.partition("_swap")[0]


def apply_swap(texture: Texture, swap: str) -> Texture:
    """Return the base texture rearranged as the swapped stimulus `swap`."""
    metres = _SWAPS_M[swap.removeprefix(base_name(swap))]
    return np.roll(texture, -int(metres * PX_PER_M), axis=1)


def swaps_of(name: str) -> list[str]:
    """Return the names of the swapped stimuli that can be made from a base texture."""
    return [name + suffix for suffix in _SWAPS_M]


def exemplars(photograph: str) -> list[str]:
    """Return the base stimuli that are made from a photograph with the given name.

    A photograph named after a category (leaf) is used for each exemplar (leaf1, leaf2, leaf3); any
    other name is that of one stimulus, built-in or new.
    """
    in_category = [name for name in STIMULI if name.rstrip("0123456789") == photograph]
    return in_category or [photograph]


def check_names(names: Iterable[str], known: Iterable[str], where: str) -> None:
    """Check that every name is known.

    Args:
        names: The names to check.
        known: All names that can be shown.
        where: The setting that contains the names, for the error message.

    Raises:
        Refused: A name is unknown.
    """
    known = tuple(known)
    unknown = [name for name in names if name not in known]
    if not unknown:
        return
    quoted = ", ".join(f'"{name}"' for name in unknown)
    near = [f'"{match}"' for name in unknown for match in get_close_matches(name, known, 1)]
    hint = f"did you mean {', '.join(near)}? " if near else ""
    raise Refused(
        f"{where}: {quoted} {'is' if len(unknown) == 1 else 'are'} not defined; "
        f"{hint}choose from: {', '.join(known)}"
    )
