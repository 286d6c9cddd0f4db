"""From weighed water to a valve's calibration: how much flows a ms, and from when on. Pure."""

from collections.abc import Sequence

import msgspec
import numpy as np

from behavior.devices.protocols import Weighed
from rig.errors import Refused

_FEWEST = 3
_WORST_SHARE = 0.15


class Fit(msgspec.Struct, frozen=True):
    """The straight line through the series: ul = ul_per_ms x (open_ms - dead_ms)."""

    ul_per_ms: float
    dead_ms: float
    residuals: tuple[float, ...]
    """Of each series: measured less fitted, as a share of the fitted."""


def fit(series: Sequence[Weighed]) -> Fit:
    """Fit a valve's calibration by least squares, each series by its share of error.

    Raises Refused if the series are too few, or are no line: what to do stands in the sentence.
    """
    open_ms = np.array([one.open_ms for one in series])
    ul = np.array([one.ul_each for one in series])
    if len(np.unique(open_ms)) < _FEWEST:
        raise Refused(f"a calibration needs at least {_FEWEST} different pulse lengths; add some")
    if not (np.isfinite(ul).all() and (ul > 0).all()):
        raise Refused("a series brought no water; look for air in the line, and begin anew")
    weights = 1.0 / ul
    design = np.column_stack([open_ms, np.ones(len(ul))]) * weights[:, None]
    (slope, offset), *_ = np.linalg.lstsq(design, ul * weights, rcond=None)
    if slope <= 0:
        raise Refused("longer pulses brought less water; look at the valve, and begin anew")
    if offset > 0:  # a valve does not flow before it opens: the line goes through zero
        slope, offset = float(np.linalg.lstsq(design[:, :1], ul * weights, rcond=None)[0][0]), 0.0
    fitted = slope * open_ms + offset
    residuals = ul / fitted - 1.0
    if np.abs(residuals).max() > _WORST_SHARE:
        worst = series[int(np.abs(residuals).argmax())]
        raise Refused(
            f"the series of {worst.open_ms:g} ms is {np.abs(residuals).max():.0%} off the line of "
            "all; weigh again, or look for air in the line"
        )
    return Fit(float(slope), float(-offset / slope), tuple(float(r) for r in residuals))
