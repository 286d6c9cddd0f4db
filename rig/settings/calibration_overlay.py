"""What was measured of a rig: a file beside its setup, of the same tables, laid over it."""

import os
from pathlib import Path
from typing import Any

from rig.errors import Refused
from rig.settings.toml import read_toml


def measured_file(setup: Path) -> Path:
    """Return where what was measured of a rig stands."""
    return setup.with_name(f"{setup.stem}.measured.toml")


def overlay_calibration(setup_table: dict[str, Any], setup: Path) -> dict[str, Any]:
    """Return a setup's tables with what was measured of them.

    Raises Refused if that was of another rig, or of a device that is not in the setup.
    """
    path = measured_file(setup)
    if not path.exists():
        return setup_table
    measured = read_toml(path)
    name, of = setup_table["rig"].get("name"), measured.pop("rig", {}).get("name")
    if of != name:
        raise Refused(f"{path} was measured of rig {of!r}, and this is {name!r}; measure again")
    return _laid(setup_table, measured, path, "")


def measure(setup: Path, rig: str, table: str, found: dict[str, Any]) -> Path:
    """Write what was found of a table, such as "nodes.hardware.valve.centre"; return the file.

    What was measured of other tables stays. The file is whole at every moment.
    """
    import tomli_w

    path = measured_file(setup)
    tree = read_toml(path) if path.exists() else {}
    tree.setdefault("rig", {})["name"] = rig
    at = tree
    for key in table.split("."):
        at = at.setdefault(key, {})
    at.update(found)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        tomli_w.dump(tree, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return path


def _laid(under: dict[str, Any], over: dict[str, Any], path: Path, where: str) -> dict[str, Any]:
    laid = dict(under)
    for key, value in over.items():
        if isinstance(value, dict):
            if not isinstance(laid.get(key), dict):
                raise Refused(
                    f"{path}: the setup has no [{where}{key}]; correct it or measure again"
                )
            laid[key] = _laid(laid[key], value, path, f"{where}{key}.")
        else:
            laid[key] = value
    return laid
