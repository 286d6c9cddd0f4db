"""Lick to valve if a loop of the host reads the licks and opens the valve."""

import time
from collections.abc import Callable
from typing import Any

from rig.clock import monotonic_ns

_LICKS = 100
_OPEN_MS = 5.0
_EVERY_NS = 100_000_000
_TOUCH_NS = 20_000_000
_TICK_S = 0.001
_MS = 1_000_000


def measure_loop(
    touch: Callable[[bool], Any], board: Any, lick: Any, valve: Any, also: Callable[[int], Any]
) -> list[float]:
    """Touch the spout ten times a second, and open its valve at each onset.

    Args:
        touch: Begins or ends a touch.
        board: The board.
        lick: Its lick sensor.
        valve: Its valve.
        also: Called each tick with the time (ns).

    Returns:
        Residuals of the board's clock fit, ms.
    """
    residuals_ms: list[float] = []
    due = monotonic_ns()
    for _ in range(_LICKS):
        due += _EVERY_NS
        touch(True)
        released = False
        while (now := monotonic_ns()) < due:
            for _ in lick.onsets(now):
                valve.pulse(now, _OPEN_MS)
            also(now)
            if device_time := board.device_time():
                residuals_ms.append(abs(device_time.residual_ns) / _MS)
            if not released and now > due - _EVERY_NS + _TOUCH_NS:
                touch(False)
                released = True
            time.sleep(_TICK_S)
        if not released:
            touch(False)
    return residuals_ms


def lick_to_valve_ms(licks: list[int], opened: list[int]) -> list[float]:
    """Return the time from the last lick to each opening, ms. Arguments in ns."""
    return [(t - max(lick for lick in licks if lick <= t)) / _MS for t in opened]
