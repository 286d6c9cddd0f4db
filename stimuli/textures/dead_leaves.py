"""Images of overlapping objects, lit from one side: the dead-leaves model with relief.

In the dead-leaves model (Lee, Mumford & Huang 2001), opaque objects overlap each other, and their
number decreases with the cube of their size; such images have the statistics of photographs. We add
relief under a light from the upper left, shadows and grain. Arrays are patches of wall: columns go
to the right, rows go up.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Field = NDArray[Any]
"""A quantity over a patch of wall, float32."""
Rng = np.random.Generator

_LIGHT = np.array([-0.45, 0.55, 0.70], np.float32)
"""Direction to the light: right, up, out of the wall."""
_AMBIENT = 0.25
"""Luminance of a surface that faces away from the light."""
_SHADOW_DARKNESS, _SHADOW_SOFTNESS, _SHADOW_OFFSET = 0.6, 0.22, 0.13
"""Shadow of an element: fraction of light lost, width of its edge and its shift (half-lengths)."""
_HIDDEN = 0.02
"""Smallest visible fraction of an element's area; an element with less is skipped."""
_MARGIN = 1.2
"""Distance from an element's centre that the element and its shadow reach, in half-lengths."""


class Element(Protocol):
    """One leaf, stone or brick. Coordinates are in half-lengths along and across it."""

    def signed_distance(self, along: Field, across: Field) -> Field:
        """Return the distance to the outline in half-lengths, positive inside."""

    def surface(self, along: Field, across: Field, distance: Field) -> tuple[Field, Field]:
        """Return the height (half-lengths) and the albedo (0 to 1)."""


ElementFactory = Callable[[Rng], Element]


def sizes(rng: Rng, area: float, smallest: float, largest: float, fill: float) -> list[float]:
    """Draw half-lengths, with a density that decreases with the cube of the size.

    Args:
        rng: The random generator.
        area: Total area of the elements at which to stop, in squares of the length unit.
        smallest: The smallest half-length.
        largest: The largest half-length.
        fill: The area of an element of half-length 1.
    """
    drawn: list[float] = []
    covered = 0.0
    ratio = (smallest / largest) ** 2
    while covered < area:
        half = smallest / np.sqrt(1 - rng.uniform() * (1 - ratio))
        drawn.append(float(half))
        covered += fill * half * half
    return drawn


class DeadLeaves:
    """A periodic image of overlapping elements, built from the topmost element down.

    Because elements are added from the top down, a pixel is finished as soon as it is covered. The
    state is in three arrays: the luminance so far, the fraction of each pixel that is not covered
    yet, and the fraction of light that the elements above let through. On both sides, the arrays
    extend beyond the image by the size of the largest element, so that an element at one end can be
    drawn completely; it is drawn again at the other end.
    """

    def __init__(self, shape: tuple[int, int], largest_px: float, grain: Field) -> None:
        """Start an empty image.

        Args:
            shape: Rows and columns.
            largest_px: The largest half-length of an element.
            grain: Relative change of albedo; a random part of it, which must be larger than any
                element, modulates each element.
        """
        self._shape, self._grain = shape, grain
        self._padding = 2 * _reach(largest_px)
        padded = (shape[0], shape[1] + 2 * self._padding)
        self._luminance = np.zeros(padded, np.float32)
        self._uncovered = np.ones(padded, np.float32)
        self._light = np.ones(padded, np.float32)

    def scatter(self, rng: Rng, element: ElementFactory, halves_px: list[float]) -> None:
        """Add elements with these half-lengths at random positions and angles, the first on top."""
        rows, columns = self._shape
        for half_px in halves_px:
            one, angle = element(rng), rng.uniform(0, 2 * math.pi)
            row, column = int(rng.integers(rows)), int(rng.integers(columns))
            self.add(rng, one, half_px, (row, column), angle)

    def add(
        self, rng: Rng, element: Element, half_px: float, place: tuple[int, int], angle: float
    ) -> None:
        """Add an element below the existing ones; `place` is the row and column of its centre."""
        reach = _reach(half_px)
        grain = rng.integers(self._grain.shape[0] - 2 * reach, size=2)
        for column in (place[1] - self._shape[1], place[1], place[1] + self._shape[1]):
            first = column - reach + self._padding
            if first >= 0 and first + 2 * reach < self._uncovered.shape[1]:
                rows = (place[0] + np.arange(-reach, reach + 1)) % self._shape[0]
                self._draw(element, half_px, angle, rows, first, grain)

    def over(self, ground: Field) -> Field:
        """Return the luminance of the image, with a ground of the given albedo."""
        inside = np.s_[:, self._padding : -self._padding]
        return self._luminance[inside] + self._uncovered[inside] * self._light[inside] * ground

    def _draw(
        self, element: Element, half_px: float, angle: float, rows: Any, first: int, grain: Any
    ) -> None:
        """Draw one copy of an element, then darken everything below it by its shadow.

        `rows` are the image rows of its square patch (modulo the height); `first` is its first
        column.
        """
        patch = (rows, slice(first, first + rows.size))
        uncovered = self._uncovered[patch]
        if uncovered.max() < _HIDDEN:
            return
        step = np.float32(1 / half_px)
        steps = (np.arange(rows.size) - rows.size // 2).astype(np.float32) * step
        along, across = _rotated(steps[None, :], steps[:, None], angle)
        distance = element.signed_distance(along, across)
        cover = np.clip(distance / (1.5 * step) + 0.5, 0, 1)  # antialiased over 1.5 pixels
        visible = cover * uncovered
        ys, xs = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
        if ys.size > 1 and xs.size > 1:  # the surface is needed only where it is visible
            box = np.s_[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
            height, albedo = element.surface(along[box], across[box], distance[box])
            down, right = grain
            albedo *= 1 + self._grain[down:, right:][box]
            target = (rows[box[0]], slice(first + xs[0], first + xs[-1] + 1))
            tone = albedo * shade(height, step) * self._light[target]
            self._luminance[target] += visible[box] * tone
            self._uncovered[patch] = uncovered - visible
        shift = [round(float(_SHADOW_OFFSET * half_px * axis)) for axis in (-_LIGHT[1], -_LIGHT[0])]
        shadow = np.clip(np.roll(distance, shift, (0, 1)) / _SHADOW_SOFTNESS + 0.7, 0, 1)
        self._light[patch] *= 1 - _SHADOW_DARKNESS * shadow


def shade(height: Field, step: Any) -> Field:
    """Return the luminance of a relief under the light, by Lambert's law plus ambient light.

    Args:
        height: The relief, in the unit of step.
        step: The distance between neighbouring points.
    """
    rise, slope = np.gradient(height, step)
    facing = _LIGHT[2] - slope * _LIGHT[0] - rise * _LIGHT[1]
    facing /= np.sqrt(1 + slope * slope + rise * rise)
    luminance: Field = _AMBIENT + np.clip(facing, 0, None)
    return luminance


def noise(rng: Rng, shape: tuple[int, int], power: float, lowest: float) -> Field:
    """Return periodic noise with an amplitude of frequency**power (mean 0, sd 1).

    Frequencies below `lowest` cycles over the height are left out.
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


def _rotated(right: Field, up: Field, angle: float) -> tuple[Field, Field]:
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * right + sin * up, cos * up - sin * right
