"""Registration: where a strip of the field has moved to in each page."""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from analysis.registration.phase_correlation import Correlator, Floats, Spectrum

Px = Annotated[int, msgspec.Meta(ge=0, le=8192)]


class MotionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How motion is found and followed."""

    method: Literal["none", "rigid", "blocks"] = "rigid"
    """The field moves as one, or each block of it a little on its own; or motion is left alone."""
    window_px: Px = 0
    """The side of the window in the middle of a strip that is looked at; 0: all of the strip."""
    max_shift_px: Annotated[int, msgspec.Meta(ge=1, le=200)] = 20
    block_px: Annotated[int, msgspec.Meta(ge=32, le=1024)] = 128
    reference_s: Annotated[float, msgspec.Meta(gt=0.0, le=600.0)] = 60.0
    """How long the reference is built from what is imaged first; all of it is analysed too."""
    reference_file: str = ""
    """The mean pages of a former session, .npy (planes, height_px, width_px): no building."""
    stack_file: str = ""
    """A z-stack of the same field, .npz: stack (depths, height_px, width_px) and z_um (depths)."""
    z_drift_um: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)] = 5.0
    """How far the focus may drift before it is said."""


class Rigid:
    """Where one strip has moved to, against a reference: a former day's, or its own first minute.

    The reference is then the mean of the first pages, each put where it fits, and its place the
    median of theirs. It is renewed at every doubling of their number.
    """

    def __init__(
        self, shape: tuple[int, int], settings: MotionSettings, mean: NDArray[Any] | None = None
    ) -> None:
        """Begin; mean is the reference (height_px, width_px), if there is one."""
        window_px, self._build_s = settings.window_px, settings.reference_s
        self.correlator = Correlator(shape, settings.max_shift_px, window_px)
        self._reference: Spectrum | None = None
        self._sum = np.zeros(self.correlator.shape, np.float64)
        self._found: list[tuple[float, float]] = []
        self._began_s: float | None = None
        self._middle = (0.0, 0.0)
        self.building = mean is None
        """Whether the reference still changes."""
        if mean is not None:
            self._reference = self.correlator.reference(self.correlator.window(mean))

    def locate(self, page: NDArray[Any], time_s: float) -> tuple[float, float, float]:
        """Return how far the strip has moved down and right (px), and the correlation."""
        window = self.correlator.window(page)
        spectrum = self.correlator.spectrum(window)
        if self._reference is None:
            self._reference = self.correlator.reference(window)
        down, right, correlation = self.correlator.locate(spectrum, self._reference)
        if self.building:
            self._build(window, (down, right), time_s)
        return down - self._middle[0], right - self._middle[1], correlation

    def _build(self, window: Floats, found: tuple[float, float], time_s: float) -> None:
        if self._began_s is None:
            self._began_s = time_s
        self._found.append(found)
        whole = [-round(px / self.correlator.binning) for px in found]
        self._sum += np.roll(window, whole, (0, 1))
        down, right = np.median(np.array(self._found), axis=0).tolist()
        self._middle = (down, right)
        self.building = time_s - self._began_s < self._build_s
        count = len(self._found)
        if count & (count - 1) == 0 or not self.building:
            mean = (self._sum / count).astype(np.float32)
            self._reference = self.correlator.reference(mean)
