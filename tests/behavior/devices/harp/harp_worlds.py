"""Test environments of the Harp devices: our firmware in simavr, and a simulated Behavior board."""

import time
from collections.abc import Callable
from typing import Any, ClassVar

from behavior.devices.harp.board import Board
from rig.clock import monotonic_ns
from rig.messages import Start
from rig.settings import device_factory
from tests.behavior.devices.harp.pty_board import PtyBoard
from tests.behavior.devices.harp.simavr.avr import Avr
from tests.behavior.devices.harp.simavr.needed import need_tools

MS = 1_000_000
_PATIENCE_NS = 30_000_000_000
_WIRED = {
    "centre": {"port": 0},
    "frame_clock": {"line": 1},
    "face": {"line": 2},
    "sync": {"line": 0},
    "laser": {"line": 3},
}


class _HarpWorld:
    """What both boards share: they run in real time and are polled every millisecond."""

    simulated: ClassVar[bool] = False

    def __init__(self, model: str, port: str) -> None:
        table = {"is": "behavior.devices.harp:Board", "model": model, "port": port}
        self.board: Board = device_factory.make(table, "[b]", "b")

    def device(self, kind: str, name: str, **keys: Any) -> Any:
        table = {"is": f"behavior.devices.harp:{kind}", "board": "b", **keys}
        return device_factory.make_on_board(
            {**table, **_WIRED.get(name, {})}, name, name, {"b": self.board}
        )

    def open(self) -> None:
        self.board.open()
        self.board.handle(Start(0, {"seed": 1}))

    def wait(self, ms: float) -> int:
        until = monotonic_ns() + round(ms * MS)
        while (now := monotonic_ns()) < until:
            self.board.poll(now)
            time.sleep(0.001)
        return now


class AvrWorld(_HarpWorld):
    """Our own firmware, in a simulated ATmega328P."""

    kinds: ClassVar[frozenset[str]] = frozenset(
        {"Wheel", "Lick", "ArmedValve", "Line", "Output", "Camera"}
    )
    slack_ns: ClassVar[int] = 50 * MS

    def __init__(self) -> None:
        need_tools()
        self.avr = Avr()
        super().__init__("rig-avr", self.avr.port)

    def close(self) -> None:
        self.avr.close()

    def lick(self) -> int:
        t = self.avr.ns(self.avr.pulse("B0", "lick", 5000))
        self.wait(10)
        return t

    def turn(self, counts: int) -> None:
        if counts:
            self.avr.turn(counts)

    def frame(self) -> int:
        t = self.avr.ns(self.avr.pulse("C0", "line1", 5000))
        self.wait(10)
        return t

    def film(self, exposures: int) -> None:
        if exposures:
            self.avr.pulse("C1", "line2", 1000, exposures)
            self.wait(10)

    def openings(self, valve: str) -> list[tuple[int, float]]:
        return [(self.avr.ns(cycle), ms) for cycle, ms in self.avr.openings()]

    def level(self, output: str) -> bool:
        return self.avr.seen("output0")[-1][0]


class BehaviorWorld(_HarpWorld):
    """A Harp Behavior board behind a pseudo-terminal."""

    kinds: ClassVar[frozenset[str]] = frozenset(
        {"Wheel", "Lick", "Valve", "Line", "Output", "TriggerLine", "Camera"}
    )
    step_ms: ClassVar[float] = 1.0
    """Its valves open for whole milliseconds."""
    slack_ns: ClassVar[int] = 50 * MS

    def __init__(self) -> None:
        self.there = PtyBoard()
        super().__init__("behavior", self.there.port)

    def close(self) -> None:
        self.there.close()

    def lick(self) -> int:
        return self._touch(0)

    def turn(self, counts: int) -> None:
        self.there.turn(counts)

    def frame(self) -> int:
        return self._touch(1)

    def film(self, exposures: int) -> None:
        for _ in range(exposures):
            self._touch(2, 1.0)
        self.wait(10)

    def openings(self, valve: str) -> list[tuple[int, float]]:
        done = self.there.pulses if valve == "laser" else self.there.openings
        return [(t, ms) for _, t, ms in done]

    def level(self, output: str) -> bool:
        return bool(self.there.outputs & (1 << 3 if output == "laser" else 1))

    def _touch(self, line: int, ms: float = 5.0) -> int:
        t = self.there.touch(line, up=True)
        self.wait(ms)
        self.there.touch(line, up=False)
        self.wait(ms)
        return t


def until(look: Callable[[], Any]) -> Any:
    """Wait until the result of a function is true, and return it."""
    end_ns = monotonic_ns() + _PATIENCE_NS
    while not (found := look()):
        assert monotonic_ns() < end_ns, "it never came"
        time.sleep(0.001)
    return found
