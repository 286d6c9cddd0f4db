"""A hardware node with scripted devices."""

from typing import Any

import msgspec

from behavior.hardware import Hardware
from rig.clock import SetClock
from rig.messages import Arm, Message, Start
from tests.behavior.scripted import Board
from tests.behavior.sessions import S, hardware

SCRIPTED = "tests.behavior.scripted"


def scripted_table(**board: Any) -> dict[str, Any]:
    on = {"board": "b"}
    return {
        "boards": {"b": {"is": f"{SCRIPTED}:Board", **board}},
        "wheel": {"is": f"{SCRIPTED}:Wheel", **on},
        "lick": {"centre": {"is": f"{SCRIPTED}:Lick", **on}},
        "valve": {"centre": {"is": f"{SCRIPTED}:Valve", **on}},
    }


class Driven:
    """A hardware node with scripted devices, a clock, and a task that renews its requests."""

    def __init__(
        self, table: dict[str, Any] | None = None, session: dict[str, Any] | None = None
    ) -> None:
        self.published: list[Message] = []
        self.arms: list[Arm] = []
        """The requests that the task renews."""
        self.node, self.clock = hardware(table or scripted_table(), self.published.append)
        board = self.node.devices.boards["b"]
        assert isinstance(board, Board)
        self.board = board
        self.start = Start(0, {"seed": 1, **(session or {})})
        self.node.handle(self.start)

    def at(self, now: int, *messages: Message, alive: bool = True) -> list[Message]:
        """Set the time (ns), send messages, tick; return what the driver published."""
        self.clock.set(now)
        before = len(self.published)
        for arm in self.arms if alive else ():
            self.node.handle(arm)
        for message in messages:
            self.node.handle(message)
        self.arms += [message for message in messages if isinstance(message, Arm)]
        self.node.tick(now)
        return self.published[before:]


def armed(id_: int, t: int, on: Any = "lick", **changes: Any) -> Arm:
    fields = {"deadline": t + 60 * S, "line": "centre", "volume_ul": 3.0, **changes}
    return Arm(t, id_, on=on, **fields)


def made(table: dict[str, Any]) -> Hardware:
    published: list[Message] = []
    node = Hardware(msgspec.convert(table, Hardware.Settings), published.append)
    node.clock = SetClock()
    return node
