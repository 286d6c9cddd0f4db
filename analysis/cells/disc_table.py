"""Read cells from a CSV table of discs: the columns cell, y_px, x_px, radius_px, area, plane."""

import csv
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.model import Cells, disc, gathered
from rig.errors import Refused

_COLUMNS = ("cell", "y_px", "x_px", "radius_px")


def read_disc_table(path: Path) -> Cells:
    """Read a CSV with the columns cell, y_px, x_px, radius_px, maybe area and plane."""
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
    names = [row["cell"] for _, row in rows]
    name, times = Counter(names).most_common(1)[0]
    discs = [_disc(row, f"cells_file {path}, line {line}") for line, row in rows]
    if times > 1:
        raise Refused(f"cells_file {path} names cell {name} {times} times; rename the others")
    cells = gathered(names, discs, [np.ones(len(disc)) for disc in discs])
    if "area" in columns:
        cells = replace(cells, area=_whole(rows, "area", range(-1, 10), path))
    if "plane" in columns:
        plane = _whole(rows, "plane", range(32), path)
        cells = replace(cells, plane=plane, planes_said=True)
    return cells


def _whole(
    rows: list[tuple[int, dict[str, Any]]], name: str, allowed: range, path: Path
) -> NDArray[np.int16]:
    """Return a column of whole numbers."""
    values = {str(number): number for number in allowed}
    for line, row in rows:
        if row[name] not in values:
            raise Refused(
                f"cells_file {path}, line {line}: {name} = {row[name]!r} is no whole number from "
                f"{allowed[0]} to {allowed[-1]}; mend it"
            )
    return np.array([values[row[name]] for _, row in rows], np.int16)


def _disc(row: dict[str, Any], where: str) -> NDArray[np.intp]:
    """Return y, x of the pixels whose centres lie within the disc of a row: (pixels, 2)."""
    numbers = {}
    for name in _COLUMNS[1:]:
        try:
            numbers[name] = float(row[name])
        except (TypeError, ValueError) as error:
            raise Refused(f"{where}: {name} = {row[name]!r} is not a number; mend it") from error
        if not math.isfinite(numbers[name]):
            raise Refused(f"{where}: {name} = {row[name]!r} is not finite; mend it")
    radius_px = numbers["radius_px"]
    if radius_px < 1.0:
        raise Refused(f"{where}: radius_px = {row['radius_px']} is below one pixel; mend it")
    return disc(numbers["y_px"], numbers["x_px"], radius_px)
