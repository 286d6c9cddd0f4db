"""Finder: the cells of one strip, by what flickers like calcium in its first minutes."""

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
"""Pages that come faster are averaged over so long, and over twice that in a large strip."""
_LARGE_PX = 600_000
_SLOW_S = 10.0
"""What changes more slowly is no calcium: bleaching, drift."""
_SETTLE = 10
"""So many bins pass before anything is counted."""
_LEAST_LASTING = 0.3
"""How much of a cell's flicker must last from one bin to the next; noise does not."""
_LEAST_SURE = 4.0
"""And by how many of its own standard errors, where there are few bins."""


class FindSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How cells are found in what is imaged first; nothing is said of frames before that."""

    after_s: Annotated[float, msgspec.Meta(ge=10.0, le=3600.0)] = 180.0
    """How long they are looked for."""
    radius_px: Annotated[float, msgspec.Meta(ge=1.5, le=30.0)] = 4.0
    """That of a cell, about."""
    contrast: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 0.1
    """How strongly a cell must flicker (standard deviation), of its brightness."""


class CellDetector:
    """Takes in the pages of a strip in constant memory, and then says where its cells are.

    A page, put where the reference is, is smoothed (a Gaussian of 0.4 radii), and the mean of a
    square of 5 radii is taken off: what is left flickers where a cell does. Of each pixel it keeps
    how that goes with the smoothed page of a moment before. Shot noise has no memory, and adds
    nothing; nor do pixels beside a cell, which only lose what the square takes off. A cell is the
    pixel where this is at its local most, and those round it that have half of it.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        settings: FindSettings,
        motion: MotionSettings,
        mean: NDArray[Any] | None = None,
    ) -> None:
        """Begin; mean is the reference (height_px, width_px), if there is one."""
        self._settings = settings
        self._rigid = None if motion.method == "none" else Rigid(shape, motion, mean)
        self._page = np.zeros(shape, np.float32)
        self._bin_s = 2 * _BIN_S if shape[0] * shape[1] > _LARGE_PX else _BIN_S
        self._pages, self._began_s = 0, 0.0
        self._bins, self._last_s = 0, 0.0
        self._bright: Sums = np.zeros(shape)
        self._sums: Sums = np.zeros((3, *shape))
        """Of each pixel: flicker by the smoothed before it; by the flicker before it; squared."""
        self._slow = np.zeros((2, *shape), np.float32)
        self._before = np.zeros((2, *shape), np.float32)

    def add(self, part: NDArray[Any], time_s: float) -> None:
        """Take in the strip of a page, (height_px, width_px)."""
        if self._pages and time_s - self._began_s >= self._bin_s:
            self._count(self._page / np.float32(self._pages), self._began_s)
            self._pages = 0
        if not self._pages:
            self._page[:], self._began_s = 0.0, time_s
        down, right = 0.0, 0.0
        if self._rigid is not None:
            down, right, _ = self._rigid.locate(part, time_s)
        self._page += np.roll(part, (-round(down), -round(right)), (0, 1))
        self._pages += 1

    def mean(self) -> Image:
        """Return the mean of the pages, each put where the reference is: (height_px, width_px)."""
        return np.asarray(self._bright / max(1, self._bins), np.float32)

    def found(self) -> NDArray[np.int32]:
        """Return a label image, (height_px, width_px): cells from 1 on, 0 where none is."""
        counted = max(1, self._bins - _SETTLE - 1)
        together, lasting, squares = self._sums
        strength = np.sqrt(np.maximum(together / counted, 0.0)).astype(np.float32)
        kept = np.divide(lasting, squares, out=np.zeros_like(lasting), where=squares > 0)
        radius_px = self._settings.radius_px
        bright = ndimage.gaussian_filter(self.mean(), radius_px / 2, mode="nearest")
        enough = (kept >= max(_LEAST_LASTING, _LEAST_SURE / np.sqrt(counted))) & (bright > 0)
        enough &= strength >= self._settings.contrast * bright
        enough &= _inner(strength.shape, round(radius_px))
        strongest = ndimage.maximum_filter(strength, footprint=_disc(1.5 * radius_px))
        y, x = np.nonzero(enough & (strength == strongest))
        return _grown(strength, y, x, radius_px)

    def _count(self, page: Image, time_s: float) -> None:
        side_px = 2 * round(2.5 * self._settings.radius_px) + 1
        smooth = ndimage.gaussian_filter(
            page, 0.4 * self._settings.radius_px, mode="nearest", truncate=3.0
        )
        here = smooth - ndimage.uniform_filter(page, side_px, mode="nearest")
        passed_s = time_s - self._last_s if self._bins else _BIN_S
        share = max(1.0 - np.exp(-passed_s / _SLOW_S), 1.0 / (self._bins + 1))
        self._bins, self._last_s = self._bins + 1, time_s
        self._bright += page
        counts = self._bins > _SETTLE + 1
        _follow(here, smooth, float(share), counts, self._slow, self._before, self._sums)


@compiled
def _follow(
    here: Image,
    smooth: Image,
    share: float,
    counts: bool,
    slow: Image,
    before: Image,
    sums: Sums,
) -> None:
    """Take off what is slow, and add how what is left goes with what was left before."""
    for y in range(here.shape[0]):
        for x in range(here.shape[1]):
            h, g = here[y, x] - slow[0, y, x], smooth[y, x] - slow[1, y, x]
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


def _inner(shape: tuple[int, ...], rim_px: int) -> NDArray[np.bool_]:
    """Return where a page is not its rim, which comes and goes as the brain moves."""
    inner = np.zeros(shape, bool)
    inner[rim_px : shape[0] - rim_px, rim_px : shape[1] - rim_px] = True
    return inner


def _grown(
    strength: Image, y: NDArray[np.intp], x: NDArray[np.intp], radius_px: float
) -> NDArray[np.int32]:
    """Give each pixel to the nearest peak, within 1.5 radii, of which it has half the strength."""
    labels = np.zeros(strength.shape, np.int32)
    inside = _disc(1.5 * radius_px)
    away = np.argwhere(inside) - inside.shape[0] // 2
    for down, right in away[np.argsort(np.hypot(*away.T), kind="stable")]:
        rows, columns = y + down, x + right
        on = (rows >= 0) & (columns >= 0)
        on &= (rows < strength.shape[0]) & (columns < strength.shape[1])
        some = np.flatnonzero(on)
        rows, columns = rows[some], columns[some]
        own = strength[rows, columns] >= 0.5 * strength[y[some], x[some]]
        own &= labels[rows, columns] == 0
        labels[rows[own], columns[own]] = some[own] + 1
    return labels
