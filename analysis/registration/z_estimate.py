"""Estimate the drift of the focus from a z-stack of the same field."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.registration.phase_correlation import Correlator, Floats
from analysis.registration.rigid import MotionSettings

_STACK_WINDOW_PX = 512
"""Side of the window that is compared with the stack, px."""
_STACK_SHARE = 0.05
"""Weight of the newest page in the running mean; the mean spans about 20 pages."""


class ZEstimate:
    """Estimator of the drift of the focus from the reference.

    At each page, a running mean of the last pages is compared with one depth of the stack, by the
    peak of the phase correlation.
    """

    def __init__(
        self, shape: tuple[int, int], settings: MotionSettings, stack: NDArray[Any], z_um: Floats
    ) -> None:
        """Prepare the stack.

        Args:
            shape: (height_px, width_px) of the strip.
            settings: How motion is measured.
            stack: (depths, height_px, width_px)
            z_um: (depths,), increasing.
        """
        window_px = settings.window_px or _STACK_WINDOW_PX
        self._correlator = Correlator(shape, settings.max_shift_px, window_px)
        correlator = self._correlator
        self._references = [correlator.reference(correlator.window(image)) for image in stack]
        self._z_um = np.asarray(z_um, np.float64)
        self._correlations = np.full(self._z_um.size, np.nan)
        self._mean: Floats | None = None
        self._next = 0

    def add(self, page: NDArray[Any], shift: tuple[int, int]) -> float | None:
        """Add a page that has moved by shift, px; return z, um, None until all depths are used."""
        window = np.roll(self._correlator.window(page), (-shift[0], -shift[1]), (0, 1))
        if self._mean is None:
            self._mean = window
        self._mean = self._mean + np.float32(_STACK_SHARE) * (window - self._mean)
        spectrum = self._correlator.spectrum(self._mean)
        found = self._correlator.locate(spectrum, self._references[self._next])
        self._correlations[self._next] = found.correlation
        self._next = (self._next + 1) % self._z_um.size
        if np.isnan(self._correlations).any():
            return None
        return _between_depths(self._correlations, self._z_um)


def z_of(image: Floats, stack: Floats, z_um: Floats) -> float:
    """Return the z (um) in a stack, (depths, height_px, width_px), at which an image was taken."""
    correlator = Correlator((image.shape[0], image.shape[1]), 20, _STACK_WINDOW_PX)
    spectrum = correlator.spectrum(correlator.window(image))
    references = [correlator.reference(correlator.window(layer)) for layer in stack]
    peaks = [correlator.locate(spectrum, reference).correlation for reference in references]
    return _between_depths(np.array(peaks), np.asarray(z_um, np.float64))


def _between_depths(peaks: NDArray[np.float64], z_um: NDArray[np.float64]) -> float:
    """Return the z (um) of the highest peak, interpolated by a parabola through its neighbours."""
    at = int(np.argmax(peaks))
    if not 0 < at < peaks.size - 1:
        return float(z_um[at])
    bend, slope, _ = np.polyfit(z_um[at - 1 : at + 2] - z_um[at], peaks[at - 1 : at + 2], 2)
    return float(z_um[at] - slope / (2.0 * bend)) if bend < 0 else float(z_um[at])
