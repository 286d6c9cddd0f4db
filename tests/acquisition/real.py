"""Real ScanImage metadata of ../shared/data, as ScanImage would write it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def shared(name: str) -> Path:
    """Return the path of a real recording; skip the test where it is not on this machine."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not on this machine: there is no {SHARED}")
    return path


def header_of_2020() -> tuple[str, dict[str, Any]]:
    """Return static text and RoiGroups of a mesoscope with 4 regions at 2 depths each."""
    data, groups, _ = json.loads(shared("scanimage_header/mesoscope_4roi_2depth.json").read_text())
    return "\n".join(f"{key} = {_literal(value)}" for key, value in data.items()), groups


def header_of_2015() -> tuple[str, dict[str, Any]]:
    """Return static text and RoiGroups of a mesoscope with 9 strips."""
    data = json.loads(shared("mesoscope_mroi/scanimage_metadata.json").read_text())
    groups = {key: data.pop(key) for key in list(data) if key.endswith("RoiGroup")}
    lines = (f"SI.{key} = {_literal(value)}" for key, value in _flat("", data))
    return "\n".join(lines), groups


def _flat(prefix: str, table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield prefix + key, value


def _literal(value: Any) -> str:
    """Write a value of a JSON export as the MATLAB literal from which it was made."""
    if value is None:
        return "[]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return {"_Inf_": "Inf", "_NaN_": "NaN"}.get(value, f"'{value}'")
    if isinstance(value, list):
        if any(isinstance(v, str) for v in value):
            return "{" + " ".join(_literal(v) for v in value) + "}"
        nested = any(isinstance(v, list) for v in value)
        rows = [" ".join(map(_literal, v)) if isinstance(v, list) else _literal(v) for v in value]
        return "[" + (";" if nested else " ").join(rows) + "]"
    return {"inf": "Inf", "nan": "NaN"}.get(str(value), repr(value))
