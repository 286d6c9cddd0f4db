"""Read cells from Suite2p's stat.npy without running any code that its pickle may contain."""

import contextlib
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.array_files import UnreadableFileError, read_array, unreadable
from analysis.cells.label_image import label_cells
from analysis.cells.model import Cells, make_cells
from rig.errors import Refused

_MAX_PLANES = 10_000
_MAX_PX = 1_000_000


def _latin1(text: str, encoding: str) -> bytes:
    """Rebuild bytes as pickle protocol 2 stores them (NumPy up to 1.16)."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes text as {encoding}")
    return text.encode("latin1")


def _array_from_buffer(
    buffer: bytes | bytearray, dtype: np.dtype[Any], shape: tuple[int, ...], order: Any
) -> NDArray[Any]:
    """Rebuild an array as pickle protocol 5 stores it."""
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _allowed() -> dict[tuple[str, str], Any]:
    from numpy._core import multiarray

    found: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _latin1,
    }
    for core in ("core", "_core"):
        found[f"numpy.{core}.multiarray", "_reconstruct"] = multiarray._reconstruct
        found[f"numpy.{core}.multiarray", "scalar"] = multiarray.scalar
        found[f"numpy.{core}.numeric", "_frombuffer"] = _array_from_buffer
    return found


class _ArraysOnly(pickle.Unpickler):
    """Unpickle dicts, lists, numbers, text and arrays; refuse a pickle that names anything else."""

    _globals = _allowed()

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in self._globals:
            raise pickle.UnpicklingError(f"it would run {module_name}.{global_name}")
        return self._globals[module_name, global_name]


def read_npy(path: Path, use_iscell: bool = True) -> Cells:
    """Read cells from Suite2p's stat.npy, or from a label image saved as .npy.

    As in Suite2p, pixels shared by two cells are left out, unless a cell has no others. An entry
    that cannot be used (no pixels, or weights that are not positive numbers) is left out, and
    `left_out` of the result names it. Cells are named by their index in the file.

    Args:
        path: The file.
        use_iscell: Use only the cells that iscell.npy in the same folder accepts, if it exists.

    Raises:
        Refused: The file cannot be used.
    """
    try:
        loaded = _load(path)
    except UnreadableFileError as error:
        raise Refused(
            f"cells_file {path} cannot be read ({error}); give Suite2p's stat.npy or a label image"
        ) from error
    if loaded.dtype == object:
        cells = _stat_cells(loaded.reshape(-1), path)
        return _accepted(cells, path) if use_iscell else cells
    if loaded.dtype.kind in "iu":
        return label_cells(loaded, path)
    raise Refused(
        f"cells_file {path} is a {loaded.ndim}-dimensional array of {loaded.dtype}, neither "
        "Suite2p's stat.npy nor a label image of integers; give another file"
    )


def _load(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                _, _, dtype = np.lib.format.read_array_header_1_0(file)
            else:
                _, _, dtype = np.lib.format.read_array_header_2_0(file)
            if dtype.hasobject:
                return np.asarray(_ArraysOnly(file).load(), object)
    except Exception as error:  # a damaged file makes NumPy and pickle raise any type of exception
        raise unreadable(error) from error
    return read_array(path)


def _stat_cells(stat: NDArray[Any], path: Path) -> Cells:
    pixels, weights, rows, left_out = [], [], [], []
    for number, entry in enumerate(stat):
        where = f"cells_file {path}, cell {number}"
        try:
            own, weight = _pixels(entry)
        except ValueError as error:
            left_out.append(f"{where} {error}; it is left out")
            continue
        pixels.append(own)
        weights.append(weight)
        rows.append(number)
    if not pixels:
        why = f" that can be used ({left_out[0]})" if left_out else ""
        raise Refused(f"cells_file {path} has no cell{why}; give another file")
    cells = make_cells([str(row) for row in rows], pixels, weights)
    kept = np.array(rows, np.int64)
    cells = replace(
        cells, from_suite2p=True, left_out=tuple(left_out), rows=kept, file_rows=len(stat)
    )
    # A cell drawn in Suite2p's window has no iplane: then only the pixels locate the cells.
    planes = np.array([_plane(stat[row].get("iplane", 0), path) for row in rows], np.int16)
    return replace(cells, plane=planes, has_planes=all("iplane" in stat[row] for row in rows))


def _pixels(entry: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the pixels (n, 2) and weights (n,) of an entry. Raises ValueError if unusable."""
    try:
        y, x, weight = (np.asarray(entry[key]) for key in ("ypix", "xpix", "lam"))
        overlap = entry.get("overlap")
    except (TypeError, KeyError, IndexError, ValueError, AttributeError) as error:
        raise ValueError("has no ypix, xpix and lam, as in Suite2p's stat.npy") from error
    if not y.size or y.shape != x.shape or y.shape != weight.shape or y.ndim != 1:
        raise ValueError(f"has {y.size} ypix, {x.size} xpix and {weight.size} lam")
    if any(values.dtype.kind not in "iuf" for values in (y, x, weight)):
        raise ValueError("has pixels or weights that are not numbers")
    yx = np.stack([y, x], axis=1).astype(np.float64)
    whole = np.isfinite(yx).all() and (np.abs(yx) < _MAX_PX).all() and (yx == np.rint(yx)).all()
    if not whole:
        raise ValueError("has pixels (ypix, xpix) that are not whole numbers")
    lam = weight.astype(np.float64)
    if not (np.isfinite(lam).all() and (lam >= 0).all() and lam.sum() > 0):
        raise ValueError("has weights (lam) that are not positive numbers")
    alone = np.ones(y.size, bool)
    with contextlib.suppress(TypeError, ValueError):
        own = ~np.asarray(np.zeros(y.size) if overlap is None else overlap, bool)
        alone = own if own.shape == y.shape and lam[own].sum() > 0 else alone
    return yx[alone].astype(np.int64), lam[alone]


def _plane(iplane: Any, path: Path) -> int:
    """Return the index of the depth, or of the part of the combined view, in an entry's iplane."""
    try:
        number = float(np.asarray(iplane).reshape(()))
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not (0 <= number < _MAX_PLANES and number == int(number)):
        raise Refused(
            f"cells_file {path} has iplane = {iplane!r}; give each cell the index of its plane, "
            "from 0"
        )
    return int(number)


def _accepted(cells: Cells, path: Path) -> Cells:
    """Return the cells that iscell.npy beside the file accepts; all if there is no such file."""
    beside = next((p for name in ("iscell", "ISCELL") if (p := _sibling(path, name))), None)
    if beside is None or cells.rows is None:
        return cells
    try:
        iscell = read_array(beside)
        accepted = np.asarray(iscell, np.float64).reshape(len(iscell), -1)[:, 0] > 0.5
    except (UnreadableFileError, ValueError, TypeError) as error:
        raise Refused(
            f"{beside} cannot be read ({error}); restore it, or set use_iscell = false to take all "
            "cells of stat.npy"
        ) from error
    if accepted.size != cells.file_rows:
        raise Refused(
            f"{beside} has {accepted.size} rows, but {path.name} has {cells.file_rows} cells; give "
            "files of one Suite2p run, or set use_iscell = false"
        )
    kept = np.flatnonzero(accepted[cells.rows])
    if not kept.size:
        raise Refused(
            f"{beside} accepts no cell of {path.name}; set use_iscell = false to take all"
        )
    return cells.subset(kept)


def _sibling(path: Path, stem: str) -> Path | None:
    found = [path.with_name(stem + suffix) for suffix in (".npy", ".NPY")]
    return next((other for other in found if other.is_file()), None)
