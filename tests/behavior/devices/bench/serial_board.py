"""Lick to valve with a simulated Harp Behavior board, which has no armed rewards."""

from collections.abc import Iterator

from behavior.devices.harp.board import Board
from behavior.devices.harp.devices import Lick, Valve, Wheel
from rig.messages import Start
from tests.behavior.devices.bench.host_loop import lick_to_valve_ms, measure_loop
from tests.behavior.devices.harp.pty_board import PtyBoard

NAME = "Harp Behavior board (simulated)"


def measure() -> Iterator[tuple[str, list[float]]]:
    """Lick at a spout of the board, which is simulated in a thread of this process.

    Yields:
        Name and values (ms) of each row; touch to valve is measured by the host's clock.
    """
    there = PtyBoard()
    board = Board(Board.Settings(model="behavior", port=there.port), "serial")
    lick = Lick(Lick.Settings(), "centre", board)
    valve = Valve(Valve.Settings(ul_per_ms=0.05), "centre", board)
    wheel = Wheel(Wheel.Settings(cm_per_count=0.0135), "wheel", board)
    licks: list[int] = []

    def touch(up: bool) -> None:
        t = there.touch(0, up)
        licks.extend([t] if up else [])

    try:
        board.open()
        board.handle(Start(0, {}))
        residuals_ms = measure_loop(touch, board, lick, valve, wheel.counts)
        opened = [t for _, t, _ in there.openings]
        yield ": opened by a loop of the host", lick_to_valve_ms(licks, opened)
        yield "  clock fit, residual", residuals_ms
    finally:
        board.close()
        there.close()
