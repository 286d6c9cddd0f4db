"""Read `cells_file` with the reader for its suffix."""

from dataclasses import replace
from pathlib import Path

from analysis.cells.areas import read_areas, read_atlas
from analysis.cells.disc_table import read_disc_table
from analysis.cells.label_image import read_tiff
from analysis.cells.mask_file import read_masks
from analysis.cells.model import Cells
from analysis.cells.suite2p_stat import read_npy


def read_cells(path: Path, areas: Path | None = None, use_iscell: bool = True) -> Cells:
    """Read cells: discs (.csv), Suite2p's stat.npy, a label image (.tif, or .npy of integers), or
    masks that `rig align` moved from another day (.npz).

    Args:
        path: The file.
        areas: A file with one area id for each entry of `path`, or for each cell that is used.
        use_iscell: Use only the cells that Suite2p's iscell.npy, in the folder of `path`, accepts.

    Raises:
        Refused: A file cannot be used.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        cells = read_npy(path, use_iscell)
    elif suffix in (".tif", ".tiff"):
        cells = read_tiff(path)
    elif suffix == ".npz":
        cells = read_masks(path)
    else:
        cells = read_disc_table(path)
    if areas is None:
        return cells
    ids = read_areas(areas, len(cells), cells.file_rows or len(cells))
    atlas = read_atlas(areas, ids.size)
    if ids.size != len(cells) and cells.rows is not None:
        ids = ids[cells.rows]
        atlas = None if atlas is None else atlas[cells.rows]
    return replace(cells, area=ids, atlas=atlas)
