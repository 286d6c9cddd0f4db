"""A damaged file of cells, areas or references is refused in a sentence, never with a traceback."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from analysis.cells.areas import read_areas
from analysis.cells.read_cells import read_cells
from analysis.registration.reference_images import read_reference_images
from analysis.registration.rigid import MotionSettings
from rig.errors import Refused
from tests.analysis.cells.test_stat_file import cell, stat

DAMAGED = int(os.environ.get("DAMAGED_FILES", "60"))
"""Damaged copies of each file; set it to 1000 for a thorough run."""


def write_stat(path: Path) -> None:
    np.save(path, stat(*(cell([n, n + 1], [4, 5], iplane=0) for n in range(4))), allow_pickle=True)


def write_labels(path: Path) -> None:
    labels = np.zeros((2, 12, 14), np.uint16)
    labels[:, 2:4, 3:6] = 7
    if path.suffix == ".tif":
        tifffile.imwrite(path, labels, photometric="minisblack", compression="zlib")
    else:
        np.save(path, labels)


def write_table(path: Path) -> None:
    path.write_text("cell,y_px,x_px,radius_px,area,plane\n0,5,6,2.5,8,0\n1,9,9,2,3,1\n")


FILES: dict[str, tuple[Callable[[Path], None], Callable[[Path], Any]]] = {
    "stat.npy": (write_stat, read_cells),
    "labels.npy": (write_labels, read_cells),
    "labels.tif": (write_labels, read_cells),
    "cells.csv": (write_table, read_cells),
    "areas.npy": (lambda p: np.save(p, np.array([8, 3, -1])), lambda p: read_areas(p, 3)),
    "trans.npz": (lambda p: np.savez(p, iarea=np.array([8, 3, -1])), lambda p: read_areas(p, 3)),
    "mean.npy": (
        lambda p: np.save(p, np.ones((2, 6, 5), np.float32)),
        lambda p: read_reference_images(MotionSettings(reference_file=str(p))),
    ),
    "stack.npz": (
        lambda p: np.savez(p, stack=np.ones((3, 4, 4)), z_um=np.arange(3.0)),
        lambda p: read_reference_images(MotionSettings(stack_file=str(p))),
    ),
}


def test_a_loop_of_pages_in_a_tiff_is_refused(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels.tif")
    with tifffile.TiffFile(tmp_path / "labels.tif") as file:
        first, last = file.pages[0].offset, file.pages[1].offset
        entries = len(file.pages[1].aspage().tags)
    data = bytearray((tmp_path / "labels.tif").read_bytes())
    at = last + 2 + 12 * entries
    data[at : at + 4] = first.to_bytes(4, "little")
    (tmp_path / "labels.tif").write_bytes(bytes(data))
    with pytest.raises(Refused, match="its pages form a loop"):
        read_cells(tmp_path / "labels.tif")


def damage(rng: np.random.Generator, whole: bytes) -> bytes:
    """Cut a file short, or change, insert, remove or repeat some of its bytes."""
    data = bytearray(whole)
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(len(data))) if data else 0
        match int(rng.integers(5)):
            case 0:
                del data[at:]
            case 1:
                data[at : at + 1] = bytes([int(rng.integers(256))])
            case 2:
                data[at:at] = rng.bytes(int(rng.integers(1, 9)))
            case 3:
                del data[at : at + int(rng.integers(1, 30))]
            case 4:
                data[at:at] = data[at : at + int(rng.integers(1, 60))]
    return bytes(data)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    write, read = FILES[name]
    path = tmp_path / name
    write(path)
    whole = path.read_bytes()
    read(path)
    rng = np.random.default_rng(list(FILES).index(name))
    for _ in range(DAMAGED):
        path.write_bytes(damage(rng, whole))
        with contextlib.suppress(Refused):
            read(path)
