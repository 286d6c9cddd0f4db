"""Create the devices of a setup's [nodes.hardware] from their tables, without opening them."""

from typing import Any

import msgspec

from behavior.devices import protocols
from behavior.water.guard import Limits
from behavior.water.lick_filter import LickLimits
from rig.node import Node
from rig.settings import device_factory
from rig.settings.device_factory import Table


class Tables(Node.Settings, frozen=True, kw_only=True):
    """Tables of devices by name. `is` names a device's class, `board` the board it belongs to."""

    boards: dict[str, Table] = msgspec.field(default_factory=dict)
    wheel: Table
    lick: dict[str, Table] = msgspec.field(default_factory=dict)
    valve: dict[str, Table] = msgspec.field(default_factory=dict)
    lines: dict[str, Table] = msgspec.field(default_factory=dict)
    outputs: dict[str, Table] = msgspec.field(default_factory=dict)
    trigger_lines: dict[str, Table] = msgspec.field(default_factory=dict)
    cameras: dict[str, Table] = msgspec.field(default_factory=dict)
    licks: LickLimits = msgspec.field(default_factory=LickLimits)
    guard: Limits = msgspec.field(default_factory=Limits)


class Devices:
    """The devices of a setup, one for each table."""

    def __init__(self, tables: Tables) -> None:
        """Create all devices. Raises Refused if a table is not valid."""
        self.boards: dict[str, protocols.Board] = {
            name: device_factory.make(table, f"[nodes.hardware.boards.{name}]", name)
            for name, table in tables.boards.items()
        }
        self.wheel: protocols.Wheel = self._on_board(tables.wheel, "wheel", "wheel")
        self.licks: dict[str, protocols.Lick] = self._all("lick", tables.lick)
        self.valves: dict[str, protocols.Valve] = self._all("valve", tables.valve)
        self.lines: dict[str, protocols.Line] = self._all("lines", tables.lines)
        self.outputs: dict[str, protocols.Output] = self._all("outputs", tables.outputs)
        self.trigger_lines: dict[str, protocols.TriggerLine] = self._all(
            "trigger_lines", tables.trigger_lines
        )
        self.cameras: dict[str, protocols.Camera] = self._all("cameras", tables.cameras)

    def completed(self, tables: dict[str, Any]) -> dict[str, Any]:
        """Return the tables with every default of every device filled in."""
        by_kind: dict[str, dict[str, Any]] = {
            "boards": self.boards,
            "lick": self.licks,
            "valve": self.valves,
            "lines": self.lines,
            "outputs": self.outputs,
            "trigger_lines": self.trigger_lines,
            "cameras": self.cameras,
        }
        complete = {kind: _completed(tables[kind], devices) for kind, devices in by_kind.items()}
        return {"wheel": device_factory.completed(tables["wheel"], self.wheel), **complete}

    def _all(self, kind: str, tables: dict[str, Table]) -> dict[str, Any]:
        return {
            name: self._on_board(table, name, f"{kind}.{name}") for name, table in tables.items()
        }

    def _on_board(self, table: Table, name: str, path: str) -> Any:
        return device_factory.make_on_board(table, f"[nodes.hardware.{path}]", name, self.boards)


def _completed(tables: dict[str, Table], devices: dict[str, Any]) -> dict[str, Table]:
    return {name: device_factory.completed(table, devices[name]) for name, table in tables.items()}
