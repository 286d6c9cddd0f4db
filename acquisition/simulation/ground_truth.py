"""What a simulated recording really shows, kept beside its TIFF: cells, spikes and motion.

A folder NAME_truth holds cells.csv (as `read_cells` reads it), blocks.csv (the middle of each piece
of tissue that moves as one), and one row a frame in spikes.u1 (uint8, frames x cells: spikes since
the cell was last scanned), in motion.f4 (float32, frames x blocks x 2: pixels moved down and right)
and in frames.csv (the microscope's number of the frame, its beginning in ns of the session clock,
its depth, and the light that bleaching has left).
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.simulation.strip_layout import Floats

_FRAMES = "number,t_ns,plane,light\n"


class TruthWriter:
    """Keeps the truth of one file, row by row: what is in the file is in here, whatever happens."""

    def __init__(self, tiff: Path, cells: str, blocks: tuple[Floats, Floats]) -> None:
        """Begin; cells is the text of the table, blocks are y and x in page pixels."""
        folder = truth_folder(tiff)
        folder.mkdir()
        (folder / "cells.csv").write_text(cells, encoding="utf-8")
        rows = "".join(f"{y:.1f},{x:.1f}\n" for y, x in zip(*blocks, strict=True))
        (folder / "blocks.csv").write_text("y_px,x_px\n" + rows, encoding="utf-8")
        self._spikes = (folder / "spikes.u1").open("wb", buffering=0)
        self._motion = (folder / "motion.f4").open("wb", buffering=0)
        self._frames = (folder / "frames.csv").open("w", buffering=1, encoding="utf-8")
        self._frames.write(_FRAMES)

    def append(
        self, number: int, t: int, plane: int, light: float, spikes: Floats, moved_px: Floats
    ) -> None:
        """Keep one frame."""
        self._spikes.write(np.minimum(spikes, 255).astype(np.uint8).tobytes())
        self._motion.write(moved_px.astype("<f4").tobytes())
        self._frames.write(f"{number},{t},{plane},{light:.6f}\n")

    def close(self) -> None:
        """Let the files go."""
        for file in (self._spikes, self._motion, self._frames):
            file.close()


@dataclass(frozen=True)
class GroundTruth:
    """The truth of one file, one row a frame."""

    number: NDArray[np.int64]
    t_ns: NDArray[np.int64]
    plane: NDArray[np.int64]
    light: Floats
    spikes: NDArray[np.uint8]
    """frames x cells"""
    moved_px: NDArray[np.float32]
    """frames x blocks x (down, right)"""
    blocks_px: Floats
    """blocks x (y, x)"""


def truth_folder(tiff: Path) -> Path:
    """Return where the truth of a TIFF lies."""
    return tiff.with_name(tiff.stem + "_truth")


def read_truth(tiff: Path) -> GroundTruth:
    """Read back what a simulated TIFF really shows. Raises OSError if it is not there."""
    folder = truth_folder(tiff)
    with (folder / "frames.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    blocks = np.loadtxt(folder / "blocks.csv", delimiter=",", skiprows=1, ndmin=2)
    count = len(rows)
    spikes = np.fromfile(folder / "spikes.u1", np.uint8)
    moved = np.fromfile(folder / "motion.f4", "<f4")
    number, t_ns, plane = (np.array([int(row[i]) for row in rows], np.int64) for i in range(3))
    return GroundTruth(
        number,
        t_ns,
        plane,
        np.array([float(row[3]) for row in rows]),
        spikes.reshape(count, -1) if count else spikes.reshape(0, 0),
        moved.reshape(count, len(blocks), 2),
        blocks,
    )
