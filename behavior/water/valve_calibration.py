"""Fit a valve's calibration (flow and dead time) to weighed series of pulses."""

from collections.abc import Sequence

import msgspec
import numpy as np

from behavior.devices.protocols import Weighing
from rig.errors import Refused

_MIN_LENGTHS = 3
"""Smallest number of different pulse lengths for a fit."""
_MAX_RESIDUAL = 0.15
"""Largest residual of a series, as a fraction of the fitted volume."""


class Fit(msgspec.Struct, frozen=True):
    """The fitted line: ul = ul_per_ms x (open_ms - dead_ms)."""

    ul_per_ms: float
    dead_ms: float
    residuals: tuple[float, ...]
    """(measured - fitted) / fitted volume of each series."""


def fit(series: Sequence[Weighing]) -> Fit:
    """Fit a valve's calibration by least squares on the relative errors.

    Raises:
        Refused: There are too few pulse lengths, or the series do not lie on a line.
    """
    open_ms = np.array([one.open_ms for one in series])
    ul = np.array([one.ul_each for one in series])
    if len(np.unique(open_ms)) < _MIN_LENGTHS:
        raise Refused(
            f"a calibration needs at least {_MIN_LENGTHS} different pulse lengths; add some"
        )
    if not (np.isfinite(ul).all() and (ul > 0).all()):
        raise Refused("a series delivered no water; look for air in the line and start again")
    weights = 1.0 / ul
    design = np.column_stack([open_ms, np.ones(len(ul))]) * weights[:, None]
    (slope, offset), *_ = np.linalg.lstsq(design, ul * weights, rcond=None)
    if slope <= 0:
        raise Refused("longer pulses delivered less water; check the valve and start again")
    if offset > 0:  # a valve cannot flow before it opens: fit a line through zero
        slope, offset = float(np.linalg.lstsq(design[:, :1], ul * weights, rcond=None)[0][0]), 0.0
    fitted = slope * open_ms + offset
    residuals = ul / fitted - 1.0
    if np.abs(residuals).max() > _MAX_RESIDUAL:
        worst = series[int(np.abs(residuals).argmax())]
        raise Refused(
            f"the series of {worst.open_ms:g} ms is {np.abs(residuals).max():.0%} off the fitted "
            "line; weigh again, or look for air in the line"
        )
    return Fit(float(slope), float(-offset / slope), tuple(float(r) for r in residuals))
