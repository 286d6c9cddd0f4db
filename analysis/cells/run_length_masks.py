"""Runs: the pixels of cells as pieces of rows, which is short enough to be said in a word."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from analysis.cells.model import Cells, gathered

Runs = NDArray[np.int64]


def runs_of(labels: NDArray[np.int32]) -> Runs:
    """Return cell (from 0), y, x and length of each run of a label image: (runs, 4), by cell."""
    padded = np.pad(labels, ((0, 0), (1, 1)))
    changes = padded[:, 1:] != padded[:, :-1]
    y, x = np.nonzero(changes[:, :-1] & (labels > 0))
    _, ends = np.nonzero(changes[:, 1:] & (labels > 0))
    runs = np.stack([labels[y, x] - 1, y, x, ends + 1 - x], axis=1).astype(np.int64)
    return runs[np.argsort(runs[:, 0], kind="stable")]


def cells_of(runs: Runs) -> Cells:
    """Return the cells whose runs are plane, cell, y, x and length: (runs, 5), by plane and cell.

    All pixels have one weight.
    """
    length = runs[:, 4]
    along = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    pixels = np.stack([np.repeat(runs[:, 2], length), np.repeat(runs[:, 3], length) + along], 1)
    whose = np.repeat(runs[:, :2], length, axis=0)
    begins = np.flatnonzero(np.any(np.diff(whose, axis=0, prepend=-1) != 0, axis=1))
    parts: Sequence[NDArray[np.int64]] = np.split(pixels, begins[1:])
    names = [f"{plane}.{cell}" for plane, cell in whose[begins]]
    cells = gathered(names, parts, [np.ones(len(part)) for part in parts])
    return replace(cells, plane=whose[begins, 0].astype(np.int16), planes_said=True)


def labels_of(cells: Cells, planes: int, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Return the label image of cells, from 1 on in each depth: (planes, height_px, width_px)."""
    labels = np.zeros((planes, *shape), np.int32)
    each = np.repeat(np.arange(len(cells)), np.diff(cells.first))
    within = np.arange(len(cells)) - np.searchsorted(cells.plane, cells.plane)
    labels[cells.plane[each], cells.y, cells.x] = within[each] + 1
    return labels
