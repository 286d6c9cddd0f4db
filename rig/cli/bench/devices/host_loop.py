"""A spout that is licked ten times a second, whose valve a loop of the host opens."""

import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rig
from rig.clock import monotonic_ns

_LICKS = 100
_OPEN_MS = 5.0
_EVERY_NS = 100_000_000
_TOUCH_NS = 20_000_000
_TICK_S = 0.001
_MS = 1_000_000


def simulated(module: str) -> Any:
    """Return a module that simulates a device; None without a checkout: it belongs to the tests."""
    checkout = Path(rig.__file__).parents[1]
    if not (checkout / "tests").is_dir():
        return None
    if str(checkout) not in sys.path:
        sys.path.append(str(checkout))
    return importlib.import_module(module)


def licked(
    touch: Callable[[bool], Any], board: Any, lick: Any, valve: Any, also: Callable[[int], Any]
) -> list[float]:
    """Touch the spout, open its valve at each onset read, and do also what else a tick does.

    Returns how far the board's clock was from its fit, ms, each time that it told.
    """
    residuals_ms: list[float] = []
    due = monotonic_ns()
    for _ in range(_LICKS):
        due += _EVERY_NS
        touch(True)
        untouched = False
        while (now := monotonic_ns()) < due:
            for _ in lick.onsets(now):
                valve.pulse(now, _OPEN_MS)
            also(now)
            if told := board.device_time():
                residuals_ms.append(abs(told.residual_ns) / _MS)
            if not untouched and now > due - _EVERY_NS + _TOUCH_NS:
                touch(False)
                untouched = True
            time.sleep(_TICK_S)
        if not untouched:
            touch(False)
    return residuals_ms


def lick_to_valve_ms(licks: list[int], opened: list[int]) -> list[float]:
    """Return for each opening how long before it the last lick was; both are in ns."""
    return [(t - max(lick for lick in licks if lick <= t)) / _MS for t in opened]
