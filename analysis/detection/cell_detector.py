"""Detect cells in a strip by the fluctuations of their brightness.

Each page is registered to the reference and smoothed with a Gaussian of 0.4 cell radii, and the
mean over a square of 5 radii is subtracted: the difference fluctuates where a cell fluctuates. For
each pixel the detector accumulates the product of this difference with the smoothed page one time
bin earlier. Shot noise is independent between bins and adds nothing on average, whereas a calcium
transient lasts for several bins. Beside a cell the difference contains only the subtracted mean,
so its product is not positive there. Each local maximum of the square root of this covariance is
the centre of a cell; its pixels are those around it that reach half of the maximum.
"""

from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analysis.jit import compiled
from analysis.registration.rigid import MotionSettings, Rigid

Image = NDArray[np.float32]
Sums = NDArray[np.float64]

_BIN_S = 0.25
"""Pages are averaged in bins of this many seconds, twice that in a large strip."""
_LARGE_PX = 600_000
"""A strip with more pixels than this counts as large."""
_SLOW_S = 10.0
"""Time constant of the subtracted mean, seconds; slower changes are drift and bleaching."""
_SETTLE_BINS = 10
"""Number of bins that only update the slow mean, before products are accumulated."""
_MIN_AUTOCORRELATION = 0.3
"""Smallest autocorrelation of a cell's fluctuations from one bin to the next."""
_MIN_STANDARD_ERRORS = 4.0
"""The autocorrelation must also exceed this many of its standard errors."""


class FindSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How cells are detected in the first minutes of a session; there are no signals until then."""

    after_s: Annotated[float, msgspec.Meta(ge=10.0, le=3600.0)] = 180.0
    """Seconds of imaging that are searched for cells."""
    radius_px: Annotated[float, msgspec.Meta(ge=1.5, le=30.0)] = 4.0
    """Approximate radius of a cell, px."""
    contrast: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 0.1
    """Smallest standard deviation of a cell's fluctuations, as a fraction of its brightness."""


class CellDetector:
    """The accumulated pages of one strip, in constant memory, from which cells are detected."""

    def __init__(
        self,
        shape: tuple[int, int],
        settings: FindSettings,
        motion: MotionSettings,
        mean: NDArray[Any] | None = None,
    ) -> None:
        """Start without pages.

        Args:
            shape: (height_px, width_px) of the strip.
            settings: How cells are detected.
            motion: How motion is measured.
            mean: The reference for registration, of that shape, if there is one.
        """
        self._settings = settings
        self._rigid = None if motion.method == "none" else Rigid(shape, motion, mean)
        self._page = np.zeros(shape, np.float32)
        self._bin_s = 2 * _BIN_S if shape[0] * shape[1] > _LARGE_PX else _BIN_S
        self._pages, self._began_s = 0, 0.0
        self._bins, self._last_s = 0, 0.0
        self._brightness: Sums = np.zeros(shape)
        self._sums: Sums = np.zeros((3, *shape))
        """Per pixel: difference x smoothed page one bin earlier; difference x difference one bin
        earlier; difference squared."""
        self._slow = np.zeros((2, *shape), np.float32)
        self._before = np.zeros((2, *shape), np.float32)

    def add_page(self, part: NDArray[Any], time_s: float) -> None:
        """Add the strip of a page, (height_px, width_px)."""
        if self._pages and time_s - self._began_s >= self._bin_s:
            self._add_bin(self._page / np.float32(self._pages), self._began_s)
            self._pages = 0
        down, right, found = 0.0, 0.0, True
        if self._rigid is not None:
            down, right, _, found = self._rigid.locate(part, time_s)
        if not found:
            return
        if not self._pages:
            self._page[:], self._began_s = 0.0, time_s
        self._page += np.roll(part, (-round(down), -round(right)), (0, 1))
        self._pages += 1

    def mean(self) -> Image:
        """Return the mean of the registered pages: (height_px, width_px)."""
        return np.asarray(self._brightness / max(1, self._bins), np.float32)

    def find_cells(self) -> NDArray[np.int32]:
        """Return a label image, (height_px, width_px): cells from 1, 0 is background."""
        bins = max(1, self._bins - _SETTLE_BINS - 1)
        covariance, lasting, squares = self._sums
        strength = np.sqrt(np.maximum(covariance / bins, 0.0)).astype(np.float32)
        autocorrelation = np.divide(lasting, squares, out=np.zeros_like(lasting), where=squares > 0)
        radius_px = self._settings.radius_px
        bright = ndimage.gaussian_filter(self.mean(), radius_px / 2, mode="nearest")
        least = max(_MIN_AUTOCORRELATION, _MIN_STANDARD_ERRORS / np.sqrt(bins))
        enough = (autocorrelation >= least) & (bright > 0)
        enough &= strength >= self._settings.contrast * bright
        enough &= _away_from_edge(strength.shape, round(radius_px))
        strongest = ndimage.maximum_filter(strength, footprint=_disc(1.5 * radius_px))
        y, x = np.nonzero(enough & (strength == strongest))
        return _grow(strength, y, x, radius_px)

    def _add_bin(self, page: Image, time_s: float) -> None:
        side_px = 2 * round(2.5 * self._settings.radius_px) + 1
        smooth = ndimage.gaussian_filter(
            page, 0.4 * self._settings.radius_px, mode="nearest", truncate=3.0
        )
        difference = smooth - ndimage.uniform_filter(page, side_px, mode="nearest")
        passed_s = time_s - self._last_s if self._bins else _BIN_S
        share = max(1.0 - np.exp(-passed_s / _SLOW_S), 1.0 / (self._bins + 1))
        self._bins, self._last_s = self._bins + 1, time_s
        self._brightness += page
        counts = self._bins > _SETTLE_BINS + 1
        _accumulate(difference, smooth, float(share), counts, self._slow, self._before, self._sums)


