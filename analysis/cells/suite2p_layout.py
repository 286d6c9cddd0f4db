"""Find where the cells of Suite2p's combined view are on the pages of the microscope.

Suite2p processes each region of each depth as a plane of its own, and then writes
combined/stat.npy. There `iplane` is depth * regions + region, and the pixels of a plane are moved
by the corner of that plane in the combined view, an image of all planes:

    one region, three depths            two regions (corners dy, dx from ops.json), two depths

    +---------+---------+               +-------+-----+-------+-----+
    | depth 0 | depth 1 |               |  r0   | r1  |  r0   | r1  |
    +---------+---------+               | depth 0     | depth 1     |
    | depth 2 |                         +-------+-----+-------+-----+

A stat.npy may instead contain pixels of whole pages (Suite2p run without ops.json). The positions
of the cells show which of the two it is; if they fit both, the file is refused.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.cells.model import Cells
from rig.errors import Refused

Layout = Literal["auto", "page", "combined"]


@dataclass(frozen=True)
class _Box:
    """A region of a depth: its rows in the page, and its corner in an image of all regions."""

    plane: int
    first_row: int
    height: int
    width: int
    y: int = 0
    x: int = 0


@dataclass(frozen=True)
class _Placed:
    """One interpretation of the file: depth of each cell, and shift of its pixels: (cells,)."""

    plane: NDArray[np.int64]
    down: NDArray[np.int64]
    right: NDArray[np.int64]

    def same(self, other: "_Placed") -> bool:
        pairs = ((self.plane, other.plane), (self.down, other.down), (self.right, other.right))
        return all(np.array_equal(a, b) for a, b in pairs)


def to_pages(
    cells: Cells,
    regions: Sequence[dict[str, Any]],
    depths: int,
    shape: tuple[int, int],
    layout: Layout = "auto",
) -> Cells:
    """Return cells of Suite2p with the pixels and depths that they have on the pages.

    Args:
        cells: Cells from any file; cells that are not from a stat.npy are returned unchanged.
        regions: Scan.regions; empty if a page is one region.
        depths: Number of depths scanned.
        shape: Size of a page, (height_px, width_px).
        layout: Whether pixels are those of pages, or of Suite2p's combined view.

    Raises:
        Refused: No interpretation of the file fits the scan, or several that differ do.
    """
    if not cells.from_suite2p:
        return cells
    boxes = [
        _Box(r["plane"], r["first_row"], r["height_px"], r["width_px"], r["y_px"], r["x_px"])
        for r in regions
    ] or [_Box(plane, 0, *shape) for plane in range(max(1, depths))]
    readings = [r for r in _readings(cells, boxes, layout) if r is not None]
    if not readings:
        if len(boxes) == 1:
            return cells  # Cells.check names the cell that extends beyond the page
        raise Refused(
            f"cells_file has cells that are in none of the {len(boxes)} regions and depths "
            "scanned; give combined/stat.npy of a recording of the same field"
        )
    if any(not reading.same(readings[0]) for reading in readings[1:]) or _of_one_region(
        cells, boxes, readings[0], layout
    ):
        raise Refused(
            "cells_file does not show in which region or depth each cell is; give "
            'combined/stat.npy, or set cells_layout = "page" or "combined"'
        )
    found = readings[0]
    each = cells.cell_of_pixel()
    return replace(
        cells,
        y=(cells.y - found.down[each]).astype(np.int32),
        x=(cells.x - found.right[each]).astype(np.int32),
        plane=found.plane.astype(np.int16),
        has_planes=cells.has_planes or len(boxes) > 1,
        from_suite2p=False,
    )


def _readings(cells: Cells, boxes: Sequence[_Box], layout: Layout) -> list[_Placed | None]:
    readings = []
    if layout in ("auto", "page"):
        readings.append(_on_pages(cells, boxes))
    if layout in ("auto", "combined"):
        readings.append(_in_view(cells, boxes, _mosaic(boxes)))
        if len({box.plane for box in boxes}) > 1 and len(boxes) > len({b.plane for b in boxes}):
            # Suite2p before 1.0 did not move the regions of further depths.
            readings.append(_in_view(cells, boxes, [(box.y, box.x) for box in boxes]))
    return readings


def _on_pages(cells: Cells, boxes: Sequence[_Box]) -> _Placed | None:
    """Interpret the pixels as those of whole pages, and iplane as the depth."""
    depths = {box.plane for box in boxes}
    if len(depths) > 1 and not cells.has_planes:
        return None
    top, left, bottom, right = cells.boxes().T
    fits = np.zeros(len(cells), bool)
    for box in boxes:
        inside = (top >= box.first_row) & (bottom <= box.first_row + box.height)
        inside &= (left >= 0) & (right <= box.width)
        fits |= inside & (cells.plane == box.plane)
    zero = np.zeros(len(cells), np.int64)
    return _Placed(cells.plane.astype(np.int64), zero, zero) if fits.all() else None


def _in_view(
    cells: Cells, boxes: Sequence[_Box], corners: Sequence[tuple[int, int]]
) -> _Placed | None:
    """Interpret the pixels as those of an image in which each box begins at its corner."""
    top, left, bottom, right = cells.boxes().T
    inside = np.zeros((len(boxes), len(cells)), bool)
    for number, (box, (y, x)) in enumerate(zip(boxes, corners, strict=True)):
        inside[number] = (top >= y) & (bottom <= y + box.height)
        inside[number] &= (left >= x) & (right <= x + box.width)
    if cells.has_planes or len(boxes) == 1:  # one box shows no cell of another depth
        inside &= np.arange(len(boxes))[:, None] == cells.plane
    if not (inside.sum(axis=0) == 1).all():
        return None
    which = inside.argmax(axis=0)
    rows = np.array([box.first_row for box in boxes])
    y, x = np.array(corners).T
    planes = np.array([box.plane for box in boxes])
    return _Placed(planes[which], y[which] - rows[which], x[which])


def _mosaic(boxes: Sequence[_Box]) -> list[tuple[int, int]]:
    """Return the corner of each plane in the combined view (suite2p.io.save.compute_dydx)."""
    planes = len({box.plane for box in boxes})
    per_plane = len(boxes) // planes
    height = max(box.y + box.height for box in boxes)
    width = max(box.x + box.width for box in boxes)
    columns = math.ceil(math.sqrt(height * width * planes) / width)
    corners = []
    for number, box in enumerate(boxes):
        row, column = divmod(number // per_plane, columns)
        corners.append((box.y + row * height, box.x + column * width))
    return corners


def _of_one_region(cells: Cells, boxes: Sequence[_Box], reading: _Placed, layout: Layout) -> bool:
    """Return True if the cells may be those of any one region (planeN/stat.npy of Suite2p)."""
    if layout != "auto" or cells.has_planes or len(boxes) == 1:
        return False
    _, _, bottom, right = cells.boxes().T
    return bool((bottom <= boxes[0].height).all() and (right <= boxes[0].width).all())
