"""The masks of all cells in an .npz of plain arrays: what `rig align --save` writes.

names (cells,), first (cells + 1,), y, x and weight (pixels,), area and plane (cells,), shape
(height_px, width_px), origin (the session that the cells are from), and, where it is known, atlas
(cells, 2).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.array_files import UnreadableFileError, read_array
from analysis.cells.model import Cells
from rig.errors import Refused

_MAX_PX = 100_000


def write_masks(path: Path, cells: Cells, shape: tuple[int, int]) -> None:
    """Write the masks of cells on pages of shape (height_px, width_px).

    Raises:
        Refused: The file cannot be written.
    """
    arrays: dict[str, Any] = {
        "names": np.array(cells.names),
        "first": cells.first,
        "y": cells.y,
        "x": cells.x,
        "weight": cells.weight,
        "area": cells.area,
        "plane": cells.plane,
        "shape": np.array(shape),
        "origin": np.array(cells.origin),
    }
    if cells.atlas is not None:
        arrays["atlas"] = cells.atlas
    try:
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)
    except OSError as error:
        raise Refused(f"{path} cannot be written ({error.strerror}); name another file") from error


def read_masks(path: Path) -> Cells:
    """Read the masks that `write_masks` wrote.

    Raises:
        Refused: The file cannot be used.
    """
    try:
        first, y, x, area, plane, shape = (
            read_array(path, name).astype(np.int64)
            for name in ("first", "y", "x", "area", "plane", "shape")
        )
        weight = read_array(path, "weight").astype(np.float32)
        names = tuple(str(name) for name in read_array(path, "names"))
        origin = str(read_array(path, "origin"))
    except (UnreadableFileError, ValueError, TypeError) as error:
        raise Refused(
            f"cells_file {path} cannot be read ({error}); give the .npz that rig align --save wrote"
        ) from error
    wrong = _wrong(first, (y, x), weight, (area, plane), names, shape)
    if wrong:
        raise Refused(f"cells_file {path} {wrong}; write it again with rig align --save")
    return Cells(
        names,
        first,
        y.astype(np.int32),
        x.astype(np.int32),
        weight,
        area.astype(np.int16),
        plane.astype(np.int16),
        has_planes=True,
        drawn_on=(int(shape[0]), int(shape[1])),
        atlas=_atlas(path, len(names)),
        origin=origin,
    )


def _wrong(
    first: NDArray[np.int64],
    yx: tuple[NDArray[np.int64], NDArray[np.int64]],
    weight: NDArray[np.float32],
    of_cells: tuple[NDArray[np.int64], NDArray[np.int64]],
    names: tuple[str, ...],
    shape: NDArray[np.int64],
) -> str:
    """Return what is wrong with the arrays of a file; empty if nothing is."""
    area, plane = of_cells
    sizes = {len(names), len(first) - 1, area.size, plane.size}
    if not names or first.ndim != 1 or len(sizes) > 1 or shape.shape != (2,):
        return "has no cells, or arrays whose numbers of cells differ"
    if first[0] != 0 or (np.diff(first) <= 0).any() or len({int(first[-1]), *map(len, yx)}) > 1:
        return "has arrays whose numbers of pixels differ"
    if weight.shape != yx[0].shape or not (np.isfinite(weight).all() and (weight > 0).all()):
        return "has weights that are not positive numbers"
    if any((values < 0).any() or (values > _MAX_PX).any() for values in yx):
        return "has pixels outside of every page"
    if not np.isin(area, np.arange(-1, 10)).all():
        return "has values other than the area ids -1 to 9"
    return "has depths below 0" if (plane < 0).any() or (plane > _MAX_PX).any() else ""


def _atlas(path: Path, count: int) -> NDArray[np.float64] | None:
    try:
        atlas = read_array(path, "atlas").astype(np.float64)
    except (UnreadableFileError, ValueError, TypeError):
        return None
    return atlas if atlas.shape == (count, 2) else None
