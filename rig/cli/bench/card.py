"""Lick to valve over the NI devices on the simulated card, and what one nidaqmx call costs."""

import importlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rig
from behavior.devices.nidaq import Board, Lick, Valve, Wheel
from rig.clock import monotonic_ns
from rig.messages import Start

NAME = "nidaq (simulated card, over gRPC)"
_LICKS = 100
_OPEN_MS = 5.0
_EVERY_NS = 100_000_000
_TOUCH_NS = 20_000_000
_TICK_S = 0.001
_MS = 1_000_000
_VALVE_LINE = "port2/line6"


def simulated_card() -> Any:
    """Return the simulated card's module; None without a checkout: it belongs to the tests."""
    checkout = Path(rig.__file__).parents[1]
    if not (checkout / "tests" / "behavior" / "nicard").is_dir():
        return None
    if str(checkout) not in sys.path:
        sys.path.append(str(checkout))
    return importlib.import_module("tests.behavior.nicard.process")


def measure(module: Any) -> Iterator[tuple[str, list[float]]]:
    """Lick ten times a second at a spout whose valve the host's loop opens.

    Yields a name and values in ms for each row: edge to edge by the card's own lines.
    """
    card = module.SimulatedCard()
    board = Board(Board.Settings(address=card.address), "card")
    lick = Lick(Lick.Settings(line=0), "centre", board)
    valve = Valve(Valve.Settings(ul_per_ms=0.05), "centre", board)
    wheel = Wheel(Wheel.Settings(cm_per_count=0.0135), "wheel", board)
    try:
        board.open()
        board.hear(Start(0, {}))
        calls_ms, residuals_ms = _licked(card, board, lick, valve, wheel)
        yield "lick to valve, armed in the hardware node's loop", _lick_to_valve_ms(card)
        yield "  one call of nidaqmx (the wheel's counter)", calls_ms
        yield "  its clock against the session's, residual of the fit", residuals_ms
    finally:
        board.close()
        card.close()


def _licked(
    card: Any, board: Board, lick: Lick, valve: Valve, wheel: Wheel
) -> tuple[list[float], list[float]]:
    calls_ms: list[float] = []
    residuals_ms: list[float] = []
    due = monotonic_ns()
    for _ in range(_LICKS):
        due += _EVERY_NS
        card.put("tongue", True)
        untouched = False
        while (now := monotonic_ns()) < due:
            for _ in lick.onsets(now):
                valve.pulse(now, _OPEN_MS)
            asked = monotonic_ns()
            wheel.counts(now)
            calls_ms.append((monotonic_ns() - asked) / _MS)
            if told := board.device_time():
                residuals_ms.append(abs(told.residual_ns) / _MS)
            if not untouched and now > due - _EVERY_NS + _TOUCH_NS:
                card.put("tongue", False)
                untouched = True
            time.sleep(_TICK_S)
        if not untouched:
            card.put("tongue", False)
    return calls_ms, residuals_ms


def _lick_to_valve_ms(card: Any) -> list[float]:
    licks = [t for t, _ in card.openings("tongue")]
    opened = [t for t, _ in card.openings(_VALVE_LINE)]
    return [(t - max(lick for lick in licks if lick <= t)) / _MS for t in opened]
