"""How a simulated brain moves under the objective: jumps as a whole, and a slow warp."""

import math

import numpy as np

from acquisition.simulation.strip_layout import Floats
from acquisition.simulation.tissue import MARGIN_PX

_SETTLES_S = 1.0
_RUNNING = 2.5
"""How much farther the brain moves while the animal runs."""
_WARPS_S = 120.0
_MODES = ((0.5, 0.0), (0.0, 0.5), (0.5, 0.5), (1.0, 0.0))
"""Waves across the field, in cycles over its height and its width, that make up the warp."""
_FARTHEST_PX = MARGIN_PX - 2.0


class BrainMotion:
    """Displacement of the tissue, dy and dx in pixels, rigid and warped, both around zero."""

    def __init__(self, rigid_px: float, warp_px: float, rng: np.random.Generator) -> None:
        """rigid_px and warp_px are standard deviations, the first at rest."""
        self._rigid_px, self._warp_px, self._rng = rigid_px, warp_px, rng
        self._rigid = np.zeros(2)
        self._warp = rng.normal(0.0, 1.0, (len(_MODES), 2))
        self._phase = rng.uniform(0.0, 2.0 * math.pi, (len(_MODES), 2))

    def step(self, passed_s: float, running: bool) -> None:
        """Let time pass."""
        size_px = self._rigid_px * (_RUNNING if running else 1.0)
        self._rigid = _wander(self._rigid, size_px, passed_s / _SETTLES_S, self._rng)
        self._warp = _wander(self._warp, 1.0, passed_s / _WARPS_S, self._rng)

    def at(self, v: Floats, u: Floats) -> Floats:
        """Return (dy, dx) at places of the field, given as parts of its height and its width."""
        moved = np.tile(self._rigid, (v.size, 1))
        share = self._warp_px / math.sqrt(len(_MODES) / 2)
        for (fy, fx), phase, size in zip(_MODES, self._phase, self._warp, strict=True):
            wave = 2.0 * math.pi * (fy * v + fx * u)
            moved += share * size * np.cos(wave[:, None] + phase)
        return np.asarray(np.clip(moved, -_FARTHEST_PX, _FARTHEST_PX))


def _wander(now: Floats, sd: float, passed: float, rng: np.random.Generator) -> Floats:
    """Return where a value is that wanders around zero, `passed` time constants later."""
    kept = math.exp(-passed)
    return np.asarray(now * kept + rng.normal(0.0, sd * math.sqrt(1.0 - kept**2), now.shape))
