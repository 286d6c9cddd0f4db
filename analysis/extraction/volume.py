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
    ) -> None:
        """Lay the cells on pages of shape (height_px, width_px). Raises Refused.

        A page is the mean of so many frames, and so many depths have one number.
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

    @property
    def pages(self) -> int:
        """How many pages of the volume under way have come, up to all of them."""
        return self._next

    def add(self, frame: Frame, time_s: float) -> Floats | None:
        """Take in a page; return the brightness of all cells, (cells,), if it is the last."""
        if frame.plane not in self._planes:
            return None
        at = self._planes.index(frame.plane)
        if at == 0:
            self._next, self._moved, self._first = 0, [], frame.number
        later = (frame.plane - self._planes[0]) // self._at_once
        if frame.number - self._first not in (later, later * self._averaged):
            self._next = 0  # pages are missing: this one is of another volume
        if at != self._next:
            return None  # a page before it is missing
        self._next += 1
        for strip in self._strips:
            if strip.rows.plane == frame.plane:
                values, motion = strip.measure(frame.pixels, time_s)
                self._values[strip.members] = values
                self._moved += [motion] if motion is not None else []
        if self._next < len(self._planes):
            return None
        self.motion = tuple(self._moved)
        return self._values.copy()
