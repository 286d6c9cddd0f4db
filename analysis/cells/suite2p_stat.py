"""Masks of another day: Suite2p's stat.npy, read without running what a pickle may hold; labels."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.label_image import label_cells
from analysis.cells.model import Cells, gathered
from rig.errors import Refused

_ARRAYS = {
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}
"""All that a pickle may name: what numpy rebuilds arrays and numbers with."""

_MAX_PLANES = 10_000


class _ArraysOnly(pickle.Unpickler):
    """Reads dicts, lists, numbers and arrays; a pickle that names anything else is refused."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in _ARRAYS:
            raise pickle.UnpicklingError(f"it would run {module_name}.{global_name}")
        return super().find_class(module_name, global_name)


def read_npy(path: Path) -> Cells:
    """Read cells from Suite2p's stat.npy, or from a label image: whole numbers, 0 where no cell is.

    Pixels that two of Suite2p's cells share count for neither, as there, unless a cell has no
    others. Raises Refused with one sentence if the file cannot be used.
    """
    try:
        with path.open("rb") as file:
            loaded = _load(file)
    except (OSError, ValueError, EOFError, pickle.UnpicklingError, AttributeError) as error:
        raise Refused(
            f"cells_file {path} cannot be read ({error}); give Suite2p's stat.npy or a label image"
        ) from error
    if loaded.dtype == object:
        return _stat_cells(loaded.reshape(-1), path)
    if loaded.dtype.kind in "iu":
        return label_cells(loaded, path)
    raise Refused(
        f"cells_file {path} holds a {loaded.ndim}-dimensional array of {loaded.dtype}, neither "
        "Suite2p's stat nor a label image of whole numbers; name another file"
    )


def _load(file: IO[bytes]) -> NDArray[Any]:
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else _newer_header
    _, _, dtype = header(file)
    if not dtype.hasobject:
        file.seek(0)
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    return np.asarray(_ArraysOnly(file).load(), object)


def _newer_header(file: IO[bytes]) -> Any:
    return np.lib.format.read_array_header_2_0(file)


def _stat_cells(stat: NDArray[Any], path: Path) -> Cells:
    pixels, weights = [], []
    for number, cell in enumerate(stat):
        where = f"cells_file {path}, cell {number}"
        try:
            y, x, weight = (np.asarray(cell[key]) for key in ("ypix", "xpix", "lam"))
        except (TypeError, KeyError, IndexError) as error:
            raise Refused(
                f"{where} has no ypix, xpix and lam; is it Suite2p's stat.npy?"
            ) from error
        if not y.size or y.shape != x.shape or y.shape != weight.shape or y.ndim != 1:
            raise Refused(f"{where} has {y.size} ypix, {x.size} xpix, {weight.size} lam; remove it")
        if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.sum() > 0):
            raise Refused(f"{where} has weights (lam) that are not positive numbers; remove it")
        alone = ~np.asarray(cell.get("overlap", np.zeros(y.size)), bool)
        if alone.shape != y.shape or not weight[alone].sum() > 0:
            alone = np.ones(y.size, bool)
        pixels.append(np.stack([y[alone], x[alone]], axis=1))
        weights.append(weight[alone])
    if not pixels:
        raise Refused(f"cells_file {path} holds no cell; name another file")
    cells = gathered([str(number) for number in range(len(pixels))], pixels, weights)
    if not all("iplane" in cell for cell in stat):
        return cells
    planes = np.array([_plane(cell["iplane"], path) for cell in stat], np.int16)
    return replace(cells, plane=planes, planes_said=True)


def _plane(iplane: Any, path: Path) -> int:
    if not isinstance(iplane, int | np.integer) or not 0 <= iplane < _MAX_PLANES:
        raise Refused(f"cells_file {path} has iplane = {iplane!r}, no depth from 0 on; mend it")
    return int(iplane)
