"""Rigid registration: where a strip of the field has moved to in each page."""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from analysis.registration.phase_correlation import Correlator, Located, Spectrum

Px = Annotated[int, msgspec.Meta(ge=0, le=8192)]

_TRUSTED_PAGES = 16
"""Smallest number of pages of a reference that is good enough to reject a page as not matching."""


class MotionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How motion is measured."""

    method: Literal["none", "rigid", "blocks"] = "rigid"
    """none: motion is ignored; rigid: each strip moves as a whole; blocks: in addition, parts of a
    strip move a little relative to it."""
    window_px: Px = 0
    """Side of the window in the middle of a strip in which motion is measured, px; 0: the whole
    strip."""
    max_shift_px: Annotated[int, msgspec.Meta(ge=1, le=200)] = 20
    """Largest shift that is measured, px. Frames that have moved farther have no signals."""
    block_px: Annotated[int, msgspec.Meta(ge=32, le=1024)] = 128
    """Side of a block, px."""
    reference_s: Annotated[float, msgspec.Meta(gt=0.0, le=600.0)] = 60.0
    """Seconds of imaging from which the reference is made; these frames are analysed too."""
    reference_file: str = ""
    """The mean pages of an earlier session, .npy (planes, height_px, width_px), as reference."""
    stack_file: str = ""
    """A z-stack of the field, .npz: stack (depths, height_px, width_px) and z_um (depths,)."""
    z_drift_um: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)] = 5.0
    """Smallest drift of the focus that is reported, um."""


class Rigid:
    """Rigid registration of a strip: its shift from a reference.

    The reference is the mean page of an earlier day, or else the mean of the first pages of the
    session, each registered first. A reference from the session is updated whenever the number of
    its pages has doubled; its position is the median of the positions of these pages.
    """

    def __init__(
        self, shape: tuple[int, int], settings: MotionSettings, mean: NDArray[Any] | None = None
    ) -> None:
        """Start before the first page.

        Args:
            shape: (height_px, width_px) of the strip.
            settings: How motion is measured.
            mean: The reference, of that shape, if there is one.
        """
        window_px, self._build_s = settings.window_px, settings.reference_s
        self.correlator = Correlator(shape, settings.max_shift_px, window_px)
        self._reference: Spectrum | None = None
        self._sum = np.zeros(self.correlator.shape, np.float64)
        self._positions: list[tuple[float, float]] = []
        self._began_s: float | None = None
        self._middle = (0.0, 0.0)
        self.building = mean is None
        """True while the reference still changes."""
        if mean is not None:
            self._reference = self.correlator.reference(self.correlator.window(mean))

    def locate(self, page: NDArray[Any], time_s: float) -> Located:
        """Find how far the strip has moved.

        Args:
            page: (height_px, width_px)
            time_s: Time of the page, in seconds from any zero.
        """
        window = self.correlator.window(page)
        spectrum = self.correlator.spectrum(window)
        if self._reference is None:
            self._reference = self.correlator.reference(window)
        down, right, correlation, found = self.correlator.locate(spectrum, self._reference)
        if self.building:
            found = found or len(self._positions) < _TRUSTED_PAGES
            self._build(window if found else None, (down, right), time_s)
        return Located(down - self._middle[0], right - self._middle[1], correlation, found)

    def _build(self, window: Any, position: tuple[float, float], time_s: float) -> None:
        if self._began_s is None:
            self._began_s = time_s
        self.building = time_s - self._began_s < self._build_s
        if window is not None:
            self._positions.append(position)
            whole = [-round(px / self.correlator.binning) for px in position]
            self._sum += np.roll(window, whole, (0, 1))
            down, right = np.median(np.array(self._positions), axis=0).tolist()
            self._middle = (down, right)
        count = len(self._positions)
        if count & (count - 1) == 0 or not self.building:
            mean = (self._sum / count).astype(np.float32)
            self._reference = self.correlator.reference(mean)
