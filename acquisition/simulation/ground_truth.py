"""Store the ground truth of a simulated recording beside its TIFF: cells, spikes and motion.

The folder NAME_truth has cells.csv (as `read_cells` reads it), blocks.csv (the centre of each piece
of tissue that moves as one), and a row for each frame in three files: spikes.u1 (uint8, frames x
cells: spikes since the cell was last scanned), motion.f4 (float32, frames x blocks x 2: px moved
down and right), frames.csv (the microscope's frame number, the time the frame began in ns of the
session clock, its depth, and the fraction of light that bleaching has left).
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.simulation.strip_layout import Floats

_FRAMES = "number,t_ns,plane,light\n"


class TruthWriter:
    """A writer of the truth of one file, with one row per saved frame, unbuffered."""

    def __init__(self, tiff: Path, cells: str, blocks: tuple[Floats, Floats]) -> None:
        """Create the folder.

        Args:
            tiff: The TIFF.
            cells: The table of cells, as text.
            blocks: y and x of the centre of each block, in page pixels.
        """
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
        """Write one frame."""
        self._spikes.write(np.minimum(spikes, 255).astype(np.uint8).tobytes())
        self._motion.write(moved_px.astype("<f4").tobytes())
        self._frames.write(f"{number},{t},{plane},{light:.6f}\n")

    def close(self) -> None:
        """Close the files."""
        for file in (self._spikes, self._motion, self._frames):
            file.close()


@dataclass(frozen=True)
class GroundTruth:
    """The truth of one file, one row for each frame."""

    number: NDArray[np.int64]
    t_ns: NDArray[np.int64]
    plane: NDArray[np.int64]
    light: Floats
    spikes: NDArray[np.uint8]
    """Spikes of each cell since it was last scanned: (frames, cells)."""
    moved_px: NDArray[np.float32]
    """Motion of each block, down and right: (frames, blocks, 2)."""
    blocks_px: Floats
    """Centre of each block, y and x: (blocks, 2)."""


def truth_folder(tiff: Path) -> Path:
    """Return the folder with the truth of a TIFF."""
    return tiff.with_name(tiff.stem + "_truth")


def read_truth(tiff: Path) -> GroundTruth:
    """Read the truth of a simulated TIFF. Raises OSError if there is no truth beside it."""
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
