"""The measured values of a rig, in a file beside its setup with the same tables, override it."""

import os
from pathlib import Path
from typing import Any

from rig.errors import Refused
from rig.settings.toml import read_toml


def measured_file(setup: Path) -> Path:
    """Return the path of the file with the measured values of a rig."""
    return setup.with_name(f"{setup.stem}.measured.toml")


def overlay_calibration(setup_table: dict[str, Any], setup: Path) -> dict[str, Any]:
    """Return a setup's tables with the measured values.

    Raises Refused if they belong to another rig, or to a device that is not in the setup.
    """
    path = measured_file(setup)
    if not path.exists():
        return setup_table
    measured = read_toml(path)
    name, of = setup_table["rig"].get("name"), measured.pop("rig", {}).get("name")
    if of != name:
        raise Refused(
            f"{path} contains the calibration of rig {of!r}, but this is rig {name!r}; calibrate "
            "again"
        )
    return _overlay(setup_table, measured, path, "")


def measure(setup: Path, rig: str, table: str, found: dict[str, Any]) -> Path:
    """Write the measured values of a table such as "nodes.hardware.valve.centre"; return the path.

    Values of other tables are kept. The file is replaced atomically.
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


def _overlay(under: dict[str, Any], over: dict[str, Any], path: Path, where: str) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        if isinstance(value, dict):
            if not isinstance(merged.get(key), dict):
                raise Refused(
                    f"{path}: the setup has no [{where}{key}]; remove it here, or calibrate again"
                )
            merged[key] = _overlay(merged[key], value, path, f"{where}{key}.")
        else:
            merged[key] = value
    return merged
