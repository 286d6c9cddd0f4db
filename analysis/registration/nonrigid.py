"""Blocks: motion within a strip, found block by block and followed cell by cell."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.registration.phase_correlation import Correlator, Spectrum
from analysis.registration.rigid import MotionSettings


class Nonrigid:
    """Where each cell has moved to, beyond its strip: the shifts of blocks, between their middles.

    Pages are not warped: each cell is read where it now lies.
    """

    def __init__(
        self, shape: tuple[int, int], settings: MotionSettings, centres: NDArray[np.float64]
    ) -> None:
        """Cover the strip with blocks; centres is where the cells lie, (cells, 2)."""
        side = min(settings.block_px, *shape)
        self._tops, self._lefts = (_starts(size, side) for size in shape)
        self._side, self._centres = side, centres
        self._correlator = Correlator((side, side), _BLOCK_REACH_PX)
        self._references: list[Spectrum] = []
        self._sum = np.zeros(shape, np.float64)
        self._count = 0

    @property
    def learned(self) -> bool:
        """Whether there is a reference."""
        return bool(self._references)

    def watch(self, page: NDArray[Any], shift: tuple[int, int], building: bool) -> None:
        """Take a page into the reference; take that when it is no longer being built."""
        self._sum += np.roll(page, (-shift[0], -shift[1]), (0, 1))
        self._count += 1
        if not building:
            self.learn(self._sum / self._count)

    def learn(self, mean: NDArray[Any]) -> None:
        """Take the reference, (height_px, width_px)."""
        windows = [self._correlator.window(block) for block in self._cut(mean, (0, 0))]
        self._references = [self._correlator.reference(window) for window in windows]

    def locate(self, page: NDArray[Any], shift: tuple[int, int]) -> NDArray[np.float64]:
        """Return how far each cell has moved down and right beyond shift, px: (cells, 2)."""
        moved = np.zeros((len(self._references), 2))
        sure = np.zeros(len(self._references))
        for number, block in enumerate(self._cut(page, shift)):
            spectrum = self._correlator.spectrum(self._correlator.window(block))
            *moved[number], sure[number] = self._correlator.locate(
                spectrum, self._references[number]
            )
        return self._at_cells(_smoothed(moved, sure, (self._tops.size, self._lefts.size)))

    def _cut(self, page: NDArray[Any], shift: tuple[int, int]) -> list[NDArray[Any]]:
        height, width = page.shape
        side = self._side
        blocks = []
        for top in np.clip(self._tops + shift[0], 0, height - side):
            for left in np.clip(self._lefts + shift[1], 0, width - side):
                blocks.append(np.ascontiguousarray(page[top : top + side, left : left + side]))
        return blocks

    def _at_cells(self, grid: NDArray[np.float64]) -> NDArray[np.float64]:
        middles = [
            np.asarray(begin + self._side / 2, np.float64) for begin in (self._tops, self._lefts)
        ]
        y0, y1, fy = _between(middles[0], self._centres[:, 0])
        x0, x1, fx = _between(middles[1], self._centres[:, 1])
        upper = grid[y0, x0] * (1 - fx) + grid[y0, x1] * fx
        lower = grid[y1, x0] * (1 - fx) + grid[y1, x1] * fx
        return np.asarray(upper * (1 - fy) + lower * fy)


_BLOCK_REACH_PX = 6
_SURE = 0.02


def _starts(size: int, side: int) -> NDArray[np.int64]:
    """Return where blocks begin that cover a size evenly."""
    count = max(1, round(size / side))
    return np.linspace(0, size - side, count).round().astype(np.int64)


def _smoothed(
    moved: NDArray[np.float64], sure: NDArray[np.float64], grid: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the blocks' shifts, each with a part of its neighbours', by how sure they are."""
    weight = np.pad(np.maximum(sure, 1e-6).reshape(grid), 1)
    pull = np.pad(moved.reshape(*grid, 2), ((1, 1), (1, 1), (0, 0))) * weight[..., None]
    kernel = ((0, 0, 1.0), (0, 1, 0.25), (0, -1, 0.25), (1, 0, 0.25), (-1, 0, 0.25))
    rows, columns = grid
    total, weights = np.zeros((rows, columns, 2)), np.zeros(grid)
    for y, x, share in kernel:
        where = slice(1 + y, 1 + y + rows), slice(1 + x, 1 + x + columns)
        total += share * pull[where]
        weights += share * weight[where]
    return np.asarray(total / weights[..., None])


def _between(
    middles: NDArray[np.float64], at: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return the two middles round each place, and how far it is on the way between them."""
    upper = np.clip(np.searchsorted(middles, at), 1, max(1, middles.size - 1))
    lower = upper - 1
    upper = np.minimum(upper, middles.size - 1)
    gap = np.where(upper > lower, middles[upper] - middles[lower], 1.0)
    return lower, upper, np.clip((at - middles[lower]) / gap, 0.0, 1.0)[:, None]
