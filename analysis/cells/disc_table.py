"""Read cells from a CSV table of discs: the columns cell, y_px, x_px, radius_px, area, plane."""

import csv
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.array_files import unreadable
from analysis.cells.model import Cells, disc, make_cells
from rig.errors import Refused

_COLUMNS = ("cell", "y_px", "x_px", "radius_px")
_MAX_PX = 100_000.0
_MAX_RADIUS_PX = 1000.0

Line = tuple[int, dict[str, Any]]
"""Line number in the file, and the values by column."""


def read_disc_table(path: Path) -> Cells:
    """Read a CSV with the columns cell, y_px, x_px and radius_px; area and plane are optional.

    Raises:
        Refused: The file cannot be used.
    """
    columns, rows = _rows(path)
    missing = [name for name in _COLUMNS if name not in columns]
    if columns and missing:
        raise Refused(
            f"cells_file {path} has no column {missing[0]!r} in its first line; the columns are "
            f"{', '.join(_COLUMNS)}, separated by commas, and optionally area and plane"
        )
    if not rows:
        raise Refused(f"cells_file {path} is empty; give it one line per cell")
    discs = [_disc(row, f"cells_file {path}, line {line}") for line, row in rows]
    names = [row["cell"] for _, row in rows]
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise Refused(f"cells_file {path} has {times} cells named {name}; rename the others")
    cells = make_cells(names, discs, [np.ones(len(disc)) for disc in discs])
    if "area" in columns:
        cells = replace(cells, area=_integers(rows, "area", range(-1, 10), path))
    if "plane" in columns:
        plane = _integers(rows, "plane", range(32), path)
        cells = replace(cells, plane=plane, has_planes=True)
    return cells


def _rows(path: Path) -> tuple[list[str], list[Line]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file)
            columns = list(lines.fieldnames or ())
            return columns, [(lines.line_num, row) for row in lines]
    except (OSError, ValueError, csv.Error) as error:
        raise Refused(
            f"cells_file {path} cannot be read ({unreadable(error)}); check the path, and save it "
            "as UTF-8 text"
        ) from error


def _integers(rows: list[Line], name: str, allowed: range, path: Path) -> NDArray[np.int16]:
    """Return a column of integers."""
    values = {str(number): number for number in allowed}
    for line, row in rows:
        if row[name] not in values:
            raise Refused(
                f"cells_file {path}, line {line}: {name} = {row[name]!r} is not an integer from "
                f"{allowed[0]} to {allowed[-1]}"
            )
    return np.array([values[row[name]] for _, row in rows], np.int16)


def _disc(row: dict[str, Any], where: str) -> NDArray[np.intp]:
    """Return y, x of the pixels whose centres are within the disc of a row: (pixels, 2)."""
    if not row["cell"]:
        raise Refused(f"{where}: the cell has no name")
    numbers = {}
    for name in _COLUMNS[1:]:
        try:
            numbers[name] = float(row[name])
        except (TypeError, ValueError) as error:
            raise Refused(f"{where}: {name} = {row[name]!r} is not a number") from error
        if not math.isfinite(numbers[name]):
            raise Refused(f"{where}: {name} = {row[name]!r} is not finite")
        if abs(numbers[name]) > (_MAX_RADIUS_PX if name == "radius_px" else _MAX_PX):
            raise Refused(f"{where}: {name} = {row[name]} is beyond any page; give it in pixels")
    radius_px = numbers["radius_px"]
    if radius_px < 1.0:
        raise Refused(f"{where}: radius_px = {row['radius_px']} is below one pixel")
    return disc(numbers["y_px"], numbers["x_px"], radius_px)
