"""Strip: one rectangle of the field at one depth, its motion, and the brightness of its cells."""

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
    """Which rows of the pages of a plane a strip is."""

    plane: int
    first: int
    height: int


@dataclass(frozen=True)
class PipelineSettings:
    """How strips are read."""

    traces: TraceSettings
    motion: MotionSettings
    landmarks: ReferenceImages


@dataclass(frozen=True)
class Motion:
    """Where a strip has moved to, px; how surely (1 at best); how deep its focus is, um."""

    down_px: float
    right_px: float
    correlation: float
    z_um: float | None


class Strip:
    """Follows the motion of its field and reads its cells where they are."""

    def __init__(
        self,
        cells: Cells,
        members: NDArray[np.intp],
        rows: StripRows,
        width: int,
        how: PipelineSettings,
    ) -> None:
        """Lay those of the cells that are its members on it. Raises Refused."""
        traces, motion = how.traces, how.motion
        self.rows, self.members = rows, members
        own = cells.subset(members, rows.first)
        shape = (rows.height, width)
        self._masks = Masks(own, shape)
        margin_px, pixels = traces.neuropil_margin_px, traces.neuropil_pixels
        self._neuropil = Neuropil(own, shape, margin_px, pixels)
        self._share = np.float32(traces.neuropil_share)
        mean = how.landmarks.mean(rows.plane, rows.first, shape)
        self._rigid = None if motion.method == "none" else Rigid(shape, motion, mean)
        self._blocks = Nonrigid(shape, motion, own.centres()) if motion.method == "blocks" else None
        if self._blocks is not None and mean is not None:
            self._blocks.learn(mean)
        stack = how.landmarks.depths(rows.first, shape)
        self._depth = None if stack is None else ZEstimate(shape, motion, *stack)

    def measure(self, page: NDArray[Any], time_s: float) -> tuple[Floats, Motion | None]:
        """Return the brightness of its cells, less neuropil, (members,), and how it has moved."""
        part = page[self.rows.first : self.rows.first + self.rows.height]
        motion, shift = None, (0, 0)
        if self._rigid is not None:
            down, right, correlation = self._rigid.locate(part, time_s)
            shift = (round(down), round(right))
            z_um = None if self._depth is None else self._depth.add(part, shift)
            motion = Motion(down, right, correlation, z_um)
        values = self._masks.means(part, self._shifts(part, shift))
        if self._share:
            values -= self._share * self._neuropil.means(part, shift)
        return values, motion

    def _shifts(self, part: NDArray[Any], shift: tuple[int, int]) -> NDArray[np.int32]:
        shifts = np.tile(np.array(shift, np.int32), (self.members.size, 1))
        if self._blocks is not None and self._rigid is not None:
            if not self._blocks.learned:
                self._blocks.watch(part, shift, self._rigid.building)
            else:
                shifts += np.rint(self._blocks.locate(part, shift)).astype(np.int32)
        return shifts


def strips_of(
    cells: Cells,
    regions: Sequence[dict[str, Any]],
    shape: tuple[int, int],
    how: PipelineSettings,
) -> list[Strip]:
    """Lay cells on the strips that Scan.regions names, or on whole pages if it names none.

    shape is that of the pages. Strips without cells are left out. Raises Refused if a cell lies
    on none.
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
            strips.append(Strip(cells, members, place, shape[1], how))
    if not placed.all():
        cell = int(np.flatnonzero(~placed)[0])
        raise Refused(
            f"cell {cells.names[cell]} (plane {cells.plane[cell]}, y {middle[cell]:.1f} px) lies "
            f"on no strip of the pages of {shape[0]} x {shape[1]} px; correct cells_file"
        )
    return strips
