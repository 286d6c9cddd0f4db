"""Read and write MATLAB literals in `key = value` lines, the format of ScanImage's settings."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

Value = float | str | tuple["Value", ...]
"""A number (true is 1), a text, a row of numbers, or rows of numbers."""

_Raw = TypeVar("_Raw")

_KEY = re.compile(r"[A-Za-z][\w.]*")
_PREFIX = re.compile(r"^(scanimage\.)?SI[45]?\.")
_WORDS = {"true": 1.0, "false": 0.0, "Inf": math.inf, "-Inf": -math.inf, "NaN": math.nan}


class LazyValues(Mapping[str, Value], Generic[_Raw]):
    """The values of a header by key; each value is converted only when it is read.

    A header may contain 23 MB of waveforms that are never read.
    """

    def __init__(self, raw: dict[str, _Raw], convert: Callable[[_Raw], Value]) -> None:
        self._raw, self._convert = raw, convert

    def __getitem__(self, key: str) -> Value:
        return self._convert(self._raw[key])

    def __contains__(self, key: object) -> bool:
        return key in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def read_lines(text: str) -> Mapping[str, Value]:
    """Return all `key = value` lines; keys have no prefix that depends on the version."""
    raw = {}
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        key, equals, value = line.partition("=")
        key = key.strip(" \t")
        if equals and _KEY.fullmatch(key):
            raw[without_prefix(key)] = value.strip(" \t")
    return LazyValues(raw, value_of)


def without_prefix(key: str) -> str:
    """Return a key without the prefix of the version, such as "SI." or "scanimage.SI4."."""
    return _PREFIX.sub("", key) if key.startswith("S") or key.startswith("scanimage.") else key


def value_of(raw: str) -> Value:
    """Convert a MATLAB literal to a number or rows of numbers; return anything else as text."""
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
    """Return a value as a MATLAB literal."""
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
