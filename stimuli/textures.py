"""The study's wall pictures: leaves and pebbles, drawn from the stimulus's name alone.

A picture is 4 m of wall: columns run along the corridor, rows up from the floor, and both close
on themselves, so that a wall of any length and height can be laid from it. No photograph of the
study is used; the pictures keep what it needs: two categories, new exemplars of each, and swaps
of leaf1 in space, all of one mean luminance and one contrast.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Field = NDArray[np.float32]

STIMULI = ("circle1", "circle2", "leaf1", "leaf2", "leaf3", "leaf1_swap1", "leaf1_swap2")
PICTURE_M = 4.0
PICTURE_HEIGHT_M = 0.25
PX_PER_M = 1024
GREY = 128
"""The level of the grey space, and the mean of every picture."""
RMS_CONTRAST = 0.25
"""Standard deviation of a picture over its mean."""

_SWAPS_M = {"leaf1_swap1": 1.0, "leaf1_swap2": 2.0}
"""How much of leaf1's beginning comes last: its first metre, or its first half."""
_SHAPE = (int(PICTURE_HEIGHT_M * PX_PER_M), int(PICTURE_M * PX_PER_M))


def pictures() -> Mapping[str, Picture]:
    """Return every stimulus's picture by name: uint8, 256 rows by 4096 columns."""
    drawn = {name: _draw(name) for name in STIMULI if name not in _SWAPS_M}
    for name, first_m in _SWAPS_M.items():
        drawn[name] = np.roll(drawn["leaf1"], -int(first_m * PX_PER_M), axis=1)
    return drawn


def _draw(name: str) -> Picture:
    rng = np.random.default_rng(list(name.encode()))
    if name.startswith("leaf"):
        return _matched(_pile(rng, _leaf, count=1000, half_m=(0.035, 0.075)))
    return _matched(_pile(rng, _pebble, count=1700, half_m=(0.014, 0.042)))


def _pile(
    rng: np.random.Generator,
    thing: Callable[[np.random.Generator, Field, Field], tuple[Field, Field]],
    count: int,
    half_m: tuple[float, float],
) -> Field:
    """Throw things of half-length half_m onto a dark ground, each over those before it."""
    ground = np.full(_SHAPE, 0.08, np.float32)
    for _ in range(count):
        half = rng.uniform(*half_m)
        reach = int(half * PX_PER_M) + 1
        steps = np.arange(-reach, reach + 1, dtype=np.float32) / np.float32(half * PX_PER_M)
        angle = rng.uniform(0, 2 * np.pi)
        along = (np.cos(angle) * steps[None, :] + np.sin(angle) * steps[:, None]).astype("f4")
        across = (np.cos(angle) * steps[:, None] - np.sin(angle) * steps[None, :]).astype("f4")
        tone, cover = thing(rng, along, across)
        row, column = rng.integers(_SHAPE[0]), rng.integers(_SHAPE[1])
        span = np.arange(-reach, reach + 1)
        under = np.ix_((row + span) % _SHAPE[0], (column + span) % _SHAPE[1])
        ground[under] += cover * (tone - ground[under])
    return ground


def _leaf(rng: np.random.Generator, along: Field, across: Field) -> tuple[Field, Field]:
    """Return the tone and the cover (0 to 1) of a leaf with midrib and veins, tips at +-1."""
    plump, skew = rng.uniform(0.28, 0.46), rng.uniform(0.1, 0.35)
    inside = np.clip(1 - along * along, 0, None)
    width = plump * inside**0.8 * (1 - skew * along)
    side = np.abs(across - 0.06 * np.sin(2.5 * along))
    rim = width - side
    veins = np.cos(2 * np.pi * 4.5 * (along - 0.9 * side)) > 0.86
    tone = rng.uniform(0.3, 0.75) + 0.14 * np.sign(across) * rng.choice((-1, 1))
    tone = tone + 0.16 * veins * (rim > 0.02)
    tone = np.where(side < 0.022 * (1.3 - along), tone + 0.25, tone)
    tone = np.where(rim < 0.03, 0.5 * tone, tone)
    cover = np.clip(rim / 0.02 + 1.5, 0, 1) * (inside > 0)
    return tone.astype(np.float32), cover.astype(np.float32)


def _pebble(rng: np.random.Generator, along: Field, across: Field) -> tuple[Field, Field]:
    """Return the tone and the cover (0 to 1) of a rounded, grainy stone with a dark foot."""
    flat = rng.uniform(1.05, 1.4)
    radius = np.hypot(along, flat * across) * 1.05
    dome = np.sqrt(np.clip(1 - radius * radius, 0, 1))
    tone = rng.uniform(0.3, 0.95) * (0.35 + 0.65 * dome)
    tone = tone + 0.03 * rng.standard_normal(along.shape, np.float32)
    cover = np.clip((1 - radius) / 0.04, 0, 1)
    return tone.astype(np.float32), cover.astype(np.float32)


def _matched(field: Field) -> Picture:
    """Bring a picture to the common mean and contrast; again, because clipping changes both."""
    level = field.astype(np.float32)
    for _ in range(6):
        level = (level - level.mean()) / level.std()
        level = np.clip(GREY * (1 + RMS_CONTRAST * level), 0, 255)
    return np.rint(level).astype(np.uint8)
