"""The positions and responses of the simulated cells, read from a table or drawn."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from acquisition.simulation.strip_layout import Floats, StripLayout
from rig.errors import Refused

Prefers = Literal["leaf1", "circle1", "both", "none", "reward"]
PREFERS: tuple[Prefers, ...] = ("leaf1", "circle1", "both", "none", "reward")
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
_GIVEN = ("cell", "y_px", "x_px", "radius_px", "prefers", "place_m")
"""The columns that a table must have."""


class Cell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of a table of cells; y_px and x_px are page coordinates from pixel (0, 0)."""

    cell: Annotated[int, msgspec.Meta(ge=0)]
    y_px: float
    x_px: float
    radius_px: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)]
    prefers: Prefers
    place_m: Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)]
    """Place in the texture to which the cell responds most, m."""
    plane: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Index of the cell's depth."""
    area: Annotated[int, msgspec.Meta(ge=-1, le=9)] = 8
    """Number of the cortical area in the study: V1 is 8."""
    peak_hz: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 6.0
    """Firing rate of the cell's best response."""
    other: Share = 0.5
    """Response to another exemplar of the preferred category, as a fraction of the best response.
    """
    learns_at: Share = 0.0
    """How much the animal must have learned (0-1) before the cell distinguishes the textures."""


COLUMNS = tuple(Cell.__struct_fields__)


@dataclass(frozen=True)
class SimulatedCells:
    """Many cells: an array for each column of the table."""

    cell: NDArray[np.int64]
    y_px: Floats
    x_px: Floats
    radius_px: Floats
    prefers: NDArray[np.int64]
    """Index into PREFERS."""
    place_m: Floats
    plane: NDArray[np.int64]
    area: NDArray[np.int64]
    peak_hz: Floats
    other: Floats
    learns_at: Floats

    def __len__(self) -> int:
        return len(self.cell)


def arrays(rows: Sequence[Cell]) -> SimulatedCells:
    """Return the cells of these rows as arrays."""
    columns = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
    columns["prefers"] = [PREFERS.index(row.prefers) for row in rows]
    return SimulatedCells(**{name: np.array(held) for name, held in columns.items()})


def read_cells(path: Path, layout: StripLayout, depths: int = 1) -> SimulatedCells:
    """Read the cells of a field from a table. Raises Refused if it is not valid."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Refused(f"cells file {path} cannot be read ({error}); correct cells_file") from error
    known = set(lines[0]) if lines else set()
    if not set(_GIVEN) <= known or not known <= set(COLUMNS):
        raise Refused(
            f"cells file {path} needs the columns {', '.join(_GIVEN)} and may have "
            f"{', '.join(COLUMNS[len(_GIVEN) :])}; correct its first line"
        )
    cells: dict[int, Cell] = {}
    for number, line in enumerate(lines, start=2):
        try:
            cell = msgspec.convert(line, Cell, strict=False)
        except msgspec.ValidationError as error:
            raise Refused(f"cells file {path}, line {number}: {error}; correct that row") from error
        wrong = _wrong(cell, layout, depths)
        if cell.cell in cells:
            wrong = f"cell {cell.cell} is listed twice"
        if wrong is not None:
            raise Refused(f"cells file {path}, line {number}: {wrong}; correct that row")
        cells[cell.cell] = cell
    return arrays(list(cells.values()))


def table(cells: SimulatedCells) -> str:
    """Return the cells as the text of a table that `read_cells` reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    columns = [getattr(cells, name).tolist() for name in COLUMNS]
    columns[COLUMNS.index("prefers")] = [PREFERS[code] for code in cells.prefers]
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue()


def _wrong(cell: Cell, layout: StripLayout, depths: int) -> str | None:
    """Return what is wrong with a row; None if it is valid."""
    numbers = [value for value in msgspec.structs.astuple(cell) if isinstance(value, float)]
    if not all(math.isfinite(value) for value in numbers):
        return "all numbers must be finite"
    height, width = layout.page_shape
    if not (0 <= cell.y_px < height and 0 <= cell.x_px < width):
        return f"cell {cell.cell} is outside the page of {height} x {width} px"
    if np.isnan(layout.to_field(cell.y_px, cell.x_px)[0]):
        return f"cell {cell.cell} is between two strips, where nothing is scanned"
    if cell.plane >= depths:
        return (
            f"cell {cell.cell} is at depth {cell.plane}, and there is no depth above {depths - 1}"
        )
    return None
