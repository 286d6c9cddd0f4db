"""Give all textures the same mean luminance, contrast and spectrum; only their shapes differ."""

import numpy as np

from stimuli.textures.dead_leaves import Field
from stimuli.textures.names import GREY, Texture

RMS_CONTRAST = 0.4
"""Standard deviation divided by mean; typical of patches of photographs."""
SLOPE = -1.2
"""Slope of log amplitude over log spatial frequency; about -1 in photographs (Field 1987)."""
SHADOWS = 0.03
"""Added to a luminance (0 to 1) before its logarithm is taken, so that shadows stay finite."""

_FIT_FROM, _FIT_TO, _BANDS = 1 / 128, 1 / 4, 15
"""Range of the slope fit in cycles per pixel, and number of its logarithmic bands."""
_SMOOTH_DEGREE = 3
"""Degree of the polynomial that describes the spectrum of a texture before the correction."""
_ITERATIONS = 5
"""Number of corrections; clipping to 0-255 changes mean, contrast and spectrum again."""


def match_luminance(luminance: Field, spectrum: bool = True) -> Texture:
    """Return an image with the common mean and contrast and, if `spectrum`, the common spectrum.

    Args:
        luminance: The image, in any unit.
        spectrum: True to correct the slope of the amplitude spectrum as well.
    """
    level = luminance.astype(np.float32)
    for _ in range(_ITERATIONS):
        if spectrum:
            level = _correct_spectrum(level)
        level = (level - level.mean()) / level.std()
        level = np.clip(GREY * (1 + RMS_CONTRAST * level), 0, 255)
    return np.rint(level).astype(np.uint8)


def slope(level: Field) -> float:
    """Return the slope of log amplitude over log spatial frequency, over all orientations."""
    return float(_fit(level, 1)[0])


def _correct_spectrum(level: Field) -> Field:
    """Replace the smooth part of an image's log spectrum by a line of the common slope.

    The smooth part is a polynomial fit; the deviations from the fit, which make up the texture, are
    not changed.
    """
    frequency = np.clip(_frequencies(level.shape), _FIT_FROM, _FIT_TO)
    log = np.log(frequency)
    gain = np.exp(SLOPE * log - np.polyval(_fit(level, _SMOOTH_DEGREE), log))
    return np.fft.irfft2(np.fft.rfft2(level) * gain, level.shape).astype(np.float32)


def _fit(level: Field, degree: int) -> Field:
    """Return the polynomial of log amplitude over log spatial frequency, highest power first."""
    power = np.abs(np.fft.rfft2(level - level.mean())) ** 2
    edges = np.geomspace(_FIT_FROM, _FIT_TO, _BANDS + 1)
    band = np.digitize(_frequencies(level.shape), edges).ravel()
    inside = slice(1, _BANDS + 1)
    sums = np.bincount(band, power.ravel(), _BANDS + 2)[inside]
    counts = np.bincount(band, minlength=_BANDS + 2)[inside]
    fit: Field = np.polyfit(np.log(edges[1:] * edges[:-1]) / 2, np.log(sums / counts) / 2, degree)
    return fit


def _frequencies(shape: tuple[int, ...]) -> Field:
    """Return the spatial frequency of each coefficient of rfft2, in cycles per pixel."""
    rows, columns = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    frequency: Field = np.hypot(rows[:, None], columns[None, :]).astype(np.float32)
    return frequency
