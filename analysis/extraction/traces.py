"""From the brightness of cells to their deconvolved activity, frame by frame."""

from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from analysis.extraction.baseline import Baseline
from analysis.extraction.deconvolution import MOST_LAG, Deconvolution

Floats = NDArray[np.float32]


class TraceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How activity is computed from brightness. Defaults are those of Suite2p; tau_s is for
    GCaMP6s."""

    neuropil_share: Annotated[float, msgspec.Meta(ge=0.0, le=2.0)] = 0.7
    """Fraction of the neuropil's brightness that is subtracted from a cell."""
    neuropil_margin_px: Annotated[int, msgspec.Meta(ge=0, le=50)] = 2
    """Smallest distance between a cell and its neuropil ring."""
    neuropil_pixels: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 350
    """Smallest number of pixels of a neuropil ring."""
    baseline_window_s: Annotated[float, msgspec.Meta(gt=0.0, le=3600.0)] = 60.0
    """Window of the maximin baseline, seconds."""
    baseline_smooth_frames: Annotated[float, msgspec.Meta(ge=1.0, le=1000.0)] = 10.0
    """Standard deviation of the Gaussian that smooths traces for the baseline, frames."""
    tau_s: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 0.75
    """Time constant of the calcium signal, seconds."""
    deconvolution_lag_frames: Annotated[int, msgspec.Meta(ge=0, le=MOST_LAG)] = 5
    """Number of frames after which the activity of a frame is final and is published."""


class Traces:
    """Baseline subtraction and deconvolution of the brightness of all cells."""

    def __init__(self, cells: int, settings: TraceSettings) -> None:
        """Start before the first frame."""
        window_s, smooth_frames = settings.baseline_window_s, settings.baseline_smooth_frames
        self._baseline = Baseline(cells, window_s, smooth_frames)
        self._deconvolution = Deconvolution(
            cells, settings.tau_s, settings.deconvolution_lag_frames
        )

    def add(self, values: Floats, time_s: float) -> Floats | None:
        """Add the brightness of a frame, (cells,), which is changed in place.

        Returns:
            The activity of the frame `deconvolution_lag_frames` before it, (cells,), if any.
        """
        self._baseline.subtract(values, time_s)
        return self._deconvolution.add(values, time_s)

    def rest(self) -> list[Floats]:
        """Return the activity of the last frames at the end of the recording, in order."""
        return self._deconvolution.rest()
