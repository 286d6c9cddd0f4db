"""Motion of a simulated brain under the objective: fast rigid jumps and a slow warp."""

import math

import numpy as np

from acquisition.simulation.strip_layout import Floats
from acquisition.simulation.tissue import MARGIN_PX

_RIGID_S = 1.0
"""Time constant of the rigid motion, seconds."""
_RUNNING = 2.5
"""Factor by which the motion increases while the animal runs."""
_WARP_S = 120.0
"""Time constant of the warp, seconds."""
_MODES = ((0.5, 0.0), (0.0, 0.5), (0.5, 0.5), (1.0, 0.0))
"""The waves whose sum is the warp: cycles over the height and the width of the field."""
_FARTHEST_PX = MARGIN_PX - 2.0


class BrainMotion:
    """Displacement of the tissue: dy and dx in pixels, rigid plus warp, both around zero."""

    def __init__(self, rigid_px: float, warp_px: float, rng: np.random.Generator) -> None:
        """Start without motion; rigid_px (at rest) and warp_px are standard deviations."""
        self._rigid_px, self._warp_px, self._rng = rigid_px, warp_px, rng
        self._rigid = np.zeros(2)
        self._warp = rng.normal(0.0, 1.0, (len(_MODES), 2))
        self._phase = rng.uniform(0.0, 2.0 * math.pi, (len(_MODES), 2))

    def step(self, passed_s: float, running: bool) -> None:
        """Advance the motion by passed_s seconds."""
        size_px = self._rigid_px * (_RUNNING if running else 1.0)
        self._rigid = _wander(self._rigid, size_px, passed_s / _RIGID_S, self._rng)
        self._warp = _wander(self._warp, 1.0, passed_s / _WARP_S, self._rng)

    def at(self, v: Floats, u: Floats) -> Floats:
        """Return (dy, dx) at points of the field: (points, 2).

        v and u are fractions of the field's height and width.
        """
        moved = np.tile(self._rigid, (v.size, 1))
        share = self._warp_px / math.sqrt(len(_MODES) / 2)
        for (fy, fx), phase, size in zip(_MODES, self._phase, self._warp, strict=True):
            wave = 2.0 * math.pi * (fy * v + fx * u)
            moved += share * size * np.cos(wave[:, None] + phase)
        return np.asarray(np.clip(moved, -_FARTHEST_PX, _FARTHEST_PX))


def _wander(now: Floats, sd: float, passed: float, rng: np.random.Generator) -> Floats:
    """Return a value after `passed` time constants of an Ornstein-Uhlenbeck process around zero."""
    kept = math.exp(-passed)
    return np.asarray(now * kept + rng.normal(0.0, sd * math.sqrt(1.0 - kept**2), now.shape))
