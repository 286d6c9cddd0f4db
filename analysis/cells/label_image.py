"""Read cells from label images as Cellpose and ImageJ save them: integers, 0 is background."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.array_files import unreadable
from analysis.cells.model import Cells, make_cells
from rig.errors import Refused

_DEFLATE_RATIO = 1100
"""Highest compression ratio of Deflate, rounded up."""


def read_tiff(path: Path) -> Cells:
    """Read cells from a label image, or from a stack with one page per depth.

    Raises:
        Refused: The file cannot be used.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            _check_pages(file, path.stat().st_size)
            loaded = np.asarray(file.asarray())
    except Exception as error:  # tifffile raises any type of exception for damaged files
        raise Refused(
            f"cells_file {path} cannot be read ({unreadable(error)}); save the label image as a "
            "plain TIFF"
        ) from error
    if not loaded.size:
        raise Refused(f"cells_file {path} cannot be read (it has no page); give another file")
    return label_cells(loaded, path)


def _check_pages(file: Any, file_bytes: int) -> None:
    """Raise ValueError if the pages of a damaged file form a loop, or cannot fit in the file."""
    offsets: set[int] = set()
    size = 0
    for page in file.pages:
        if page.offset in offsets:
            raise ValueError("its pages form a loop")
        offsets.add(page.offset)
        size += int(page.nbytes)
    if size > _DEFLATE_RATIO * file_bytes:
        raise ValueError("its pages are larger than the file")


def label_cells(labels: NDArray[Any], path: Path) -> Cells:
    """Return the cells of a label image, named by their labels.

    Args:
        labels: (height_px, width_px), or (depths, height_px, width_px); the same label in two
            depths is two cells.
        path: The file, for error messages.

    Raises:
        Refused: The array is not a label image.
    """
    if labels.ndim not in (2, 3) or labels.dtype.kind not in "iu":
        raise Refused(
            f"cells_file {path} is a {labels.ndim}-dimensional image of {labels.dtype}, not a "
            "label image of integers with one page per depth; save labels with 16 or 32 bits"
        )
    flat = np.flatnonzero(labels)
    if not flat.size:
        raise Refused(f"cells_file {path} has no labelled pixel; give another file")
    if int(labels.min()) < 0 or int(labels.max()) > np.iinfo(np.int64).max:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise Refused(f"cells_file {path} has the label {wrong}; number the cells from 1")
    values = labels.reshape(-1)[flat].astype(np.int64)
    shape = labels.shape[-2], labels.shape[-1]
    plane, place = np.divmod(flat, shape[0] * shape[1])
    # Sort by depth and label, so that the pixels of each cell are consecutive.
    order = np.lexsort((values, plane))
    plane, values, places = plane[order], values[order], np.divmod(place[order], shape[1])
    begins = np.flatnonzero(np.diff(values, prepend=-1) | np.diff(plane, prepend=-1))
    pixels = np.split(np.stack(places, axis=1), begins[1:])
    names = [str(values[at]) for at in begins]
    if labels.ndim == 3:
        names = [f"{plane[at]}.{name}" for at, name in zip(begins, names, strict=True)]
    cells = make_cells(names, pixels, [np.ones(len(p)) for p in pixels])
    planes = plane[begins].astype(np.int16)
    return replace(cells, plane=planes, has_planes=labels.ndim == 3, drawn_on=shape)
