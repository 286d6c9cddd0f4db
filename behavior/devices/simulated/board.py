"""The bench that the simulated devices stand on: a mouse, its tongue, and what it is told."""

from collections import deque
from typing import Any, ClassVar

import msgspec

from behavior.animals.simulated_licks import Mouse, SimulatedLicks
from rig.errors import Refused
from rig.messages import Flip, Message, Pulse, Start
from rig.settings import device_factory


class Board:
    """The bench that the simulated devices stand on, with a mouse."""

    simulated: ClassVar[bool] = True

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """`mouse` is a table: its `is` names the mouse, the rest are the mouse's settings."""

        mouse: dict[str, Any]

    def __init__(self, settings: Settings, name: str) -> None:
        self.mouse: Mouse = device_factory.make(
            settings.mouse, f"[nodes.hardware.boards.{name}.mouse]"
        )
        self.settings = msgspec.structs.replace(
            settings, mouse=device_factory.completed(settings.mouse, self.mouse)
        )
        self.lines: dict[str, deque[int]] = {}
        """Pulses heard and not yet seen, by line."""
        self.light: list[deque[tuple[int, bool]]] = []
        """Flips heard and not yet seen, for each photodiode: when, and whether bright."""
        self.began = 0
        self._licks: list[deque[int]] = []

    def licks(self) -> SimulatedLicks:
        """Return the licks once more: each who asks for them sees each."""
        self._licks.append(deque())
        return SimulatedLicks(self.mouse, self._licks[-1], self._licks)

    def open(self) -> None:
        self.mouse.open()

    def handle(self, message: Message) -> None:
        if isinstance(message, Pulse) and message.line in self.lines:
            self.lines[message.line].append(message.t)
        if isinstance(message, Flip):
            for waiting in self.light:
                waiting.append((message.t, message.bright))
        if isinstance(message, Start):
            self.began = message.t
        self.mouse.handle(message)

    def poll(self, now: int) -> None:
        pass

    def pop_warnings(self) -> list[str]:
        return []

    def close(self) -> None:
        pass


def bench_of(board: Any, name: str) -> Board:
    """Return a device's bench. Raises Refused if its board is none."""
    if not isinstance(board, Board):
        raise Refused(
            f"simulated device {name}: it needs a board whose `is` is "
            '"behavior.devices.simulated:Board"; name it with the key `board`'
        )
    return board
