"""The settings of a header, written as MATLAB lines or, by option of ScanImage, as JSON."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from acquisition.scanimage.matlab_literals import LazyValues, Value, read_lines, without_prefix
from acquisition.scanimage.preamble import NotScanImage

_NUMBERS = {"_Inf_": math.inf, "-_Inf_": -math.inf, "_NaN_": math.nan, "Inf": math.inf}
"""How JSON of MATLAB writes what JSON has no number for."""


def read_settings(text: str) -> Mapping[str, Value]:
    """Return the settings of a header by key, such as "hRoiManager.scanFrameRate".

    Raises NotScanImage if the text begins like JSON but is not valid JSON.
    """
    if not text.lstrip().startswith("{"):
        return read_lines(text)
    try:
        leaves = {
            without_prefix(key): value
            for key, value in _leaves("", json.loads(text, parse_int=float))
        }
    except (ValueError, RecursionError) as error:
        raise NotScanImage(f"has a header in JSON that cannot be read ({error})") from error
    return LazyValues(leaves, _value)


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object that a text holds; an empty one if it holds none."""
    try:
        found = json.loads(text) if text.lstrip().startswith("{") else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _leaves(prefix: str, tree: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and "_ArrayData_" not in value:
            yield from _leaves(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", value


def _value(value: Any) -> Value:
    """Return a JSON value as the MATLAB literal that it represents would be read."""
    if isinstance(value, dict):  # an array as JSONLab writes it
        value = value.get("_ArrayData_")
    if isinstance(value, str):
        return _NUMBERS.get(value, value)
    if not isinstance(value, list):
        return float(value) if isinstance(value, int | float) else ()
    rows = [_value(item) for item in value]
    if len(rows) == 1 and isinstance(rows[0], tuple):
        return rows[0]
    if rows and all(isinstance(row, tuple) and len(row) == 1 for row in rows):
        return tuple(row[0] for row in rows if isinstance(row, tuple))
    return tuple(rows)
