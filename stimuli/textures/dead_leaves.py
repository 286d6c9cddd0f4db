"""Clutter as in a photograph of the ground: things of many sizes, lit from one side, in a pile.

The dead-leaves model (Lee, Mumford & Huang 2001): opaque things, their number falling with the
cube of their size, each laid over those before it. With what makes it a photograph: relief under a
light from the upper left, shadows, grain. Fields are patches of wall: columns right, rows up.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Field = NDArray[Any]
"""Numbers over a piece of wall, float32."""
Rng = np.random.Generator

_LIGHT = np.array([-0.45, 0.55, 0.70], np.float32)
"""Towards the light: right, up, out of the wall."""
_AMBIENT = 0.25
_DARKNESS, _SOFT, _FALL = 0.6, 0.22, 0.13
"""Of a shadow: how dark it is, how wide its edge is, how far it falls (in half-lengths)."""
_HIDDEN = 0.02
"""What shows less than this of the ground beneath shows nothing."""
_MARGIN = 1.2
"""How far a thing and its shadow reach, in half-lengths."""


class Thing(Protocol):
    """One leaf, one stone. Places are in half-lengths along and across it."""

    def rim(self, along: Field, across: Field) -> Field:
        """Return the distance to the outline, positive inside, in half-lengths."""

    def surface(self, along: Field, across: Field, rim: Field) -> tuple[Field, Field]:
        """Return the height (half-lengths) and the albedo (0 to 1)."""


Draw = Callable[[Rng], Thing]


def sizes(rng: Rng, area: float, smallest: float, largest: float, fill: float) -> list[float]:
    """Draw half-lengths until things of fill * half**2 each have covered the area.

    Their density falls with the cube of the size.
    """
    drawn: list[float] = []
    covered = 0.0
    ratio = (smallest / largest) ** 2
    while covered < area:
        half = smallest / np.sqrt(1 - rng.uniform() * (1 - ratio))
        drawn.append(float(half))
        covered += fill * half * half
    return drawn


class Pile:
    """A heap on a piece of wall that closes on itself, built from the top of the heap down."""

    def __init__(self, shape: tuple[int, int], largest_px: float, grain: Field) -> None:
        """`grain` modulates every albedo by its place in a thing; it is larger than any thing."""
        self._shape, self._grain = shape, grain
        self._beyond = 2 * _reach(largest_px)  # room for the whole of what only looks in
        wide = (shape[0], shape[1] + 2 * self._beyond)
        self._luminance = np.zeros(wide, np.float32)
        self._open = np.ones(wide, np.float32)
        self._light = np.ones(wide, np.float32)

    def scatter(self, rng: Rng, draw: Draw, halves_px: list[float]) -> None:
        """Lay things of these half-lengths anywhere, turned any way, the first on top."""
        high, wide = self._shape
        for half_px in halves_px:
            thing, angle = draw(rng), rng.uniform(0, 2 * math.pi)
            row, column = int(rng.integers(high)), int(rng.integers(wide))
            self.lay(rng, thing, half_px, (row, column), angle)

    def lay(
        self, rng: Rng, thing: Thing, half_px: float, place: tuple[int, int], angle: float
    ) -> None:
        """Lay a thing under those already there; place is its row and column."""
        reach = _reach(half_px)
        grain = rng.integers(self._grain.shape[0] - 2 * reach, size=2)
        for column in (place[1] - self._shape[1], place[1], place[1] + self._shape[1]):
            first = column - reach + self._beyond
            if first >= 0 and first + 2 * reach < self._open.shape[1]:
                rows = (place[0] + np.arange(-reach, reach + 1)) % self._shape[0]
                self._lay(thing, half_px, angle, rows, first, grain)

    def on(self, ground: Field) -> Field:
        """Return the luminance of the heap on a ground of that albedo."""
        luminance = self._luminance[:, self._beyond : -self._beyond]
        light, open_ = (a[:, self._beyond : -self._beyond] for a in (self._light, self._open))
        return luminance + open_ * light * ground

    def _lay(
        self, thing: Thing, half_px: float, angle: float, rows: Any, first: int, grain: Any
    ) -> None:
        under = (rows, slice(first, first + rows.size))
        open_ = self._open[under]
        if open_.max() < _HIDDEN:
            return
        step = np.float32(1 / half_px)
        steps = (np.arange(rows.size) - rows.size // 2).astype(np.float32) * step
        along, across = _turned(steps[None, :], steps[:, None], angle)
        rim = thing.rim(along, across)
        cover = np.clip(rim / (1.5 * step) + 0.5, 0, 1)
        seen = cover * open_
        ys, xs = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        if ys.size > 1 and xs.size > 1:
            box = np.s_[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
            height, albedo = thing.surface(along[box], across[box], rim[box])
            down, right = grain
            albedo *= 1 + self._grain[down:, right:][box]
            there = (rows[box[0]], slice(first + xs[0], first + xs[-1] + 1))
            tone = albedo * lit(height, step) * self._light[there]
            self._luminance[there] += seen[box] * tone
            self._open[under] = open_ - seen
        fall = [round(float(_FALL * half_px * axis)) for axis in (-_LIGHT[1], -_LIGHT[0])]
        shade = np.clip(np.roll(rim, fall, (0, 1)) / _SOFT + 0.7, 0, 1)
        self._light[under] *= 1 - _DARKNESS * shade


def lit(height: Field, step: Any) -> Field:
    """Return how bright a relief is under the light; neighbours are `step` apart."""
    rise, slope = np.gradient(height, step)
    facing = _LIGHT[2] - slope * _LIGHT[0] - rise * _LIGHT[1]
    facing /= np.sqrt(1 + slope * slope + rise * rise)
    lit: Field = _AMBIENT + np.clip(facing, 0, None)
    return lit


def noise(rng: Rng, shape: tuple[int, int], power: float, lowest: float) -> Field:
    """Return a field that closes on itself, amplitude falling as frequency**power; sd 1, mean 0.

    Frequencies below lowest cycles over the height are left out.
    """
    rows, columns = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    frequency = np.hypot(rows[:, None], columns[None, :]) * shape[0]
    gain = np.where(frequency < lowest, 0.0, np.maximum(frequency, 1e-9) ** power)
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) * gain
    field = np.fft.irfft2(spectrum, shape)
    field /= field.std()
    return field.astype(np.float32)


def _reach(half_px: float) -> int:
    return int(half_px * _MARGIN) + 2


def _turned(right: Field, up: Field, angle: float) -> tuple[Field, Field]:
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * right + sin * up, cos * up - sin * right
