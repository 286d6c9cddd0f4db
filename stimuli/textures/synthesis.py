"""Draws a wall picture from its name alone: leaves, pebbles, rock, brickwork, gratings.

No photograph of the study is used; the pictures keep what it needs: categories that an animal can
tell apart, new exemplars of each, and nothing else that tells them apart.
"""

import msgspec
import numpy as np

from stimuli.textures.dead_leaves import Draw, Field, Pile, Rng, noise, sizes
from stimuli.textures.elements import Brick, Leaf, Pebble, Rock
from stimuli.textures.luminance_matching import SHADOWS, matched
from stimuli.textures.names import PICTURE_HEIGHT_M, PICTURE_M, PX_PER_M, SHAPE, Picture


class _Kind(msgspec.Struct, frozen=True):
    """A kind of clutter: what lies there, from which to which half-length, and how thick."""

    draw: Draw
    smallest_m: float
    largest_m: float
    fill: float
    """The area of one, in squares of its half-length."""


_KINDS = {
    "leaf": _Kind(Leaf, 0.030, 0.090, 1.0),
    "circle": _Kind(Pebble, 0.014, 0.050, 2.2),
    "rock": _Kind(Rock, 0.020, 0.080, 1.4),
}
_LAYERS = 3.5
"""How often things would cover the wall: soil is seen at 3 % of its places."""
_COURSES, _BRICKS = 6, 32
_GRATING_CYCLES_M = 12.0
"""Along the wall and up it, so that a grating closes on itself; 17 cycles a metre across."""
_SLANTS = {"grating_45": 1, "grating_135": -1}


def draw(name: str) -> Picture:
    """Return the picture of that name: uint8, 256 rows by 4096 columns."""
    if name in _SLANTS:
        return matched(_grating(_SLANTS[name]), spectrum=False)
    kind = name.rstrip("0123456789")
    rng = np.random.default_rng(list(name.encode()))
    luminance = _brickwork(rng) if kind == "brick" else _clutter(rng, _KINDS[kind])
    # Light is lognormal in a scene; as logarithms its ranges of shade take equal room.
    return matched(np.log(luminance + SHADOWS))


def _clutter(rng: Rng, kind: _Kind) -> Field:
    area = _LAYERS * PICTURE_M * PICTURE_HEIGHT_M
    halves = sizes(rng, area, kind.smallest_m, kind.largest_m, kind.fill)
    pile = Pile(SHAPE, kind.largest_m * PX_PER_M, _grain(rng, 0.12))
    pile.scatter(rng, kind.draw, [half * PX_PER_M for half in halves])
    return pile.on(_soil(rng, 0.15))


def _brickwork(rng: Rng) -> Field:
    """Lay courses in running bond, each brick a little out of line."""
    high, wide = SHAPE[0] / _COURSES, SHAPE[1] / _BRICKS
    pile = Pile(SHAPE, wide / 2, _grain(rng, 0.25))
    from_row, from_column = rng.uniform(0, high), rng.uniform(0, wide)
    for course in range(_COURSES):
        for number in range(_BRICKS):
            row = from_row + course * high + rng.normal(0, 0.8)
            column = from_column + (number + 0.5 * (course % 2)) * wide + rng.normal(0, 1.5)
            place = (int(row), int(column) % SHAPE[1])
            pile.lay(rng, Brick(rng), 0.475 * wide, place, rng.normal(0, 0.006))
    return pile.on(_soil(rng, 0.42))


def _grating(slant: int) -> Field:
    """Return stripes at 45 degrees to the floor; slant 1 rises along the wall, -1 falls."""
    rows, columns = np.indices(SHAPE) / PX_PER_M
    stripes: Field = np.sin(2 * np.pi * _GRATING_CYCLES_M * (columns - slant * rows))
    return stripes


def _grain(rng: Rng, depth: float) -> Field:
    """Return what makes surfaces rough: their albedo's relative change from place to place."""
    return np.maximum(depth * noise(rng, (512, 512), -0.9, 4), -0.8)


def _soil(rng: Rng, albedo: float) -> Field:
    return albedo * np.maximum(1 + 0.4 * noise(rng, SHAPE, -0.6, 8), 0.15)
