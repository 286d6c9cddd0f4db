"""Report once when the focus has drifted, and once when it is back."""

from collections.abc import Sequence

import numpy as np

from analysis.extraction.strip import Motion


class ZDrift:
    """Follows the depth of each volume; it is known only if there is a z-stack."""

    def __init__(self, limit_um: float) -> None:
        """Begin in focus; a drift of at least limit_um is reported."""
        self._limit_um, self._drifted = limit_um, False

    def changed(self, motion: Sequence[Motion]) -> str:
        """Take in the motion of a volume; return a sentence if the drift begins or ends, or ""."""
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
