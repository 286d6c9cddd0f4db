"""Traces: the mean brightness of each given cell in a frame, with cells as discs in a table."""

import csv
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.refused import Refused

Traces = NDArray[np.float32]
_COLUMNS = ("cell", "y_px", "x_px", "radius_px")


class Cell(msgspec.Struct, frozen=True):
    """A disc in the imaged field; pixel (0, 0) is the centre of the first one."""

    cell: str
    y_px: float
    x_px: float
    radius_px: float


def read_cells(path: Path) -> list[Cell]:
    """Read cells from a CSV with the columns cell, y_px, x_px, radius_px; others are ignored.

    Raises Refused with one sentence if the file cannot be used.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file)
            columns = lines.fieldnames or ()
            rows = [(lines.line_num, row) for row in lines]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Refused(f"cells_file {path} cannot be read ({error}); check the path") from error
    missing = [name for name in _COLUMNS if name not in columns]
    if columns and missing:
        raise Refused(f"cells_file {path} has no column {missing[0]!r}; add it to its first line")
    if not rows:
        raise Refused(f"cells_file {path} is empty; give it one line for each cell")
    cells = [_cell(row, f"cells_file {path}, line {line}") for line, row in rows]
    name, times = Counter(cell.cell for cell in cells).most_common(1)[0]
    if times > 1:
        raise Refused(f"cells_file {path} names cell {name} {times} times; rename the others")
    return cells


def _cell(row: dict[str, Any], where: str) -> Cell:
    numbers = {}
    for name in _COLUMNS[1:]:
        try:
            numbers[name] = float(row[name])
        except (TypeError, ValueError) as error:
            raise Refused(f"{where}: {name} = {row[name]!r} is not a number; mend it") from error
        if not math.isfinite(numbers[name]):
            raise Refused(f"{where}: {name} = {row[name]!r} is not finite; mend it")
    if numbers["radius_px"] < 1.0:
        raise Refused(f"{where}: radius_px = {row['radius_px']} is below one pixel; mend it")
    return Cell(row["cell"], **numbers)


class Masks:
    """Which pixels of a frame belong to which cell."""

    def __init__(self, cells: Sequence[Cell], shape: tuple[int, int]) -> None:
        """Lay the cells' discs on frames of shape (height_px, width_px).

        Raises Refused if a disc leaves the frame.
        """
        discs = [_disc(cell, shape) for cell in cells]
        self.shape = shape
        self._pixels = np.concatenate(discs)
        self._counts = np.array([disc.size for disc in discs], np.intp)
        self._starts = np.concatenate(([0], np.cumsum(self._counts)[:-1]))

    def means(self, pixels: NDArray[Any]) -> Traces:
        """Return the mean of each cell's pixels, summed in float64: (cells,)."""
        inside = pixels.reshape(-1)[self._pixels].astype(np.float64)
        sums: NDArray[np.float64] = np.add.reduceat(inside, self._starts)
        return (sums / self._counts).astype(np.float32)


def _disc(cell: Cell, shape: tuple[int, int]) -> NDArray[np.intp]:
    """Return the flat indices of the pixels whose centres lie within the cell."""
    for centre, size in ((cell.y_px, shape[0]), (cell.x_px, shape[1])):
        if centre - cell.radius_px < -0.5 or centre + cell.radius_px > size - 0.5:
            raise Refused(
                f"cell {cell.cell} at y {cell.y_px}, x {cell.x_px} px leaves the frame of "
                f"{shape[0]} x {shape[1]} px; correct cells_file"
            )
    # only the box round the disc is looked at: all cells are laid between two frames
    y = _span(cell.y_px, cell.radius_px, shape[0])
    x = _span(cell.x_px, cell.radius_px, shape[1])
    dy_px, dx_px = y - cell.y_px, x - cell.x_px
    rows, columns = np.nonzero((dy_px**2)[:, None] + dx_px**2 <= cell.radius_px**2)
    return y[rows] * shape[1] + x[columns]


def _span(centre_px: float, radius_px: float, size_px: int) -> NDArray[np.intp]:
    """Return the rows, or columns, of the frame that a disc can reach."""
    first, last = math.floor(centre_px - radius_px), math.ceil(centre_px + radius_px)
    return np.arange(max(first, 0), min(last + 1, size_px), dtype=np.intp)
