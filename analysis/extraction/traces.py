"""Traces: from the pages of a volume to the deconvolved activity of its cells, frame by frame."""

from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from analysis.extraction.baseline import Baseline
from analysis.extraction.deconvolution import MOST_LAG, Deconvolution

Floats = NDArray[np.float32]


class TraceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How brightness becomes activity; the defaults are Suite2p's, tau that of GCaMP6s there."""

    neuropil_share: Annotated[float, msgspec.Meta(ge=0.0, le=2.0)] = 0.7
    """How much of the brightness round a cell is taken off it."""
    neuropil_margin_px: Annotated[int, msgspec.Meta(ge=0, le=50)] = 2
    neuropil_pixels: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 350
    baseline_window_s: Annotated[float, msgspec.Meta(gt=0.0, le=3600.0)] = 60.0
    baseline_smooth_frames: Annotated[float, msgspec.Meta(ge=1.0, le=1000.0)] = 10.0
    tau_s: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 0.75
    """How long the calcium signal takes to fall to 1/e."""
    deconvolution_lag_frames: Annotated[int, msgspec.Meta(ge=0, le=MOST_LAG)] = 5
    """How many frames after its own a value is final, and said."""


class Traces:
    """Brightness less 0.7 of the neuropil round it, less its baseline, deconvolved."""

    def __init__(self, cells: int, settings: TraceSettings) -> None:
        """Begin without having seen a frame."""
        window_s, smooth_frames = settings.baseline_window_s, settings.baseline_smooth_frames
        self._baseline = Baseline(cells, window_s, smooth_frames)
        self._deconvolution = Deconvolution(
            cells, settings.tau_s, settings.deconvolution_lag_frames
        )

    def add(self, values: Floats, time_s: float) -> Floats | None:
        """Take in the brightness of a frame, (cells,), in place; return what is final by it.

        That is the activity of the frame `deconvolution_lag_frames` before it.
        """
        self._baseline.subtract(values, time_s)
        return self._deconvolution.add(values, time_s)

    def rest(self) -> list[Floats]:
        """Return the activity of the last frames, as it stands at the end, in their order."""
        return self._deconvolution.rest()
