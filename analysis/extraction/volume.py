"""A volume: the pages of all depths, which together give one value per cell."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.cells.model import Cells
from analysis.extraction.masks import Floats
from analysis.extraction.strip import Motion, PipelineSettings, make_strips
from rig.messages import Frame


class Volume:
    """The pages of the current volume, and the brightness of all cells in it.

    A volume gives no values if one of its pages is missing, or if one of its strips was not found.
    """

    def __init__(
        self,
        cells: Cells,
        regions: Sequence[dict[str, Any]],
        shape: tuple[int, int],
        settings: PipelineSettings,
        averaged: int = 1,
        at_once: int = 1,
        frames_per_slice: int = 1,
    ) -> None:
        """Prepare for pages of one size.

        Args:
            cells: All cells of the field.
            regions: Scan.regions.
            shape: Size of the pages, (height_px, width_px).
            settings: How brightness is measured.
            averaged: Number of scanned frames that are averaged into a page.
            at_once: Number of depths scanned simultaneously; they share one frame number.
            frames_per_slice: Number of scanned frames of each slice of a volume; the brightness of
                a cell is its mean over the pages of its slice.

        Raises:
            Refused: The cells do not fit the pages.
        """
        cells.check_page(shape)
        self.shape = shape
        self.motion: tuple[Motion, ...] = ()
        """Motion of each strip in the last volume, sorted by plane and row."""
        self._strips = make_strips(cells, regions, shape, settings)
        self._planes = sorted({strip.rows.plane for strip in self._strips})
        self._values = np.zeros(len(cells), np.float32)
        self._moved: list[Motion] = []
        self._next = self._first = 0
        self._averaged, self._at_once = averaged, at_once
        self._frames_per_slice = max(averaged, frames_per_slice)
        self._repeats = self._frames_per_slice // averaged
        """Pages of each plane in a volume."""

    @property
    def pages(self) -> int:
        """Number of pages of the current volume so far."""
        return self._next

    @property
    def found(self) -> bool:
        """True if all strips of the last volume were found."""
        return all(motion.found for motion in self.motion)

    def add_page(self, frame: Frame, time_s: float) -> Floats | None:
        """Add a page; return the brightness of all cells, (cells,), if it completes a volume.

        If a strip was not found, `found` is False and all values are NaN.
        """
        if frame.plane not in self._planes:
            return None
        if not self._is_next(frame):
            # Pages are missing, or this is the first page: a volume begins only at the first plane.
            self._next, self._moved, self._first = 0, [], frame.number
            self._values[:] = 0.0
            if frame.plane != self._planes[0]:
                return None
        self._next += 1
        for strip in self._strips:
            if strip.rows.plane == frame.plane:
                values, motion = strip.measure(frame.pixels, time_s)
                self._values[strip.members] += values / self._repeats
                self._moved += [motion] if motion is not None else []
        if self._next < len(self._planes) * self._repeats:
            return None
        self.motion = tuple(self._moved)
        return self._values.copy() if self.found else np.full_like(self._values, np.nan)

    def _is_next(self, frame: Frame) -> bool:
        """Return True if a page is the next one of the current volume, by plane and number."""
        at, repeat = divmod(self._next, self._repeats)
        if self._next == 0 or at == len(self._planes) or frame.plane != self._planes[at]:
            return False
        slices = (frame.plane - self._planes[0]) // self._at_once
        later = slices * self._frames_per_slice + repeat * self._averaged
        return frame.number - self._first in (later, later // self._averaged)
