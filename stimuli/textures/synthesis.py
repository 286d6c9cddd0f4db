"""Synthesize a wall texture from its name: leaves, pebbles, rock, brickwork or a grating.

No photograph of the study is used. The textures have the properties that the study needs:
categories that an animal can distinguish, several exemplars of each, and no other differences.
"""

import msgspec
import numpy as np

from stimuli.textures.dead_leaves import DeadLeaves, ElementFactory, Field, Rng, noise, sizes
from stimuli.textures.elements import Brick, Leaf, Pebble, Rock
from stimuli.textures.luminance_matching import SHADOWS, match_luminance
from stimuli.textures.names import PX_PER_M, SHAPE, TEXTURE_HEIGHT_M, TEXTURE_M, Texture


class _Category(msgspec.Struct, frozen=True):
    """A category of texture: its elements, and the range of their half-lengths in metres."""

    element: ElementFactory
    smallest_m: float
    largest_m: float
    fill: float
    """Area of one element, in units of its half-length squared."""


_CATEGORIES = {
    "leaf": _Category(Leaf, 0.030, 0.090, 1.0),
    "circle": _Category(Pebble, 0.014, 0.050, 2.2),
    "rock": _Category(Rock, 0.020, 0.080, 1.4),
}
_LAYERS = 3.5
"""Total area of the elements divided by the area of the wall; 3 % of the wall is bare soil."""
_COURSES, _BRICKS = 6, 32
"""Number of courses of bricks over the height of a texture, and of bricks along it."""
_GRATING_CYCLES_M = 12.0
"""Cycles per metre along the wall and up the wall, so that a grating is periodic; 17 across."""
_GRATING_SLOPES = {"grating_45": 1, "grating_135": -1}


def synthesize(name: str) -> Texture:
    """Return the texture of a name: uint8, 256 rows by 4096 columns.

    The random generator is seeded with the name, so the same name always gives the same pixels.
    """
    if name in _GRATING_SLOPES:
        return match_luminance(_grating(_GRATING_SLOPES[name]), spectrum=False)
    category = name.rstrip("0123456789")
    rng = np.random.default_rng(list(name.encode()))
    brick = category == "brick"
    luminance = _brickwork(rng) if brick else _scattered(rng, _CATEGORIES[category])
    # Luminance in a scene is approximately lognormal, so its logarithm is symmetric.
    return match_luminance(np.log(luminance + SHADOWS))


def _scattered(rng: Rng, category: _Category) -> Field:
    area = _LAYERS * TEXTURE_M * TEXTURE_HEIGHT_M
    halves = sizes(rng, area, category.smallest_m, category.largest_m, category.fill)
    image = DeadLeaves(SHAPE, category.largest_m * PX_PER_M, _grain(rng, 0.12))
    image.scatter(rng, category.element, [half * PX_PER_M for half in halves])
    return image.over(_soil(rng, 0.15))


def _brickwork(rng: Rng) -> Field:
    """Return courses of bricks in running bond, each brick slightly displaced."""
    height, width = SHAPE[0] / _COURSES, SHAPE[1] / _BRICKS
    image = DeadLeaves(SHAPE, width / 2, _grain(rng, 0.25))
    from_row, from_column = rng.uniform(0, height), rng.uniform(0, width)
    for course in range(_COURSES):
        for number in range(_BRICKS):
            row = from_row + course * height + rng.normal(0, 0.8)
            column = from_column + (number + 0.5 * (course % 2)) * width + rng.normal(0, 1.5)
            place = (int(row), int(column) % SHAPE[1])
            image.add(rng, Brick(rng), 0.475 * width, place, rng.normal(0, 0.006))
    return image.over(_soil(rng, 0.42))


def _grating(slope: int) -> Field:
    """Return stripes at 45 degrees to the floor; with slope 1 they rise along the wall."""
    rows, columns = np.indices(SHAPE) / PX_PER_M
    stripes: Field = np.sin(2 * np.pi * _GRATING_CYCLES_M * (columns - slope * rows))
    return stripes


def _grain(rng: Rng, depth: float) -> Field:
    """Return surface roughness: the relative change of albedo from pixel to pixel."""
    return np.maximum(depth * noise(rng, (512, 512), -0.9, 4), -0.8)


def _soil(rng: Rng, albedo: float) -> Field:
    return albedo * np.maximum(1 + 0.4 * noise(rng, SHAPE, -0.6, 8), 0.15)
