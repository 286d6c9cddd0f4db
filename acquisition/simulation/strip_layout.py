"""The strips of a simulated field: next to each other in the brain, below each other in a page.

Field coordinates (y, x) are pixels of the whole cortex under the objective; page coordinates are
rows and columns of a saved page. The rows between two strips, during which the mirrors move, show
no tissue. As in real recordings, the strips are not scanned from left to right:

    field   slot 0 | slot 1 | slot 2        page   slot 1
                                                   (fly rows)
                                                   slot 0
                                                   (fly rows)
                                                   slot 2
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
        """Rows and columns of the field that all strips cover."""
        return self.height_px, self.rois * self.width_px

    @property
    def slots(self) -> tuple[int, ...]:
        """The slot of each strip, counted from the left, in the order of the scan."""
        middle = (self.rois - 1) / 2
        return tuple(sorted(range(self.rois), key=lambda slot: (abs(slot - middle), slot)))

    def top(self, roi: int) -> int:
        """Return the first page row of a strip."""
        return roi * (self.height_px + self.fly_rows)

    def to_page(self, y: Any, x: Any) -> tuple[Floats, Floats]:
        """Return the page coordinates of points in the field."""
        slot = np.clip(np.asarray(x) // self.width_px, 0, self.rois - 1).astype(np.intp)
        roi = np.argsort(self.slots)[slot]
        rows = np.asarray(y, np.float64) + roi * (self.height_px + self.fly_rows)
        return rows, np.asarray(x, np.float64) - slot * self.width_px

    def to_field(self, y: Any, x: Any) -> tuple[Floats, Floats]:
        """Return the field coordinates of points in a page; NaN between strips."""
        rows = np.asarray(y, np.float64)
        roi = np.clip(rows // (self.height_px + self.fly_rows), 0, self.rois - 1).astype(np.intp)
        within = rows - roi * (self.height_px + self.fly_rows)
        within = np.where(within < self.height_px, within, np.nan)
        return within, np.asarray(x, np.float64) + np.asarray(self.slots)[roi] * self.width_px
