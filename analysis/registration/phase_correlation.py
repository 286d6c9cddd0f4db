"""Phase correlation: how far an image has moved from a reference, and whether that is certain."""

import math
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from analysis.jit import compiled

Floats = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

_SMOOTH_PX = 1.15
"""Standard deviation of the Gaussian that rounds the peak, so that it can be located between
pixels."""
_EDGE_PX = 24
"""Width of the taper at the edges of the window."""
_LARGE_PX = 600_000
"""Images of more pixels are binned 2 x 2; a shift is then still known to 0.05 px."""
_SIGNIFICANT = 5.0
"""Smallest significant peak of one search, in standard deviations of the correlations of unrelated
images."""


class Located(NamedTuple):
    """Where an image was found."""

    down_px: float
    right_px: float
    correlation: float
    """Height of the peak; 1 at best."""
    found: bool = True
    """False if the peak is no higher than chance, or if a higher one is beyond the reach."""


class Correlator:
    """Phase correlation of pages with a reference, in a window of the page.

    Known shifts of a real recording are found to the pixel, and to 0.05 px between pixels
    (tests/analysis/registration/test_registration.py).
    """

    def __init__(self, shape: tuple[int, int], max_shift_px: int, window_px: int = 0) -> None:
        """Prepare for pages of one size.

        Args:
            shape: (height_px, width_px) of the pages.
            max_shift_px: Shifts are searched up to this in each direction.
            window_px: Largest side of the window in the middle of the page; 0: the whole page.
        """
        side = window_px or max(shape)
        height, width = (min(size, side) for size in shape)
        self.binning = 2 if height * width > _LARGE_PX else 1
        fast = [scipy.fft.prev_fast_len(size // self.binning) for size in (height, width)]
        self.shape = (fast[0], fast[1])
        self.corner = tuple((a - b * self.binning) // 2 for a, b in zip(shape, fast, strict=True))
        self.max_shift_px = max_shift_px
        self._reach = max(1, min(max_shift_px // self.binning, min(self.shape) // 2 - 1))
        edge = _EDGE_PX / self.binning
        self._taper = np.outer(*(_taper(size, edge) for size in self.shape)).astype(np.float32)
        frequency = scipy.fft.fftfreq(fast[0])[:, None] ** 2 + scipy.fft.rfftfreq(fast[1]) ** 2
        smooth = np.exp(-2.0 * (np.pi * _SMOOTH_PX / self.binning) ** 2 * frequency)
        self._smooth = smooth.astype(np.float32)
        peak = scipy.fft.irfft2(smooth, s=self.shape)
        self._highest = float(peak[0, 0])
        # Random phases leave the power as it is, so by Parseval's theorem the correlations of
        # unrelated images have the sum of squares of the ideal peak.
        self._chance = float(np.sqrt(np.mean(peak**2))) / self._highest

    def window(self, page: NDArray[Any]) -> Floats:
        """Return the binned window of a page."""
        window = np.empty(self.shape, np.float32)
        _cut(page, self.corner[0], self.corner[1], self.binning, window)
        return window

    def spectrum(self, window: Floats) -> Spectrum:
        """Return the spectrum of a window without its mean and with tapered edges."""
        tapered = (window - np.float32(window.mean(dtype=np.float64))) * self._taper
        return np.asarray(scipy.fft.rfft2(tapered, workers=1), np.complex64)

    def reference(self, window: Floats) -> Spectrum:
        """Return a window's spectrum in the form that `locate` takes as reference."""
        spectrum = self.spectrum(window)
        size = np.maximum(np.abs(spectrum), np.finfo(np.float32).tiny)
        return np.asarray(np.conj(spectrum) / size * self._smooth, np.complex64)

    def locate(
        self, spectrum: Spectrum, reference: Spectrum, significant: float = _SIGNIFICANT
    ) -> Located:
        """Find how far an image has moved from the reference, in px of the page.

        A peak below `significant` standard deviations of the correlations of unrelated images
        counts as chance: the image is then not found.
        """
        product = np.empty_like(spectrum)
        _multiply_phases(spectrum, reference, product)
        surface = scipy.fft.irfft2(product, s=self.shape, overwrite_x=True, workers=1)
        reach = self._reach
        near = _within(surface, reach)
        y, x = divmod(int(np.argmax(near)), near.shape[1])
        down = y - reach + _peak_offset(near[max(y - 1, 0) : y + 2, x])
        right = x - reach + _peak_offset(near[y, max(x - 1, 0) : x + 2])
        peak = float(near[y, x])
        correlation = peak / self._highest
        found = correlation >= significant * self._chance and peak >= float(surface.max())
        return Located(down * self.binning, right * self.binning, correlation, found)


def _within(surface: Floats, reach: int) -> Floats:
    """Return the values for shifts up to `reach`; shift 0 is in the four corners of the surface."""
    near = np.concatenate([surface[-reach:], surface[: reach + 1]])
    return np.concatenate([near[:, -reach:], near[:, : reach + 1]], axis=1)


def _taper(size: int, edge: float) -> NDArray[np.float64]:
    """Return `size` weights that rise from 0 to 1 over `edge` pixels at both ends."""
    inside = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
    return np.where(inside < edge, 0.5 - 0.5 * np.cos(np.pi * inside / edge), 1.0)


def _peak_offset(three: Floats) -> float:
    """Return a peak's position between its neighbours, -0.5 to 0.5, by a Gaussian through all 3."""
    if three.size < 3 or (three <= 0).any():
        return 0.0
    before, at, after = (math.log(value) for value in three.tolist())
    bend = before - 2.0 * at + after
    return 0.5 * (before - after) / bend if bend < 0.0 else 0.0


@compiled
def _cut(page: NDArray[Any], top: int, left: int, binning: int, window: Floats) -> None:
    height, width = window.shape
    for y in range(height):
        if binning == 1:
            row = page[top + y, left : left + width]
            for x in range(width):
                window[y, x] = row[x]
        else:
            upper = page[top + 2 * y, left : left + 2 * width]
            lower = page[top + 2 * y + 1, left : left + 2 * width]
            for x in range(width):
                pixels = (upper[2 * x] + upper[2 * x + 1]) + (lower[2 * x] + lower[2 * x + 1])
                window[y, x] = np.float32(pixels) * np.float32(0.25)


@compiled
def _multiply_phases(spectrum: Spectrum, reference: Spectrum, product: Spectrum) -> None:
    """Multiply the reference by the spectrum's phases; a frequency without power gives 0."""
    ours, theirs, out = spectrum.reshape(-1), reference.reshape(-1), product.reshape(-1)
    for k in range(out.size):
        re, im = ours[k].real, ours[k].imag
        size = np.sqrt(re * re + im * im)
        out[k] = ours[k] * theirs[k] * (np.float32(1.0) / size if size > 0.0 else np.float32(0.0))
