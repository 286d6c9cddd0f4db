"""Create a device from its table in the setup: `is` names its class, the rest are its settings."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import msgspec

from rig.errors import Refused
from rig.settings.config import SessionSettings, convert

Table = dict[str, Any]
HARDWARE = "hardware"
"""Name of the node with the animal's devices; only this node opens valves."""


def make(table: Table, where: str, *rest: Any) -> Any:
    """Return Class(settings, *rest) for the class in a table's `is`; `where` names the table.

    Raises Refused if there is no such class, or if the other keys are not its settings.
    """
    keys = dict(table)
    kind = device_class(keys.pop("is", None), where)
    return kind(convert(keys, kind.Settings, where), *rest)


def make_on_board(table: Table, where: str, name: str, boards: dict[str, Any]) -> Any:
    """Return the device of a table, on the board in its key `board`, if it has this key."""
    keys = dict(table)
    board = keys.pop("board", None)
    if board is not None and board not in boards:
        known = ", ".join(boards) or "none"
        raise Refused(f"{where}: there is no board {board!r}; choose one of {known}")
    return make(keys, where, name, None if board is None else boards[board])


def completed(table: Table, device: Any) -> Table:
    """Return a device's table with every default of its settings filled in."""
    return {**table, **msgspec.to_builtins(device.settings)}


def animal_devices(session: SessionSettings) -> tuple[list[str], list[str]]:
    """Return the names of the animal's real devices and of its simulated devices.

    They are those of [nodes.hardware]. Raises Refused if a class does not declare `simulated`.
    """
    real: list[str] = []
    simulated: list[str] = []
    for name, path in _named(session.nodes.get(HARDWARE, {}), f"nodes.{HARDWARE}"):
        (simulated if is_simulated(path, f"[{name}]") else real).append(name)
    return real, simulated


def is_simulated(path: Any, where: str) -> bool:
    """Return True if the class in `is` declares that it is simulated; `where` names the table.

    Raises Refused if there is no such class, or if it does not declare `simulated`.
    """
    declared = getattr(device_class(path, where), "simulated", None)
    if not isinstance(declared, bool):
        raise Refused(
            f'{where}: is = "{path}" does not say whether it is simulated; add the line '
            "`simulated: ClassVar[bool] = False` (or True) to the class"
        )
    return declared


def device_class(path: Any, where: str) -> Any:
    """Return the class in `is`; `where` names the table. Raises Refused if there is none."""
    if not isinstance(path, str) or path.count(":") != 1:
        raise Refused(f'{where}: `is` must name a class, as in is = "some.module:Class"')
    module, _, name = path.partition(":")
    try:
        kind = getattr(import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise Refused(f'{where}: is = "{path}" cannot be loaded ({error}); correct it') from error
    if not hasattr(kind, "Settings"):
        raise Refused(f'{where}: is = "{path}" is not a device: it has no Settings; name another')
    return kind


def _named(table: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the class of each device; tables within a device are not searched."""
    if isinstance(table.get("is"), str):
        yield path, table["is"]
        return
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _named(value, f"{path}.{key}")
