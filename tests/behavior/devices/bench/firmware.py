"""Lick to valve in our firmware, measured in cycles of a simulated ATmega328P."""

import time

from behavior.devices.harp.board import Board
from behavior.devices.harp.devices import ArmedValve, Lick, Wheel
from rig.clock import monotonic_ns
from rig.messages import Start
from tests.behavior.devices.harp.simavr.avr import HZ, Avr

NAME = "rig-avr in simavr: armed in firmware"
_LICKS = 300
_OPEN_MS = 4.0
_EVERY_NS = 100_000_000
_TOUCH_US = 2_000
_MS = 1_000_000


def measure() -> tuple[list[float], list[float]]:
    """Lick at the armed board ten times per second, while its wheel turns and the driver polls it.

    Returns:
        Times from lick edge to valve edge, and residuals of the clock fit once a second, both ms.
    """
    avr = Avr()
    board = Board(Board.Settings(model="rig-avr", port=avr.port), "avr")
    valve = ArmedValve(ArmedValve.Settings(ul_per_ms=0.05), "centre", board)
    lick = Lick(Lick.Settings(), "centre", board)
    wheel = Wheel(Wheel.Settings(cm_per_count=0.0135), "wheel", board)
    residuals_ms: list[float] = []
    try:
        board.open()
        board.handle(Start(0, {}))
        due = monotonic_ns()
        for _ in range(_LICKS):
            avr.command("wheel 200")
            valve.arm(monotonic_ns(), _OPEN_MS, due + 2 * _EVERY_NS)
            avr.command(f"at 10007 B0 1\nat {10007 + _TOUCH_US} B0 0")
            due += _EVERY_NS
            while (now := monotonic_ns()) < due:
                valve.fired(now)
                lick.onsets(now)
                wheel.counts(now)
                if device_time := board.device_time():
                    residuals_ms.append(abs(device_time.residual_ns) / _MS)
                time.sleep(0.001)
        return _lick_to_valve_ms(avr), residuals_ms
    finally:
        board.close()
        avr.close()


def _lick_to_valve_ms(avr: Avr) -> list[float]:
    licks = [cycle for up, cycle in avr.seen("lick") if up]
    opened = [cycle for cycle, _ in avr.openings()]
    return [
        (at - max(lick for lick in licks if lick <= at)) / HZ * 1000
        for at in opened
        if at >= licks[0]
    ]
