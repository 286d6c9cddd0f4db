"""Focus: says once when it has drifted, and once when it is back."""

from collections.abc import Sequence

import numpy as np

from analysis.extraction.strip import Motion


class ZDrift:
    """Hears how deep the strips of each volume are, where there is a z-stack to tell."""

    def __init__(self, limit_um: float) -> None:
        """Begin in focus; limit_um is how far it may drift before it is said."""
        self._limit_um, self._drifted = limit_um, False

    def changed(self, motion: Sequence[Motion]) -> str:
        """Take in a volume; return what the person at the rig must know; nothing if it is known."""
        depths = [m.z_um for m in motion if m.z_um is not None]
        if not depths:
            return ""
        z_um = float(np.median(depths))
        if not self._drifted and abs(z_um) >= self._limit_um:
            self._drifted = True
            return f"the focus has drifted by {z_um:+.1f} um from the reference; refocus"
        if self._drifted and abs(z_um) < self._limit_um / 2:
            self._drifted = False
            return f"the focus is back, {z_um:+.1f} um from the reference"
        return ""
