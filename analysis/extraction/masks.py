"""The weighted mean of each cell's pixels in a page, and the mean of the neuropil around it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.model import Cells
from analysis.jit import compiled

Floats = NDArray[np.float32]
Shift = tuple[int, int]


class Masks:
    """The masks of all cells, moved with the brain, for the weighted mean of each cell in a page.

    The pixels of a cell are stored as runs of eight along a row, with weight 0 for pixels that are
    not the cell's:

        cell        . . # # # . . .        run of row 0:  0 0 w w w 0 0 0
                    . # # # # # . .        run of row 1:  0 w w w w w 0 0

    One index then addresses eight pixels, and eight sums are accumulated at once, which the
    compiler turns into vector instructions; with a single sum, each addition would wait for the
    previous one. Cells are processed in the order of their rows, so that the page is read almost
    sequentially.
    """

    def __init__(self, cells: Cells, shape: tuple[int, int]) -> None:
        """Prepare for pages of shape (height_px, width_px). Raises Refused if a cell is outside."""
        cells.check(shape)
        self.shape = shape
        place = np.argsort(cells.centres()[:, 0], kind="stable")
        rank = np.argsort(place)[np.repeat(np.arange(len(cells)), np.diff(cells.first))]
        order = np.lexsort((cells.x, cells.y, rank))
        rank, y, x = rank[order], cells.y[order], cells.x[order].astype(np.int64)
        begins = _run_begins(rank, y, x)
        run = np.cumsum(begins) - 1
        at = np.flatnonzero(begins)
        left = np.clip(x[at], 0, max(0, shape[1] - _RUN_PX))
        self._at = (y[at].astype(np.int64) * shape[1] + left).astype(np.uint64)
        self._weight = np.zeros((at.size, _RUN_PX), np.float32)
        self._weight[run, x - left[run]] = cells.weight[order]
        box = cells.boxes()[place]
        box[:, 1] = np.minimum.reduceat(left, np.flatnonzero(_first_of(rank[at])))
        box[:, 3] = np.maximum.reduceat(left, np.flatnonzero(_first_of(rank[at]))) + _RUN_PX
        self._box = box.astype(np.int32)
        counts = np.bincount(rank[at], minlength=len(cells))
        self._first = np.concatenate(([0], np.cumsum(counts))).astype(np.uint32)
        self._to = place.astype(np.uint32)
        totals = np.add.reduceat(cells.weight.astype(np.float64), cells.first[:-1])
        self._total = totals[place]

    def means(self, page: NDArray[Any], shifts: NDArray[np.int32]) -> Floats:
        """Return the weighted mean of each cell, summed in float64: (cells,).

        Args:
            page: (height_px, width_px)
            shifts: How far each cell has moved down and right, px: (cells, 2). Pixels outside the
                page take the value of its nearest pixel.
        """
        means = np.empty(self._to.size, np.float32)
        runs = (self._at, self._weight, self._first, self._box)
        _means(page, *runs, self._to, self._total, shifts, means)
        return means


_RUN_PX = 8
"""Pixels in a run."""


def _run_begins(cell: NDArray[Any], y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.bool_]:
    """Return True for pixels, in order, that are the first of a run of at most eight."""
    begins = np.ones(cell.size, bool)
    begins[1:] = (np.diff(cell) != 0) | (np.diff(y) != 0) | (np.diff(x) != 1)
    run_began = np.maximum.accumulate(np.where(begins, np.arange(cell.size), 0))
    return np.asarray((np.arange(cell.size) - run_began) % _RUN_PX == 0)


def _first_of(cell: NDArray[Any]) -> NDArray[np.bool_]:
    """Return True for runs, in order, that are the first of a cell."""
    return np.concatenate(([True], np.diff(cell) != 0))


@compiled
def _means(
    page: NDArray[Any],
    at: NDArray[np.uint64],
    weight: Floats,
    first: NDArray[np.uint32],
    box: NDArray[np.int32],
    to: NDArray[np.uint32],
    total: NDArray[np.float64],
    shifts: NDArray[np.int32],
    means: Floats,
) -> None:
    height, width = page.shape
    flat = page.reshape(-1)
    sums = np.zeros(_RUN_PX)  # one sum per pixel of a run, so that they fit in vector registers
    for c in range(to.size):
        down, right = np.int64(shifts[to[c], 0]), np.int64(shifts[to[c], 1])
        # Cells at the edge of the page are read pixel by pixel, the others run by run.
        sums[:] = 0.0
        above, beside = box[c, 0] + down < 0, box[c, 1] + right < 0
        if above or beside or box[c, 2] + down > height or box[c, 3] + right > width:
            for run in range(first[c], first[c + 1]):
                place = np.int64(at[run])
                row = min(max(place // width + down, 0), height - 1)
                for j in range(_RUN_PX):
                    column = min(max(place % width + right + j, 0), width - 1)
                    sums[0] += np.float64(page[row, column]) * weight[run, j]
        else:
            # The offset is unsigned: a negative shift wraps around, and adding it wraps back.
            offset = np.uint64(down * width + right)
            for run in range(first[c], first[c + 1]):
                begin = at[run] + offset
                pixels = flat[begin : begin + np.uint64(_RUN_PX)]
                share = weight[run]
                for j in range(_RUN_PX):
                    sums[j] += np.float64(pixels[j]) * share[j]
        low = (sums[0] + sums[1]) + (sums[2] + sums[3])
        high = (sums[4] + sums[5]) + (sums[6] + sums[7])
        means[to[c]] = (low + high) / total[c]


class Neuropil:
    """Rings around the cells, of pixels that belong to no cell, and their mean brightness.

    The page is divided into tiles of 4 x 4 px. A ring is the difference of two boxes of tiles: the
    inner box contains the bounding box of the cell and a margin; the outer box is widened until
    there are enough pixels between the two:

        outer  + - - - - - - +
               |   + - - +   |         sum of a box from a summed-area table T of the tiles:
               |   | cell|   |         T[bottom, right] - T[top, right]
               |   + - - +   |           - T[bottom, left] + T[top, left]
               + - - - - - - +

    The table is small enough for the cache of one core. For pages of 16-bit integers it is
    computed modulo 2**32, with which the differences are still exact.
    """

    def __init__(
        self, cells: Cells, shape: tuple[int, int], margin_px: int = 2, pixels: int = 350
    ) -> None:
        """Prepare rings.

        Args:
            cells: The cells.
            shape: (height_px, width_px) of the pages.
            margin_px: Smallest distance between cell and ring.
            pixels: Smallest number of pixels of a ring, if the page has them.
        """
        self._free = np.ones(shape, np.uint8)
        self._free[cells.y, cells.x] = 0
        self._tiles = (-(-shape[0] // _TILE_PX), -(-shape[1] // _TILE_PX))
        counts = self._counts()
        inner = cells.boxes() + np.array([-margin_px, -margin_px, margin_px, margin_px])
        inner[:, 2:] += _TILE_PX - 1
        inner = np.clip(inner // _TILE_PX, 0, [*self._tiles, *self._tiles])
        outer = inner.copy()
        for _ in range(max(self._tiles)):
            short = _box_sums(counts, outer) - _box_sums(counts, inner) < pixels
            if not short.any():
                break
            wider = outer[short] + np.array([-1, -1, 1, 1])
            outer[short] = np.clip(wider, 0, [*self._tiles, *self._tiles])
        self._inner, self._outer = inner.astype(np.uint32), outer.astype(np.uint32)
        free = _box_sums(counts, outer) - _box_sums(counts, inner)
        self._per_pixel = 1.0 / np.maximum(free, 1)
        self._order = np.argsort(inner[:, 0], kind="stable").astype(np.uint32)
        self._tables: dict[bool, tuple[NDArray[Any], NDArray[Any]]] = {}

    def _counts(self) -> NDArray[np.int64]:
        """Return the number of free pixels above and left of each corner of the tiles."""
        down, right = self._tiles
        padded = np.zeros((down * _TILE_PX, right * _TILE_PX), np.int64)
        padded[: self._free.shape[0], : self._free.shape[1]] = self._free
        tiles = padded.reshape(down, _TILE_PX, right, _TILE_PX).sum(axis=(1, 3))
        counts = np.zeros((down + 1, right + 1), np.int64)
        counts[1:, 1:] = tiles.cumsum(axis=0).cumsum(axis=1)
        return counts

    def means(self, page: NDArray[Any], shift: Shift = (0, 0)) -> Floats:
        """Return the mean of each cell's ring, 0 if it has no pixel: (cells,).

        Args:
            page: (height_px, width_px)
            shift: How far the page has moved down and right, px.
        """
        whole = page.dtype.kind in "iu" and page.dtype.itemsize <= 2
        if whole not in self._tables:
            held: Any = np.uint32 if whole else np.float64
            down, right = self._tiles
            columns = np.zeros(right * _TILE_PX, held)
            self._tables[whole] = np.zeros((down + 1, right + 1), held), columns
        table, columns = self._tables[whole]
        _sum_tiles(page, self._free, shift, columns, table)
        means = np.empty(self._per_pixel.size, np.float32)
        modulus = 2.0**32 if whole else 0.0
        _ring_means(table, self._outer, self._inner, self._per_pixel, self._order, modulus, means)
        return means


_TILE_PX = 4
"""Side of a tile of the neuropil's summed-area table, pixels."""


