"""Label images: whole numbers, 0 where no cell is, as Cellpose and ImageJ save them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.model import Cells, gathered
from rig.errors import Refused


def read_tiff(path: Path) -> Cells:
    """Read cells from a label image, or from a stack of them: one page for each depth.

    Raises Refused with one sentence if the file cannot be used.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            loaded = np.asarray(file.asarray())
    except (OSError, ValueError, KeyError, IndexError, tifffile.TiffFileError) as error:
        raise Refused(
            f"cells_file {path} cannot be read ({error}); save the label image as a plain TIFF"
        ) from error
    if not loaded.size:
        raise Refused(f"cells_file {path} cannot be read (it has no page); name another file")
    return label_cells(loaded, path)


def label_cells(labels: NDArray[Any], path: Path) -> Cells:
    """Return the cells of a label image, named by their labels.

    labels is (height_px, width_px), or (depths, height_px, width_px): then a label is another cell
    in each depth. Raises Refused with one sentence.
    """
    if labels.ndim not in (2, 3) or labels.dtype.kind not in "iu":
        raise Refused(
            f"cells_file {path} holds a {labels.ndim}-dimensional image of {labels.dtype}, no "
            "label image of whole numbers, one page a depth; save labels as 16 or 32 bits"
        )
    flat = np.flatnonzero(labels)
    if not flat.size:
        raise Refused(f"cells_file {path} labels no pixel; name another file")
    values = labels.reshape(-1)[flat].astype(np.int64)
    if int(values.min()) < 0:
        raise Refused(f"cells_file {path} has the label {values.min()}; number cells from 1 on")
    shape = labels.shape[-2], labels.shape[-1]
    plane, place = np.divmod(flat, shape[0] * shape[1])
    order = np.lexsort((values, plane))
    plane, values, places = plane[order], values[order], np.divmod(place[order], shape[1])
    begins = np.flatnonzero(np.diff(values, prepend=-1) | np.diff(plane, prepend=-1))
    pixels = np.split(np.stack(places, axis=1), begins[1:])
    names = [str(values[at]) for at in begins]
    if labels.ndim == 3:
        names = [f"{plane[at]}.{name}" for at, name in zip(begins, names, strict=True)]
    cells = gathered(names, pixels, [np.ones(len(p)) for p in pixels])
    planes = plane[begins].astype(np.int16)
    return replace(cells, plane=planes, planes_said=labels.ndim == 3, drawn_on=shape)
