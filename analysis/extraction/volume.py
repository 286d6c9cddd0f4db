"""Volume: the pages of all depths that are one frame of every cell."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.cells.model import Cells
from analysis.extraction.masks import Floats
from analysis.extraction.strip import Motion, PipelineSettings, strips_of
from rig.messages import Frame


class Volume:
    """Puts pages together; a volume of which a page is missing is left out whole."""

    def __init__(
        self,
        cells: Cells,
        regions: Sequence[dict[str, Any]],
        shape: tuple[int, int],
        how: PipelineSettings,
        averaged: int = 1,
        at_once: int = 1,
        frames_per_slice: int = 1,
    ) -> None:
        """Lay the cells on pages of shape (height_px, width_px). Raises Refused.

        Args:
            averaged: scanned frames that make one page.
            at_once: depths that bear the same number.
            frames_per_slice: scanned frames of each slice of a volume; a cell's brightness is its
                mean over the pages of its slice.
        """
        cells.check_page(shape)
        self.shape = shape
        self.motion: tuple[Motion, ...] = ()
        """How each strip, by plane and row, had moved in the last whole volume."""
        self._strips = strips_of(cells, regions, shape, how)
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
        """How many pages of the volume under way have come, up to all of them."""
        return self._next

    def add(self, frame: Frame, time_s: float) -> Floats | None:
        """Take in a page; return the brightness of all cells, (cells,), if it is the last."""
        if frame.plane not in self._planes:
            return None
        if not self._is_next(frame):
            # Pages are missing, or this is the first one: only a first plane begins a volume.
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
        return self._values.copy()

    def _is_next(self, frame: Frame) -> bool:
        """Whether a page is the next one of the volume under way, by its plane and its number."""
        at, repeat = divmod(self._next, self._repeats)
        if self._next == 0 or at == len(self._planes) or frame.plane != self._planes[at]:
            return False
        slices = (frame.plane - self._planes[0]) // self._at_once
        later = slices * self._frames_per_slice + repeat * self._averaged
        return frame.number - self._first in (later, later // self._averaged)
