"""Report once when the focus has drifted, and once when it has returned."""

from collections.abc import Sequence

import numpy as np

from analysis.extraction.strip import Motion


class ZDrift:
    """Whether the focus has drifted in the last volumes; known only with a z-stack."""

    def __init__(self, limit_um: float) -> None:
        """Start in focus; a drift of at least limit_um is reported."""
        self._limit_um, self._drifted = limit_um, False

    def changed(self, motion: Sequence[Motion]) -> str:
        """Use the motion of a volume; return a sentence if a drift begins or ends, else ""."""
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
