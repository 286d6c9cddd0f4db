"""The NI devices on a simulated card, as a test environment for the contract tests."""

import atexit
import functools
import time
from typing import Any, ClassVar

from behavior.devices.nidaq.devices import Board
from rig.clock import monotonic_ns
from rig.messages import Start
from rig.settings import device_factory
from tests.behavior.devices.nidaq.simulated_card.process import SimulatedCard

NIDAQ = "behavior.devices.nidaq.devices"
WIRING: dict[str, dict[str, Any]] = {
    "Wheel": {},
    "Ball": {},
    "Lick": {"line": 0},
    "Valve": {},
    "ArmedValve": {"lick": 0, "trigger": "PFI0", "sense": 7},
    "Line": {"line": 1},
    "Output": {"line": "port1/line3"},
    "TriggerLine": {},
    "Camera": {},
}
VALVE_LINE = "port2/line6"
"""Where ctr2 comes out: PFI14."""
LASER_LINE = "port2/line7"
"""Where ctr3 comes out: PFI15."""


@functools.cache
def shared_card(model: str = "full") -> SimulatedCard:
    """Return the card that is shared by all tests that leave it working; each test resets it."""
    card = SimulatedCard(model)
    atexit.register(card.close)
    return card


class NiWorld:
    """A PCIe-63xx wired as in docs/how-to/wiring.md; the card is a separate process."""

    kinds: ClassVar[frozenset[str]] = frozenset(WIRING)
    simulated: ClassVar[bool] = False
    slack_ns: ClassVar[int] = 5_000_000
    model: ClassVar[str] = "full"
    asked: ClassVar[dict[str, Any]] = {"watchdog_lines": [VALVE_LINE], "watchdog_s": 2.0}
    wiring: ClassVar[dict[str, dict[str, Any]]] = WIRING

    def __init__(self) -> None:
        self.card = shared_card(self.model)
        self.card.do("reset")
        table = {"is": f"{NIDAQ}:Board", "address": self.card.address, **self.asked}
        self.board: Board = device_factory.make(table, "[card]", "card")

    def device(self, kind: str, name: str, **keys: Any) -> Any:
        table = {"is": f"{NIDAQ}:{kind}", "board": "card", **self.wiring[kind], **keys}
        return device_factory.make_on_board(table, f"[{name}]", name, {"card": self.board})

    def open(self) -> None:
        self.board.open()
        self.board.handle(Start(0, {"seed": 1}))

    def close(self) -> None:
        self.card.do("reset")

    def wait(self, ms: float) -> int:
        time.sleep(ms / 1e3)
        now = monotonic_ns()
        self.board.poll(now)
        return now

    def lick(self) -> int:
        t = self.card.put("tongue", True)
        self.wait(5)
        self.card.put("tongue", False)
        return t

    def turn(self, counts: int) -> None:
        self.card.do("turn", counter="ctr0", counts=counts)
        self.card.do("turn", counter="ctr3", counts=counts // 10)

    def frame(self) -> int:
        t = self.card.put("frame", True)
        self.card.put("frame", False)
        return t

    def film(self, exposures: int) -> None:
        for _ in range(exposures):
            self.card.put("exposure", True)
            self.card.put("exposure", False)

    def openings(self, valve: str) -> list[tuple[int, float]]:
        return self.card.openings(LASER_LINE if valve == "laser" else VALVE_LINE)

    def level(self, output: str) -> bool:
        line = LASER_LINE if output == "laser" else "port1/line3"
        return bool(self.card.do("level", line=line))


class SamplingWorld(NiWorld):
    """A card with two counters and no change detection, which samples its lines."""

    kinds = frozenset({"Wheel", "Lick", "Valve", "Line", "Output", "Camera"})
    model = "sampling"
    asked: ClassVar[dict[str, Any]] = {"latch_counter": ""}
    wiring: ClassVar[dict[str, dict[str, Any]]] = {
        **WIRING,
        "Valve": {"counter": "ctr1", "terminal": "PFI14"},
        "Camera": {"counter": "ctr1", "terminal": "PFI5"},
    }
