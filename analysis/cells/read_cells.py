"""Read `cells_file`: the suffix of its name chooses the reader."""

from dataclasses import replace
from pathlib import Path

from analysis.cells.areas import read_areas
from analysis.cells.disc_table import read_disc_table
from analysis.cells.label_image import read_tiff
from analysis.cells.model import Cells
from analysis.cells.suite2p_stat import read_npy


def read_cells(path: Path, areas: Path | None = None) -> Cells:
    """Read cells: a CSV of discs, Suite2p's stat.npy or a label image (.tif, or .npy of integers).

    `areas` holds one area id a cell. Raises Refused with one sentence if a file cannot be used.
    """
    if path.suffix == ".npy":
        cells = read_npy(path)
    elif path.suffix.lower() in (".tif", ".tiff"):
        cells = read_tiff(path)
    else:
        cells = read_disc_table(path)
    return cells if areas is None else replace(cells, area=read_areas(areas, len(cells)))
