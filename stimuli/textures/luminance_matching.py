"""One mean luminance, one contrast, one spectrum for all pictures: they differ in shapes alone."""

import numpy as np

from stimuli.textures.dead_leaves import Field
from stimuli.textures.names import GREY, Picture

RMS_CONTRAST = 0.4
"""Standard deviation of a picture over its mean; patches of photographs have about that much."""
SLOPE = -1.2
"""Of log amplitude over log spatial frequency; photographs have about -1 (Field 1987)."""
SHADOWS = 0.03
"""What is added to a luminance (0 to 1) before its logarithm, so that shadows stay shadows."""

_FIT_FROM, _FIT_TO, _BANDS = 1 / 128, 1 / 4, 15
"""Where the slope is fitted: cycles a pixel, and in how many bands of equal ratio."""
_BENDS = 3
"""The degree of the polynomial that a log spectrum is taken to be before it is straightened."""


def matched(luminance: Field, spectrum: bool = True) -> Picture:
    """Bring a picture's mean, contrast and, if asked, spectrum to those of all others.

    Several times, because clipping to what a screen can show changes all three again.
    """
    level = luminance.astype(np.float32)
    for _ in range(5):
        if spectrum:
            level = _straightened(level)
        level = (level - level.mean()) / level.std()
        level = np.clip(GREY * (1 + RMS_CONTRAST * level), 0, 255)
    return np.rint(level).astype(np.uint8)


def slope(level: Field) -> float:
    """Return the slope of log amplitude over log spatial frequency, all orientations together."""
    return float(_fit(level, 1)[0])


def _straightened(level: Field) -> Field:
    """Bend a picture's log spectrum, as far as it is smooth, to a line of the common slope."""
    frequency = np.clip(_frequencies(level.shape), _FIT_FROM, _FIT_TO)
    log = np.log(frequency)
    gain = np.exp(SLOPE * log - np.polyval(_fit(level, _BENDS), log))
    return np.fft.irfft2(np.fft.rfft2(level) * gain, level.shape).astype(np.float32)


def _fit(level: Field, degree: int) -> Field:
    """Return a polynomial of log amplitude over log spatial frequency."""
    power = np.abs(np.fft.rfft2(level - level.mean())) ** 2
    edges = np.geomspace(_FIT_FROM, _FIT_TO, _BANDS + 1)
    band = np.digitize(_frequencies(level.shape), edges).ravel()
    inside = slice(1, _BANDS + 1)
    sums = np.bincount(band, power.ravel(), _BANDS + 2)[inside]
    counts = np.bincount(band, minlength=_BANDS + 2)[inside]
    fit: Field = np.polyfit(np.log(edges[1:] * edges[:-1]) / 2, np.log(sums / counts) / 2, degree)
    return fit


def _frequencies(shape: tuple[int, ...]) -> Field:
    """Return the spatial frequency of each coefficient of rfft2, cycles a pixel."""
    rows, columns = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    frequency: Field = np.hypot(rows[:, None], columns[None, :]).astype(np.float32)
    return frequency
