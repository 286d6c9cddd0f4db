"""The elements of the dead-leaves textures: leaf, pebble, rock, brick.

Each element draws its shape from the random generator once. All lengths are in half-lengths.
`_tone` is the albedo, which is lognormal over elements.
"""

import math

import numpy as np

from stimuli.textures.dead_leaves import Field, Rng


class Leaf:
    """A pointed leaf from -1 to 1 along, folded at its midrib and puckered between its veins."""

    def __init__(self, rng: Rng) -> None:
        self._plump = rng.uniform(0.30, 0.54)
        self._skew = rng.uniform(0.15, 0.45)
        self._bend = rng.uniform(-0.22, 0.22)
        self._teeth = rng.uniform(0, 0.02) * (rng.uniform() < 0.6)
        self._veins = rng.uniform(4.5, 7.5)
        self._slant = rng.uniform(0.9, 1.5)
        self._fold = rng.uniform(-0.15, 0.55)
        self._curl = rng.uniform(-0.35, 0.35)
        self._tone = math.exp(rng.normal(-0.9, 0.38))

    def signed_distance(self, along: Field, across: Field) -> Field:
        side = np.abs(self._side(along, across))
        inside = np.clip(1 - along * along, 0, None)
        width = self._plump * np.sqrt(inside * np.sqrt(inside)) * (1 - self._skew * along)
        if self._teeth:
            width += self._teeth * np.sin(60 * along)
        # The blade is pointed at both ends, and the stalk is a thin line at the base. For points
        # beyond the end of the blade or of the stalk, -9 is added, which means far outside.
        blade = width - side - 9 * (inside <= 0.02)
        stalk = 0.02 - side - 9 * (np.abs(along + 1.0) > 0.15)
        distance: Field = np.maximum(blade, stalk)
        return distance

    def surface(self, along: Field, across: Field, distance: Field) -> tuple[Field, Field]:
        side = np.abs(self._side(along, across))
        # Veins are evenly spaced lines that leave the midrib at a slant and curve towards the tip.
        run = self._veins * (along - self._slant * side + 0.35 * side * side)
        between = np.abs(np.sin(math.pi * run))
        midrib = np.exp(-np.square(side / (0.018 * (1.5 - along))))
        height = self._fold * side + self._curl * along * along
        height += 0.045 * np.sqrt(between) * np.minimum(side * 8, 1) + 0.03 * midrib
        vein = np.clip(1 - between / (0.22 + 0.1 * along), 0, 1) * np.clip(distance / 0.06, 0, 1)
        albedo = self._tone * (1 + 0.45 * vein + 0.7 * midrib)
        albedo *= 0.8 + 0.2 * np.clip(distance / 0.05, 0, 1)
        return height, albedo

    def _side(self, along: Field, across: Field) -> Field:
        side: Field = across - self._bend * (along * along - 0.4)
        return side


class Pebble:
    """A rounded stone: a smooth dome. One in five has a pale band."""

    def __init__(self, rng: Rng) -> None:
        self._flat = rng.uniform(1.0, 1.5)
        self._dents = rng.normal(0, 0.05, 3).tolist()
        self._square = rng.uniform(0.0, 0.5)
        self._high = rng.uniform(0.45, 0.75)
        self._tone = math.exp(rng.normal(-0.9, 0.45))
        self._band = rng.uniform(-0.5, 0.5) if rng.uniform() < 0.2 else None

    def signed_distance(self, along: Field, across: Field) -> Field:
        # A circle that is flattened, slightly squared, and dented in three directions.
        x, y = along, self._flat * across
        xx, yy = x * x, y * y
        lean, twist, point = self._dents
        out = xx + yy - self._square * xx * yy
        out += lean * (xx - yy) + twist * x * y + point * x * (xx - 3 * yy)
        distance: Field = 0.95 - np.sqrt(np.clip(out, 0, None))
        return distance

    def surface(self, along: Field, across: Field, distance: Field) -> tuple[Field, Field]:
        out = np.clip((1 - distance) / 1.05, 0, 1)
        height = self._high * np.sqrt(1 - out * out * np.sqrt(out))
        albedo = np.full_like(along, self._tone)
        if self._band is not None:
            albedo *= 1 + 0.8 * np.exp(-np.square((across - self._band + 0.3 * along) / 0.06))
        return height, albedo


class Rock:
    """A broken stone: flat facets that meet in edges."""

    def __init__(self, rng: Rng) -> None:
        count = int(rng.integers(5, 9))
        turns = (np.arange(count) + rng.uniform(0, 0.7, count)) * 2 * math.pi / count
        self._faces = [
            (math.cos(turn), math.sin(turn), rng.uniform(0.5, 0.85), rng.uniform(0.5, 2.5))
            for turn in turns
        ]
        self._lean, self._tilt = rng.normal(0, 0.3, 2).tolist()
        self._tone = math.exp(rng.normal(-0.9, 0.3))

    def signed_distance(self, along: Field, across: Field) -> Field:
        # The outline is the intersection of half-planes, one for each facet, with a circle.
        sides = [far - x * along - y * across for x, y, far, _ in self._faces]
        distance: Field = np.minimum.reduce(
            [*sides, 1.1 - np.sqrt(along * along + across * across)]
        )
        return distance

    def surface(self, along: Field, across: Field, distance: Field) -> tuple[Field, Field]:
        sides = [steep * (far - x * along - y * across) for x, y, far, steep in self._faces]
        top = 0.4 + self._lean * along + self._tilt * across
        height: Field = np.minimum.reduce([*sides, top])
        return height, np.full_like(along, self._tone)


class Brick:
    """A brick from -1 to 1 along, worn at its edges."""

    HALF_HEIGHT = 0.30
    """Half the height of a brick, in half-lengths."""

    def __init__(self, rng: Rng) -> None:
        self._phases = rng.uniform(0, 2 * math.pi, 4).tolist()
        self._wear = rng.uniform(0.005, 0.025)
        self._lean = rng.normal(0, 0.06)
        self._tone = math.exp(rng.normal(-0.9, 0.33))

    def signed_distance(self, along: Field, across: Field) -> Field:
        first, second, third, fourth = self._phases
        # A rectangle with rounded corners, whose edge is worn by a sum of sines.
        worn = np.sin(9 * along + first) + np.sin(23 * along + second)
        worn = worn + np.sin(14 * across + third) + np.sin(31 * across + fourth)
        x, y = np.abs(along) - 0.93, np.abs(across) - (self.HALF_HEIGHT - 0.07)
        outside = np.hypot(np.clip(x, 0, None), np.clip(y, 0, None))
        distance: Field = 0.07 - outside - np.minimum(np.maximum(x, y), 0) + self._wear * worn / 2
        return distance

    def surface(self, along: Field, across: Field, distance: Field) -> tuple[Field, Field]:
        height = 1.2 * np.sqrt(np.clip(distance, 0, 0.05)) + self._lean * across
        albedo = self._tone * (0.7 + 0.3 * np.clip(distance / 0.05, 0, 1))
        return height, albedo
