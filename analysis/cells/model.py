"""The cells of a field: the pixels, weights, brain area and depth of each cell."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import UNKNOWN, Ids
from rig.errors import Refused


@dataclass(frozen=True)
class Cells:
    """The pixels of all cells, one cell after the other; (0, 0) is the first pixel of a page."""

    names: tuple[str, ...]
    first: NDArray[np.int64]
    """Index of the first pixel of each cell, and the number of pixels at the end: (cells + 1,)."""
    y: NDArray[np.int32]
    x: NDArray[np.int32]
    weight: NDArray[np.float32]
    area: Ids
    plane: NDArray[np.int16]
    """Index of the depth of each cell: (cells,)."""
    has_planes: bool = False
    """True if the file gives the depth of each cell; otherwise all are in depth 0."""
    drawn_on: tuple[int, int] | None = None
    """Size of the pages or of the label image that the cells come from, (height_px, width_px)."""
    from_suite2p: bool = False
    """True if the pixels may be coordinates in Suite2p's combined view instead of a page."""
    left_out: tuple[str, ...] = ()
    """One sentence for each entry of the file that cannot be used as a cell."""
    rows: NDArray[np.int64] | None = None
    """Index of each cell's entry in its file, (cells,); None if every entry is a cell."""
    file_rows: int = 0
    """Number of entries in the file."""
    atlas: NDArray[np.float64] | None = None
    """Position of each cell in the retinotopic atlas, um (`xy_t` of the areas file): (cells, 2)."""
    origin: str = ""
    """Folder name of the session that these cells were moved from; empty if they were not moved."""

    def __len__(self) -> int:
        return len(self.names)

    def centres(self) -> NDArray[np.float64]:
        """Return the weighted mean (y, x) of each cell: (cells, 2)."""
        weights = np.add.reduceat(self.weight.astype(np.float64), self.first[:-1])
        sums = [np.add.reduceat(v * np.float64(self.weight), self.first[:-1]) for v in self._yx()]
        return np.stack(sums, axis=1) / weights[:, None]

    def boxes(self) -> NDArray[np.int64]:
        """Return the bounding box of each cell: (cells, 4), as top, left, bottom, right.

        Bottom and right are exclusive.
        """
        low = [np.minimum.reduceat(v, self.first[:-1]) for v in self._yx()]
        high = [np.maximum.reduceat(v, self.first[:-1]) + 1 for v in self._yx()]
        return np.stack([*low, *high], axis=1).astype(np.int64)

    def cell_of_pixel(self) -> NDArray[np.intp]:
        """Return the index of the cell that each pixel belongs to: (pixels,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.first))

    def subset(self, cells: NDArray[np.intp], first_row: int = 0) -> "Cells":
        """Return the cells with these indices; y is counted from first_row."""
        pixels = pixel_indices(self.first, cells)
        sizes = np.diff(self.first)[cells]
        return Cells(
            tuple(self.names[cell] for cell in cells),
            np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
            self.y[pixels] - np.int32(first_row),
            self.x[pixels],
            self.weight[pixels],
            self.area[cells],
            self.plane[cells],
            self.has_planes,
            self.drawn_on,
            self.from_suite2p,
            self.left_out,
            None if self.rows is None else self.rows[cells],
            self.file_rows,
            None if self.atlas is None else self.atlas[cells],
            self.origin,
        )

    def check(self, shape: tuple[int, int]) -> None:
        """Raise Refused if a cell has pixels outside pages of shape (height_px, width_px)."""
        boxes = self.boxes()
        outside = (boxes[:, :2] < 0).any(axis=1) | (boxes[:, 2:] > shape).any(axis=1)
        if outside.any():
            cell = int(np.flatnonzero(outside)[0])
            y, x = self.centres()[cell]
            raise Refused(
                f"cell {self.names[cell]} at y {y:.1f}, x {x:.1f} px extends beyond the pages of "
                f"{shape[0]} x {shape[1]} px; correct cells_file, or image the field that it was "
                "made from"
            )

    def check_page(self, shape: tuple[int, int]) -> None:
        """Raise Refused if the cells were drawn on pages of another size."""
        if self.drawn_on not in (None, shape):
            raise Refused(
                f"cells_file is for pages of {self.drawn_on[0]} x {self.drawn_on[1]} px, but "
                f"the pages have {shape[0]} x {shape[1]} px; draw it on the mean of such pages"
            )

    def _yx(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        return self.y, self.x


def pixel_indices(first: NDArray[np.int64], cells: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the indices first[c] to first[c + 1] of each cell c, one cell after the other."""
    sizes = np.diff(first)[cells]
    ends = np.cumsum(sizes)
    offsets = np.repeat(first[:-1][cells] - (ends - sizes), sizes)
    return np.asarray(np.arange(int(sizes.sum())) + offsets, np.intp)


def make_cells(
    names: Sequence[str], pixels: Sequence[NDArray[Any]], weights: Sequence[NDArray[Any]]
) -> Cells:
    """Return cells, each given by its pixels (n, 2) as y, x and their weights (n,)."""
    sizes = [len(p) for p in pixels]
    yx = np.concatenate(pixels).astype(np.int32)
    return Cells(
        tuple(names),
        np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        np.ascontiguousarray(yx[:, 0]),
        np.ascontiguousarray(yx[:, 1]),
        np.concatenate(weights).astype(np.float32),
        np.full(len(names), UNKNOWN, np.int16),
        np.zeros(len(names), np.int16),
    )


def disc(y_px: float, x_px: float, radius_px: float) -> NDArray[np.intp]:
    """Return y, x of the pixels whose centres are within a disc: (pixels, 2)."""
    y = np.arange(math.floor(y_px - radius_px), math.ceil(y_px + radius_px) + 1)
    x = np.arange(math.floor(x_px - radius_px), math.ceil(x_px + radius_px) + 1)
    inside = ((y - y_px) ** 2)[:, None] + (x - x_px) ** 2 <= radius_px**2
    rows, columns = np.nonzero(inside)
    return np.stack([y[rows], x[columns]], axis=1)
