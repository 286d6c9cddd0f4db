"""The simulated cells: where they lie and what they answer to, from a table or drawn by seed."""

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
    """One row of a table of cells; places in page coordinates, pixel (0, 0) the first one."""

    cell: Annotated[int, msgspec.Meta(ge=0)]
    y_px: float
    x_px: float
    radius_px: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)]
    prefers: Prefers
    place_m: Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)]
    """Where in its texture it answers most."""
    plane: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Which of the depths it lies at."""
    area: Annotated[int, msgspec.Meta(ge=-1, le=9)] = 8
    """Its cortical area by the study's numbers: V1 is 8."""
    peak_hz: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)] = 6.0
    """Its rate at its best."""
    other: Share = 0.5
    """How strongly it answers to another exemplar of what it prefers, of its best answer."""
    learns_at: Share = 0.0
    """How far learning must have come until it tells one texture from the other."""


COLUMNS = tuple(Cell.__struct_fields__)


@dataclass(frozen=True)
class SimulatedCells:
    """Many cells, one array a column of the table."""

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
    """Read the cells of a field. Raises Refused."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Refused(f"cells file {path} cannot be read ({error}); check cells_file") from error
    known = set(lines[0]) if lines else set()
    if not set(_GIVEN) <= known or not known <= set(COLUMNS):
        raise Refused(
            f"cells file {path} needs rows under the columns {','.join(_GIVEN)}; it may have "
            f"{','.join(COLUMNS[len(_GIVEN) :])} too"
        )
    cells: dict[int, Cell] = {}
    for number, line in enumerate(lines, start=2):
        try:
            cell = msgspec.convert(line, Cell, strict=False)
        except msgspec.ValidationError as error:
            raise Refused(f"cells file {path}, line {number}: {error}; correct that row") from error
        wrong = _wrong(cell, layout, depths)
        if cell.cell in cells:
            wrong = f"is a second cell {cell.cell}"
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
    numbers = [value for value in msgspec.structs.astuple(cell) if isinstance(value, float)]
    if not all(math.isfinite(value) for value in numbers):
        return "all numbers must be finite"
    height, width = layout.page_shape
    if not (0 <= cell.y_px < height and 0 <= cell.x_px < width):
        return f"cell {cell.cell} lies outside the field of {height} x {width} px"
    if np.isnan(layout.to_field(cell.y_px, cell.x_px)[0]):
        return f"cell {cell.cell} lies between two strips, where the beam flies"
    if cell.plane >= depths:
        return f"cell {cell.cell} lies at depth {cell.plane}, and there are {depths}"
    return None
