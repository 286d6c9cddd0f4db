"""Shipped setups on simulated boards, for the commands that operate devices by hand."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rig.cli.chaos.session_process import free_port
from tests.behavior.devices.harp.pty_board import PtyBoard
from tests.behavior.devices.harp.simavr.avr import Avr
from tests.behavior.devices.harp.simavr.needed import need_tools
from tests.behavior.devices.nidaq.simulated_card.contract import VALVE_LINE
from tests.behavior.devices.nidaq.simulated_card.process import Handle, SimulatedCard
from tests.live import PACKAGE

IMAGING = "[nodes.task.imaging]"
"""The first table of a shipped setup that is about imaging."""


class Bench(Protocol):
    """A simulated board, whose wheel and inputs a test moves."""

    setup: Path
    """A copy of the shipped setup, adapted to find the board."""

    def move(self) -> None:
        """Turn the wheel forward, touch the spout, change each line, expose the camera."""

    def openings_ms(self) -> list[float]:
        """Return the durations of all finished openings of the valve."""

    def is_up(self) -> bool:
        """Return whether the trial output is up."""

    def is_open(self) -> bool:
        """Return whether the valve is open."""

    def close(self) -> None:
        """Switch it off."""


def shipped(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """Return a copy of a shipped setup for behavior alone, with its own port."""
    text = (PACKAGE / "setups" / f"{name}.toml").read_text().partition(IMAGING)[0]
    for old, new in (("[rig]\n", f"[rig]\nhub_port = {free_port()}\n"), *changes):
        assert old in text
        text = text.replace(old, new, 1)
    setup = folder / f"{name}.toml"
    setup.write_text(text)
    return setup


class CardBench:
    """An NI card, wired as in docs/how-to/wiring.md."""

    def __init__(self, folder: Path, looped: bool = False, model: str = "full") -> None:
        wires = {VALVE_LINE: ["port0/line7", "port0/line0"]} if looped else {}
        self.card = SimulatedCard(model, wires=wires)
        self.setup = shipped(
            folder, "pcie63xx", ('address = ""', f'address = "{self.card.address}"')
        )
        self._hand = Handle(self.card.control)

    def move(self) -> None:
        self._hand.do("turn", counter="ctr0", counts=30)
        for line in ("tongue", "frame", "port0/line2", "exposure"):
            self._hand.put(line, True)
            self._hand.put(line, False)

    def openings_ms(self) -> list[float]:
        return [ms for _, ms in self.card.openings(VALVE_LINE)]

    def is_up(self) -> bool:
        return bool(self.card.do("level", line="port1/line1"))

    def is_open(self) -> bool:
        return bool(self.card.do("level", line=VALVE_LINE))

    def close(self) -> None:
        self._hand.disconnect()
        self.card.close()


class BehaviorBench:
    """A Harp Behavior board."""

    def __init__(self, folder: Path, looped: bool = False) -> None:
        self.board = PtyBoard()
        self.board.looped = looped
        self.setup = shipped(
            folder, "harp", ('usb_serial = "AL01XYZ1"', f'port = "{self.board.port}"')
        )

    def move(self) -> None:
        self.board.turn(30)
        for line in (0, 1, 3):
            self.board.touch(line, True)
            self.board.touch(line, False)

    def openings_ms(self) -> list[float]:
        return [ms for _, _, ms in self.board.openings]

    def is_up(self) -> bool:
        return bool(self.board.outputs & 1)

    def is_open(self) -> bool:
        return self.board.is_open

    def close(self) -> None:
        self.board.close()


class AvrBench:
    """Our own firmware, in a simulated ATmega328P."""

    def __init__(self, folder: Path, looped: bool = False) -> None:
        need_tools()
        self.avr = Avr()
        self.avr.command(f"loop {int(looped)}")
        self.setup = shipped(
            folder, "avr", ('usb_serial = "A50285BI"', f'port = "{self.avr.port}"')
        )

    def move(self) -> None:
        self.avr.command("wheel 30")
        for pin in ("B0", "C0", "C1", "C2"):
            self.avr.command(f"at 1 {pin} 1\nat 5000 {pin} 0")

    def openings_ms(self) -> list[float]:
        return [ms for _, ms in self.avr.openings()]

    def is_up(self) -> bool:
        seen = self.avr.seen("output0")
        return bool(seen) and seen[-1][0]

    def is_open(self) -> bool:
        seen = self.avr.seen("valve")
        return bool(seen) and seen[-1][0]

    def close(self) -> None:
        self.avr.close()


BENCHES: dict[str, Callable[..., Bench]] = {
    "nidaq": CardBench,
    "behavior": BehaviorBench,
    "rig-avr": AvrBench,
}


@contextmanager
def moved(bench: Bench) -> Iterator[None]:
    """Move everything again and again, in a thread."""
    over = threading.Event()

    def move() -> None:
        while not over.wait(0.05):
            bench.move()

    hand = threading.Thread(target=move)
    hand.start()
    try:
        yield
    finally:
        over.set()
        hand.join()
