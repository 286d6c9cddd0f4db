"""Compute a page from photons: motion of the brain, bleaching, shot noise, strips and fly-back."""

import numpy as np
from numpy.typing import NDArray

from acquisition.simulation.strip_layout import Floats, StripLayout
from acquisition.simulation.tissue import MARGIN_PX, Tissue

_COUNTS_PER_PHOTON = 60.0
_READ_NOISE_COUNTS = 10.0
"""Standard deviation of the noise without light, counts."""
_INT16_MAX = 32767
BLOCK_PX = (32, 128)
"""Rows and columns of a block that moves as a whole; small enough that no seams are visible."""


class Optics:
    """The scan of one depth of a field, page by page, into one array that is reused."""

    def __init__(self, layout: StripLayout) -> None:
        self._layout = layout
        self.rng = np.random.Generator(np.random.SFC64(0))
        """Random generator of the noise."""
        strip = layout.height_px + 2 * MARGIN_PX, layout.width_px + 2 * MARGIN_PX
        self._canvas = np.empty(strip, np.float32)
        self._photons = np.empty((layout.height_px, layout.width_px), np.float32)
        self._noise = np.empty_like(self._photons)
        self._page = np.zeros(layout.page_shape, np.int16)
        self.blocks = _blocks(layout)

    @property
    def centres(self) -> tuple[Floats, Floats]:
        """The field coordinates of the centre of every block."""
        y = [(top + bottom - 1) / 2 for _, top, bottom, _, _ in self.blocks]
        slots, width = self._layout.slots, self._layout.width_px
        x = [slots[roi] * width + (left + right - 1) / 2 for roi, _, _, left, right in self.blocks]
        return np.array(y), np.array(x)

    def page(
        self, tissue: Tissue, calcium: Floats, neuropil: Floats, gain: float, moved_px: Floats
    ) -> NDArray[np.int16]:
        """Return the next page, valid until the one after it.

        Args:
            tissue: The scanned depth.
            calcium: dF/F of each cell: (cells,).
            neuropil: Brightness of the neuropil relative to rest: (columns of the field,).
            gain: Factor on all light.
            moved_px: Motion of the tissue of each block, down and right: (blocks, 2).
        """
        level = np.append(1.0 + calcium, 0.0).astype(np.float32) * np.float32(gain)
        haze = (gain * (1.0 + neuropil)).astype(np.float32)
        for roi in range(self._layout.rois):
            self._strip(roi, tissue, level, haze, moved_px)
        return self._page

    def _strip(
        self,
        roi: int,
        tissue: Tissue,
        level: NDArray[np.float32],
        haze: NDArray[np.float32],
        moved_px: Floats,
    ) -> None:
        layout, canvas = self._layout, self._canvas
        left = layout.slots[roi] * layout.width_px
        columns = slice(left, left + canvas.shape[1])
        np.take(level, tissue.label[:, columns], out=canvas, mode="clip")
        canvas *= tissue.glow[:, columns]
        canvas += tissue.dark[:, columns] * haze[columns]
        for block, moved in zip(self.blocks, moved_px, strict=True):
            if block[0] == roi:
                _crop(canvas, block, moved, self._photons)
        counts = _detected(self._photons, self._noise, self.rng)
        top = layout.top(roi)
        np.copyto(self._page[top : top + layout.height_px], counts, casting="unsafe")
        if layout.fly_rows and roi:
            flight = self._page[top - layout.fly_rows : top]
            flight[:] = self.rng.normal(0.0, _READ_NOISE_COUNTS, flight.shape)


def _detected(
    photons: NDArray[np.float32], noise: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return counts for expected photons, in place.

    (sqrt(p) + z/2)^2 - 1/4 has the mean of the Poisson distribution, its variance up to 1/8
    photon, and much of its skew, but needs a quarter of the time.
    """
    rng.standard_normal(out=noise, dtype=np.float32)
    np.sqrt(photons, out=photons)
    noise *= 0.5
    photons += noise
    np.square(photons, out=photons)
    photons -= 0.25
    photons *= _COUNTS_PER_PHOTON
    noise *= 2.0 * _READ_NOISE_COUNTS
    photons += noise[::-1, ::-1]
    np.rint(photons, out=photons)
    return np.clip(photons, -_INT16_MAX, _INT16_MAX, out=photons)


def _crop(
    canvas: NDArray[np.float32],
    block: tuple[int, int, int, int, int],
    moved_px: Floats,
    photons: NDArray[np.float32],
) -> None:
    """Copy a block from the current position of its tissue, interpolated linearly."""
    _, top, bottom, left, right = block
    y, x = MARGIN_PX + top - moved_px[0], MARGIN_PX + left - moved_px[1]
    row, column = int(np.floor(y)), int(np.floor(x))
    fy, fx = np.float32(y - row), np.float32(x - column)
    height, width = bottom - top, right - left
    piece = canvas[row : row + height + 1, column : column + width + 1]
    rows = piece[:-1] + fy * (piece[1:] - piece[:-1])
    np.add(rows[:, :-1], fx * (rows[:, 1:] - rows[:, :-1]), out=photons[top:bottom, left:right])


def _blocks(layout: StripLayout) -> tuple[tuple[int, int, int, int, int], ...]:
    """Return (roi, top, bottom, left, right) of every block, in rows and columns of its strip."""
    height, width = layout.height_px, layout.width_px
    return tuple(
        (roi, top, min(top + BLOCK_PX[0], height), left, min(left + BLOCK_PX[1], width))
        for roi in range(layout.rois)
        for top in range(0, height, BLOCK_PX[0])
        for left in range(0, width, BLOCK_PX[1])
    )