def _box_sums(table: NDArray[Any], boxes: NDArray[Any]) -> NDArray[Any]:
    top, left, bottom, right = boxes.T
    return np.asarray(
        table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
    )


@compiled
def _sum_tiles(
    page: NDArray[Any],
    free: NDArray[np.uint8],
    shift: Shift,
    columns: NDArray[Any],
    table: NDArray[Any],
) -> None:
    """Fill table[i, j] with the sum of the free pixels in the tiles above i and left of j."""
    height, width = page.shape
    first, last = min(max(-shift[1], 0), width), max(min(width - shift[1], width), 0)
    for tile in range(table.shape[0] - 1):
        columns[:] = 0
        for y in range(_TILE_PX * tile, min(_TILE_PX * (tile + 1), height)):
            row = min(max(y + shift[0], 0), height - 1)
            for x in range(first):
                columns[x] += page[row, 0] * free[y, x]
            inside, share = page[row, first + shift[1] : last + shift[1]], free[y, first:last]
            sums = columns[first:last]
            for x in range(inside.size):
                sums[x] += inside[x] * share[x]
            for x in range(max(first, last), width):
                columns[x] += page[row, width - 1] * free[y, x]
        above, along = table[tile], table[tile + 1]
        left = table[0, 0]  # always 0; this gives it the type of the table
        for j in range(along.size - 1):
            for x in range(_TILE_PX * j, _TILE_PX * (j + 1)):
                left += columns[x]
            along[j + 1] = above[j + 1] + left


@compiled
def _ring_means(
    table: NDArray[Any],
    outer: NDArray[np.uint32],
    inner: NDArray[np.uint32],
    per_pixel: NDArray[np.float64],
    order: NDArray[np.uint32],
    modulus: float,
    means: Floats,
) -> None:
    """Set means to the mean between each cell's two boxes, in the order of the page's rows.

    modulus is the number at which the table wraps to 0; 0.0 if it does not.
    """
    for c in order:
        top, left, bottom, right = outer[c, 0], outer[c, 1], outer[c, 2], outer[c, 3]
        ring = np.float64(table[bottom, right]) - np.float64(table[top, right])
        ring += np.float64(table[top, left]) - np.float64(table[bottom, left])
        top, left, bottom, right = inner[c, 0], inner[c, 1], inner[c, 2], inner[c, 3]
        ring -= np.float64(table[bottom, right]) - np.float64(table[top, right])
        ring -= np.float64(table[top, left]) - np.float64(table[bottom, left])
        if modulus > 0.0:
            ring -= modulus * np.floor(ring / modulus + 0.5)
        means[c] = ring * per_pixel[c]
