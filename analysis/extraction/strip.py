"""A strip: one rectangle of the field at one depth, its motion, and the brightness of its cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.model import Cells
from analysis.extraction.masks import Floats, Masks, Neuropil
from analysis.extraction.traces import TraceSettings
from analysis.registration.nonrigid import Nonrigid
from analysis.registration.reference_images import ReferenceImages
from analysis.registration.rigid import MotionSettings, Rigid
from analysis.registration.z_estimate import ZEstimate
from rig.errors import Refused


@dataclass(frozen=True)
class StripRows:
    """The rows of the pages of a plane that make up a strip."""

    plane: int
    first: int
    height: int


@dataclass(frozen=True)
class PipelineSettings:
    """How the brightness of cells is measured in pages."""

    traces: TraceSettings
    motion: MotionSettings
    reference: ReferenceImages


@dataclass(frozen=True)
class Motion:
    """How far a strip has moved from its reference."""

    down_px: float
    right_px: float
    correlation: float
    """Correlation with the reference, 1 at best."""
    z_um: float | None
    """Drift of the focus, um; None without a z-stack."""
    found: bool = True
    """False if the strip was not found within max_shift_px of its reference."""


class Strip:
    """One strip: measures its motion, and the brightness of its cells at their moved positions."""

    def __init__(
        self,
        cells: Cells,
        members: NDArray[np.intp],
        rows: StripRows,
        width: int,
        settings: PipelineSettings,
    ) -> None:
        """Prepare masks and references.

        Args:
            cells: All cells of the field.
            members: Indices of the cells in this strip.
            rows: Where the strip is in the page.
            width: Width of the page, px.
            settings: How brightness is measured.

        Raises:
            Refused: A cell extends beyond the strip, or a reference image does not fit.
        """
        traces, motion = settings.traces, settings.motion
        self.rows, self.members = rows, members
        own = cells.subset(members, rows.first)
        shape = (rows.height, width)
        self._masks = Masks(own, shape)
        margin_px, pixels = traces.neuropil_margin_px, traces.neuropil_pixels
        self._neuropil = Neuropil(own, shape, margin_px, pixels)
        self._neuropil_share = np.float32(traces.neuropil_share)
        mean = settings.reference.mean(rows.plane, rows.first, shape)
        self._rigid = None if motion.method == "none" else Rigid(shape, motion, mean)
        self._blocks = Nonrigid(shape, motion, own.centres()) if motion.method == "blocks" else None
        if self._blocks is not None and mean is not None:
            self._blocks.set_reference(mean)
        stack = settings.reference.depths(rows.first, shape)
        self._depth = None if stack is None else ZEstimate(shape, motion, *stack)

    def measure(self, page: NDArray[Any], time_s: float) -> tuple[Floats, Motion | None]:
        """Return the brightness of the strip's cells minus neuropil, (members,), and its motion.

        Args:
            page: The whole page, (height_px, width_px).
            time_s: Time of the page, in seconds from any zero.
        """
        part = page[self.rows.first : self.rows.first + self.rows.height]
        motion, shift = None, (0, 0)
        if self._rigid is not None:
            down, right, correlation, found = self._rigid.locate(part, time_s)
            shift = (round(down), round(right))
            z_um = None
            if self._depth is not None and found:
                z_um = self._depth.add(part, shift)
            motion = Motion(down, right, correlation, z_um, found)
            if not found:
                return np.full(self.members.size, np.nan, np.float32), motion
        values = self._masks.means(part, self._shifts(part, shift))
        if self._neuropil_share:
            values -= self._neuropil_share * self._neuropil.means(part, shift)
        return values, motion

    def _shifts(self, part: NDArray[Any], shift: tuple[int, int]) -> NDArray[np.int32]:
        """Return the shift of each cell, px: (members, 2)."""
        shifts = np.tile(np.array(shift, np.int32), (self.members.size, 1))
        if self._blocks is not None and self._rigid is not None:
            if not self._blocks.has_reference:
                self._blocks.build_reference(part, shift, self._rigid.building)
            else:
                shifts += np.rint(self._blocks.locate(part, shift)).astype(np.int32)
        return shifts


def make_strips(
    cells: Cells,
    regions: Sequence[dict[str, Any]],
    shape: tuple[int, int],
    settings: PipelineSettings,
) -> list[Strip]:
    """Return the strips that have cells.

    Args:
        cells: All cells of the field.
        regions: Scan.regions; empty if each page is one strip.
        shape: Size of the pages, (height_px, width_px).
        settings: How brightness is measured.

    Raises:
        Refused: A cell is in no strip, or extends beyond its strip.
    """
    rows = [StripRows(r["plane"], r["first_row"], r["height_px"]) for r in regions]
    rows = rows or [StripRows(int(plane), 0, shape[0]) for plane in np.unique(cells.plane)]
    middle = cells.centres()[:, 0]
    strips, placed = [], np.zeros(len(cells), bool)
    for place in sorted(rows, key=lambda r: (r.plane, r.first)):
        inside = (middle >= place.first) & (middle < place.first + place.height)
        members = np.flatnonzero(inside & (cells.plane == place.plane))
        placed[members] = True
        if members.size:
            strips.append(Strip(cells, members, place, shape[1], settings))
    if not placed.all():
        cell = int(np.flatnonzero(~placed)[0])
        raise Refused(
            f"cell {cells.names[cell]} (plane {cells.plane[cell]}, y {middle[cell]:.1f} px) is in "
            f"no region of the pages of {shape[0]} x {shape[1]} px; correct cells_file"
        )
    return strips
