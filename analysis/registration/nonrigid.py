"""Motion within a strip, measured in blocks and interpolated to each cell."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.registration.phase_correlation import Correlator, Spectrum
from analysis.registration.rigid import MotionSettings

_BLOCK_REACH_PX = 6
"""Largest shift of a block relative to its strip, px."""


class Nonrigid:
    """Nonrigid registration: how far each cell has moved in addition to the shift of its strip.

    The strip is covered with blocks; each block is located in the reference, and the shifts of the
    blocks are interpolated between their centres. Pages are not warped: the masks of the cells are
    moved instead.
    """

    def __init__(
        self, shape: tuple[int, int], settings: MotionSettings, centres: NDArray[np.float64]
    ) -> None:
        """Prepare for strips of shape (height_px, width_px); centres are y, x of the cells."""
        side = min(settings.block_px, *shape)
        self._tops, self._lefts = (_block_starts(size, side) for size in shape)
        self._side, self._centres = side, centres
        self._correlator = Correlator((side, side), _BLOCK_REACH_PX)
        self._references: list[Spectrum] = []
        self._sum = np.zeros(shape, np.float64)
        self._count = 0

    @property
    def has_reference(self) -> bool:
        """True once shifts can be measured."""
        return bool(self._references)

    def build_reference(self, page: NDArray[Any], shift: tuple[int, int], building: bool) -> None:
        """Add a page to the reference; the reference is used once `building` is False."""
        self._sum += np.roll(page, (-shift[0], -shift[1]), (0, 1))
        self._count += 1
        if not building:
            self.set_reference(self._sum / self._count)

    def set_reference(self, mean: NDArray[Any]) -> None:
        """Use a mean page, (height_px, width_px), as the reference."""
        windows = [self._correlator.window(block) for block in self._blocks(mean, (0, 0))]
        self._references = [self._correlator.reference(window) for window in windows]

    def locate(self, page: NDArray[Any], shift: tuple[int, int]) -> NDArray[np.float64]:
        """Return how far each cell has moved down and right beyond shift, px: (cells, 2)."""
        moved = np.zeros((len(self._references), 2))
        correlation = np.zeros(len(self._references))
        for number, block in enumerate(self._blocks(page, shift)):
            spectrum = self._correlator.spectrum(self._correlator.window(block))
            found = self._correlator.locate(spectrum, self._references[number])
            moved[number], correlation[number] = found[:2], found.correlation
        return self._at_cells(_smooth(moved, correlation, (self._tops.size, self._lefts.size)))

    def _blocks(self, page: NDArray[Any], shift: tuple[int, int]) -> list[NDArray[Any]]:
        """Return the blocks of a page that has moved by shift, row by row."""
        height, width = page.shape
        side = self._side
        blocks = []
        for top in np.clip(self._tops + shift[0], 0, height - side):
            for left in np.clip(self._lefts + shift[1], 0, width - side):
                blocks.append(np.ascontiguousarray(page[top : top + side, left : left + side]))
        return blocks

    def _at_cells(self, grid: NDArray[np.float64]) -> NDArray[np.float64]:
        """Interpolate the blocks' shifts, (rows, columns, 2), bilinearly to the cells."""
        middles = [
            np.asarray(begin + self._side / 2, np.float64) for begin in (self._tops, self._lefts)
        ]
        y0, y1, fy = _neighbours(middles[0], self._centres[:, 0])
        x0, x1, fx = _neighbours(middles[1], self._centres[:, 1])
        upper = grid[y0, x0] * (1 - fx) + grid[y0, x1] * fx
        lower = grid[y1, x0] * (1 - fx) + grid[y1, x1] * fx
        return np.asarray(upper * (1 - fy) + lower * fy)


def _block_starts(size: int, side: int) -> NDArray[np.int64]:
    """Return the first pixels of blocks of length `side` that cover `size` evenly: (blocks,)."""
    count = max(1, round(size / side))
    return np.linspace(0, size - side, count).round().astype(np.int64)


def _smooth(
    moved: NDArray[np.float64], correlation: NDArray[np.float64], grid: tuple[int, int]
) -> NDArray[np.float64]:
    """Average each block's shift with its four neighbours', weighted by their correlations.

    The block itself has weight 1, each neighbour 0.25. The result is (rows, columns, 2).
    """
    weight = np.pad(np.maximum(correlation, 1e-6).reshape(grid), 1)
    weighted = np.pad(moved.reshape(*grid, 2), ((1, 1), (1, 1), (0, 0))) * weight[..., None]
    kernel = ((0, 0, 1.0), (0, 1, 0.25), (0, -1, 0.25), (1, 0, 0.25), (-1, 0, 0.25))
    rows, columns = grid
    total, weights = np.zeros((rows, columns, 2)), np.zeros(grid)
    for y, x, share in kernel:
        where = slice(1 + y, 1 + y + rows), slice(1 + x, 1 + x + columns)
        total += share * weighted[where]
        weights += share * weight[where]
    return np.asarray(total / weights[..., None])


def _neighbours(
    middles: NDArray[np.float64], at: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return the blocks before and after each position, and the fraction of the way between."""
    upper = np.clip(np.searchsorted(middles, at), 1, max(1, middles.size - 1))
    lower = upper - 1
    upper = np.minimum(upper, middles.size - 1)
    gap = np.where(upper > lower, middles[upper] - middles[lower], 1.0)
    return lower, upper, np.clip((at - middles[lower]) / gap, 0.0, 1.0)[:, None]
