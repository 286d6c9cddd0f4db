"""The board of the simulated devices: the simulated mouse, and the messages that devices need."""

from collections import deque
from typing import Any, ClassVar

import msgspec

from behavior.animals.simulated_licks import Mouse, SimulatedLicks
from rig.errors import Refused
from rig.messages import Flip, Message, Pulse, Start
from rig.settings import device_factory


class Board:
    """The board of the simulated devices, with a mouse."""

    simulated: ClassVar[bool] = True

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """`mouse` is a table: `is` names the class of the mouse, other keys are its settings."""

        mouse: dict[str, Any]

    def __init__(self, settings: Settings, name: str) -> None:
        self.mouse: Mouse = device_factory.make(
            settings.mouse, f"[nodes.hardware.boards.{name}.mouse]"
        )
        self.settings = msgspec.structs.replace(
            settings, mouse=device_factory.completed(settings.mouse, self.mouse)
        )
        self.lines: dict[str, deque[int]] = {}
        """Times (ns) of the pulses of each input line that its device has not read yet."""
        self.light: list[deque[tuple[int, bool]]] = []
        """Flips (t, bright) that each photodiode has not read yet."""
        self.began = 0
        """Start of the session, ns."""
        self._licks: list[deque[int]] = []

    def licks(self) -> SimulatedLicks:
        """Return a new reader of the mouse's licks; each reader sees every lick."""
        self._licks.append(deque())
        return SimulatedLicks(self.mouse, self._licks[-1], self._licks)

    def open(self) -> None:
        self.mouse.open()

    def handle(self, message: Message) -> None:
        if isinstance(message, Pulse) and message.line in self.lines:
            self.lines[message.line].append(message.t)
        if isinstance(message, Flip):
            for unread in self.light:
                unread.append((message.t, message.bright))
        if isinstance(message, Start):
            self.began = message.t
        self.mouse.handle(message)

    def poll(self, now: int) -> None:
        pass

    def pop_warnings(self) -> list[str]:
        return []

    def close(self) -> None:
        pass


def simulated_board(board: Any, name: str) -> Board:
    """Return a device's board. Raises Refused if it is not a simulated board."""
    if not isinstance(board, Board):
        raise Refused(
            f"simulated device {name} needs a board with "
            'is = "behavior.devices.simulated:Board"; name it with the key `board`'
        )
    return board
