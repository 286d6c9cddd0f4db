"""Phase correlation: how far, and how surely, an image has moved from a reference."""

import math
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from analysis.jit import compiled

Floats = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

_SMOOTH_PX = 1.15
"""The Gaussian (sd) that rounds the peak, so that it can be located between pixels."""
_EDGE_PX = 24
_LARGE_PX = 600_000
"""Above so many pixels an image is binned 2 x 2: still located to a twentieth of a pixel."""


class Correlator:
    """Locates pages in a reference by their phases, in a window of the page.

    Known shifts put on a real recording come back to the pixel, and to 0.05 px between pixels
    (tests/analysis/test_registration.py).
    """

    def __init__(self, shape: tuple[int, int], max_shift_px: int, window_px: int = 0) -> None:
        """Cut a window, in the middle of pages of that shape, of that side at most; 0: all."""
        side = window_px or max(shape)
        height, width = (min(size, side) for size in shape)
        self.binning = 2 if height * width > _LARGE_PX else 1
        fast = [scipy.fft.prev_fast_len(size // self.binning) for size in (height, width)]
        self.shape = (fast[0], fast[1])
        self.corner = tuple((a - b * self.binning) // 2 for a, b in zip(shape, fast, strict=True))
        self._reach = max(1, min(max_shift_px // self.binning, min(self.shape) // 2 - 1))
        edge = _EDGE_PX / self.binning
        self._taper = np.outer(*(_edges(size, edge) for size in self.shape)).astype(np.float32)
        frequency = scipy.fft.fftfreq(fast[0])[:, None] ** 2 + scipy.fft.rfftfreq(fast[1]) ** 2
        smooth = np.exp(-2.0 * (np.pi * _SMOOTH_PX / self.binning) ** 2 * frequency)
        self._smooth = smooth.astype(np.float32)
        self._highest = float(scipy.fft.irfft2(smooth, s=self.shape)[0, 0])

    def window(self, page: NDArray[Any]) -> Floats:
        """Return the binned window of a page."""
        window = np.empty(self.shape, np.float32)
        _cut(page, self.corner[0], self.corner[1], self.binning, window)
        return window

    def spectrum(self, window: Floats) -> Spectrum:
        """Return the spectrum of a window without its mean and its edges."""
        tapered = (window - np.float32(window.mean(dtype=np.float64))) * self._taper
        return np.asarray(scipy.fft.rfft2(tapered, workers=1), np.complex64)

    def reference(self, window: Floats) -> Spectrum:
        """Return what spectra are compared with, to be located in that window."""
        spectrum = self.spectrum(window)
        size = np.maximum(np.abs(spectrum), np.finfo(np.float32).tiny)
        return np.asarray(np.conj(spectrum) / size * self._smooth, np.complex64)

    def locate(self, spectrum: Spectrum, reference: Spectrum) -> tuple[float, float, float]:
        """Return how far it has moved down and right, in px, and the correlation: 1 at best."""
        product = np.empty_like(spectrum)
        _phases(spectrum, reference, product)
        surface = scipy.fft.irfft2(product, s=self.shape, overwrite_x=True, workers=1)
        reach = self._reach
        near = _round(surface, reach)
        y, x = divmod(int(np.argmax(near)), near.shape[1])
        down = y - reach + _summit(near[max(y - 1, 0) : y + 2, x])
        right = x - reach + _summit(near[y, max(x - 1, 0) : x + 2])
        return down * self.binning, right * self.binning, float(near[y, x]) / self._highest


def _round(surface: Floats, reach: int) -> Floats:
    """Return the corners of a surface, up to reach, put together round its place (0, 0)."""
    near = np.concatenate([surface[-reach:], surface[: reach + 1]])
    return np.concatenate([near[:, -reach:], near[:, : reach + 1]], axis=1)


def _edges(size: int, edge: float) -> NDArray[np.float64]:
    """Return weights that rise over an edge at both ends."""
    inside = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
    return np.where(inside < edge, 0.5 - 0.5 * np.cos(np.pi * inside / edge), 1.0)


def _summit(three: Floats) -> float:
    """Return where between its neighbours a peak lies, -0.5 to 0.5, as if it were a Gaussian."""
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
def _phases(spectrum: Spectrum, reference: Spectrum, product: Spectrum) -> None:
    ours, theirs, out = spectrum.reshape(-1), reference.reshape(-1), product.reshape(-1)
    for k in range(out.size):
        re, im = ours[k].real, ours[k].imag
        size = np.sqrt(re * re + im * im)
        out[k] = ours[k] * theirs[k] * (np.float32(1.0) / size if size > 0.0 else np.float32(0.0))
