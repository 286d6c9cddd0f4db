"""Where the strips of a simulated field lie: side by side in the brain, one upon another in a page.

Field coordinates (y, x) are pixels of the whole cortex under the objective; page coordinates are
rows and columns of a page as it is saved. Between two strips the beam flies: those rows are no
picture. As in real recordings the strips are not scanned from left to right.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StripLayout:
    """Strips of one size, scanned from the middle outwards."""

    height_px: int
    width_px: int
    rois: int = 1
    fly_rows: int = 0

    @property
    def page_shape(self) -> tuple[int, int]:
        """Rows and columns of a page."""
        return self.rois * self.height_px + (self.rois - 1) * self.fly_rows, self.width_px

    @property
    def field_shape(self) -> tuple[int, int]:
        """Rows and columns of the field that the strips cover."""
        return self.height_px, self.rois * self.width_px

    @property
    def slots(self) -> tuple[int, ...]:
        """The place of each strip, counted from the left, in the order of the scan."""
        middle = (self.rois - 1) / 2
        return tuple(sorted(range(self.rois), key=lambda slot: (abs(slot - middle), slot)))

    def top(self, roi: int) -> int:
        """The first page row of a strip."""
        return roi * (self.height_px + self.fly_rows)

    def to_page(self, y: Any, x: Any) -> tuple[Floats, Floats]:
        """Return the page coordinates of places in the field."""
        slot = np.clip(np.asarray(x) // self.width_px, 0, self.rois - 1).astype(np.intp)
        roi = np.argsort(self.slots)[slot]
        rows = np.asarray(y, np.float64) + roi * (self.height_px + self.fly_rows)
        return rows, np.asarray(x, np.float64) - slot * self.width_px

    def to_field(self, y: Any, x: Any) -> tuple[Floats, Floats]:
        """Return the field coordinates of places in a page; NaN where the beam flies."""
        rows = np.asarray(y, np.float64)
        roi = np.clip(rows // (self.height_px + self.fly_rows), 0, self.rois - 1).astype(np.intp)
        within = rows - roi * (self.height_px + self.fly_rows)
        within = np.where(within < self.height_px, within, np.nan)
        return within, np.asarray(x, np.float64) + np.asarray(self.slots)[roi] * self.width_px
