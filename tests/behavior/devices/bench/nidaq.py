"""Lick to valve with the NI devices on a simulated card, and the duration of a nidaqmx call."""

from collections.abc import Iterator

from behavior.devices.nidaq.devices import Board, Lick, Valve, Wheel
from rig.clock import monotonic_ns
from rig.messages import Start
from tests.behavior.devices.bench.host_loop import lick_to_valve_ms, measure_loop
from tests.behavior.devices.nidaq.simulated_card.process import SimulatedCard

NAME = "NI card (simulated, over gRPC)"
_VALVE_LINE = "port2/line6"


def measure() -> Iterator[tuple[str, list[float]]]:
    """Lick at a spout of the card.

    Yields:
        Name and values (ms) of each row; lick to valve is measured on the card's own lines.
    """
    card = SimulatedCard()
    board = Board(Board.Settings(address=card.address), "card")
    lick = Lick(Lick.Settings(line=0), "centre", board)
    valve = Valve(Valve.Settings(ul_per_ms=0.05), "centre", board)
    wheel = Wheel(Wheel.Settings(cm_per_count=0.0135), "wheel", board)
    calls_ms: list[float] = []

    def ask_wheel(now: int) -> None:
        asked = monotonic_ns()
        wheel.counts(now)
        calls_ms.append((monotonic_ns() - asked) / 1e6)

    try:
        board.open()
        board.handle(Start(0, {}))
        residuals_ms = measure_loop(
            lambda up: card.put("tongue", up), board, lick, valve, ask_wheel
        )
        licks = [t for t, _ in card.openings("tongue")]
        opened = [t for t, _ in card.openings(_VALVE_LINE)]
        yield ": opened by a loop of the host", lick_to_valve_ms(licks, opened)
        yield "  one nidaqmx call (wheel counter)", calls_ms
        yield "  clock fit, residual", residuals_ms
    finally:
        board.close()
        card.close()
