"""Read the settings of a header, which ScanImage writes as MATLAB lines or, optionally, as JSON."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from acquisition.scanimage.matlab_literals import LazyValues, Value, read_lines, without_prefix
from acquisition.scanimage.preamble import NotScanImage

_NUMBERS = {"_Inf_": math.inf, "-_Inf_": -math.inf, "_NaN_": math.nan, "Inf": math.inf}
"""Texts that MATLAB writes in JSON for numbers that JSON does not have."""


def read_settings(text: str) -> Mapping[str, Value]:
    """Return the settings of a header by key, such as "hRoiManager.scanFrameRate".

    Raises NotScanImage if the text begins like JSON but is not an object in valid JSON.
    """
    text = text.removeprefix("\ufeff")
    if not text.lstrip().startswith(("{", "[")):
        return read_lines(text)
    try:
        tree = json.loads(text, parse_int=float)
        if not isinstance(tree, dict):
            raise NotScanImage("has a header in JSON that is not an object of settings")
        leaves = {without_prefix(key): value for key, value in _leaves("", tree)}
    except (ValueError, RecursionError) as error:
        raise NotScanImage(f"has a header in JSON that cannot be read ({error})") from error
    return LazyValues(leaves, _value)


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object in a text; empty if the text is not a JSON object."""
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
    """Convert a JSON value to the value of the MATLAB literal that it represents."""
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