@compiled
def _accumulate(
    difference: Image,
    smooth: Image,
    share: float,
    counts: bool,
    slow: Image,
    before: Image,
    sums: Sums,
) -> None:
    """Subtract and update the slow means, and add the products with the previous bin to sums."""
    for y in range(difference.shape[0]):
        for x in range(difference.shape[1]):
            h, g = difference[y, x] - slow[0, y, x], smooth[y, x] - slow[1, y, x]
            slow[0, y, x] += share * h
            slow[1, y, x] += share * g
            if counts:
                old_h, old_g = np.float64(before[0, y, x]), np.float64(before[1, y, x])
                sums[0, y, x] += 0.5 * (h * old_g + g * old_h)
                sums[1, y, x] += h * old_h
                sums[2, y, x] += np.float64(h) * h
            before[0, y, x], before[1, y, x] = h, g


def _disc(radius_px: float) -> NDArray[np.bool_]:
    reach = int(radius_px)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(np.hypot(y, x) <= radius_px)


def _away_from_edge(shape: tuple[int, ...], edge_px: int) -> NDArray[np.bool_]:
    """Return True for pixels farther than edge_px from the edge: (height_px, width_px).

    Pixels at the edge enter and leave the page with the motion of the brain.
    """
    inner = np.zeros(shape, bool)
    inner[edge_px : shape[0] - edge_px, edge_px : shape[1] - edge_px] = True
    return inner


def _grow(
    strength: Image, y: NDArray[np.intp], x: NDArray[np.intp], radius_px: float
) -> NDArray[np.int32]:
    """Assign pixels to the nearest peak within 1.5 radii of which they have half the strength."""
    labels = np.zeros(strength.shape, np.int32)
    inside = _disc(1.5 * radius_px)
    offsets = np.argwhere(inside) - inside.shape[0] // 2
    for down, right in offsets[np.argsort(np.hypot(*offsets.T), kind="stable")]:
        rows, columns = y + down, x + right
        on_page = (rows >= 0) & (columns >= 0)
        on_page &= (rows < strength.shape[0]) & (columns < strength.shape[1])
        peaks = np.flatnonzero(on_page)
        rows, columns = rows[peaks], columns[peaks]
        own = strength[rows, columns] >= 0.5 * strength[y[peaks], x[peaks]]
        own &= labels[rows, columns] == 0
        labels[rows[own], columns[own]] = peaks[own] + 1
    return labels
