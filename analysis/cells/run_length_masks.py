"""Encode the masks of detected cells as runs of pixels along rows, to fit in a message."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from analysis.cells.model import Cells, make_cells

Runs = NDArray[np.int64]


def encode_runs(labels: NDArray[np.int32]) -> Runs:
    """Return the runs of a label image, ordered by cell: (runs, 4) as cell (from 0), y, x, length.

    Args:
        labels: (height_px, width_px); cells are numbered from 1, 0 is background.
    """
    padded = np.pad(labels, ((0, 0), (1, 1)))
    changes = padded[:, 1:] != padded[:, :-1]
    y, x = np.nonzero(changes[:, :-1] & (labels > 0))
    _, ends = np.nonzero(changes[:, 1:] & (labels > 0))
    runs = np.stack([labels[y, x] - 1, y, x, ends + 1 - x], axis=1).astype(np.int64)
    return runs[np.argsort(runs[:, 0], kind="stable")]


def decode_runs(runs: Runs) -> Cells:
    """Return the cells of runs; all pixels have weight 1.

    Args:
        runs: (runs, 5) as plane, cell, y, x, length; ordered by plane and cell.
    """
    length = runs[:, 4]
    along = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    pixels = np.stack([np.repeat(runs[:, 2], length), np.repeat(runs[:, 3], length) + along], 1)
    owner = np.repeat(runs[:, :2], length, axis=0)
    begins = np.flatnonzero(np.any(np.diff(owner, axis=0, prepend=-1) != 0, axis=1))
    parts = np.split(pixels, begins[1:])
    names = [f"{plane}.{cell}" for plane, cell in owner[begins]]
    cells = make_cells(names, parts, [np.ones(len(part)) for part in parts])
    return replace(cells, plane=owner[begins, 0].astype(np.int16), has_planes=True)


def label_image(cells: Cells, planes: int, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Return the label image of cells, numbered from 1 in each depth: (planes, height, width)."""
    labels = np.zeros((planes, *shape), np.int32)
    each = cells.cell_of_pixel()
    within = np.arange(len(cells)) - np.searchsorted(cells.plane, cells.plane)
    labels[cells.plane[each], cells.y, cells.x] = within[each] + 1
    return labels
