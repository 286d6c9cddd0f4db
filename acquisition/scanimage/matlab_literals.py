"""MATLAB's literals in `key = value` lines, as ScanImage writes its settings."""

import math
import re

Value = float | str | tuple["Value", ...]
"""A number (true is 1), a text, a row of numbers, or rows of numbers."""

_LINE = re.compile(r"^[ \t]*([A-Za-z][\w.]*)[ \t]*=[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_PREFIX = re.compile(r"^(scanimage\.)?SI[45]?\.")
_WORDS = {"true": 1.0, "false": 0.0, "Inf": math.inf, "-Inf": -math.inf, "NaN": math.nan}


def facts_of(text: str) -> dict[str, Value]:
    """Return every `key = value` line, the keys without what names the version before them."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return {_PREFIX.sub("", key): value_of(raw) for key, raw in _LINE.findall(lines)}


def value_of(raw: str) -> Value:
    """Return a MATLAB literal: a number, rows of numbers; anything else as its text."""
    number = _number(raw)
    if number is not None:
        return number
    if raw.startswith("[") and raw.endswith("]") and "'" not in raw:
        rows = [[_number(v) for v in re.split(r"[\s,]+", row.strip()) if v] for row in _rows(raw)]
        if all(v is not None for row in rows for v in row):
            known = [tuple(v for v in row if v is not None) for row in rows if row]
            if all(len(row) == 1 for row in known) or len(known) == 1:
                return tuple(v for row in known for v in row)
            return tuple(known)
    return raw.strip("'")


def literal(value: bool | float | str | Value) -> str:
    """Return a value as MATLAB writes it; a row of numbers as a row, rows as rows."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, tuple):
        nested = any(isinstance(v, tuple) for v in value)
        rows = (literal(v).strip("[]") for v in value)
        return "[" + (";" if nested else " ").join(rows) + "]"
    names = {math.inf: "Inf", -math.inf: "-Inf"}
    return "NaN" if math.isnan(value) else names.get(value) or f"{value:.10g}"


def _rows(raw: str) -> list[str]:
    return raw[1:-1].split(";")


def _number(raw: str) -> float | None:
    if raw in _WORDS:
        return _WORDS[raw]
    try:
        return float(raw) if raw[:1] in "+-.0123456789" and raw else None
    except ValueError:
        return None
