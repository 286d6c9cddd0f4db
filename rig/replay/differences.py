"""How much the messages of a decider differ between a recording and its replay."""

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.messages import Message, kind

_MISSING = "missing messages"


class FieldDifference(msgspec.Struct):
    """The differences of one field, over all pairs of messages of a type."""

    type: str
    field: str
    messages: int = 0
    """Number of pairs of messages compared."""
    differing: int = 0
    """Number of pairs in which the field differs."""
    values: int = 0
    """Number of values compared: 1 for each pair, or the length of the array."""
    differing_values: int = 0
    largest: float = 0.0
    """The largest difference of two numbers; 0 if the field does not contain numbers."""

    def text(self) -> str:
        """Return a description of the difference."""
        if self.field == _MISSING:
            return f"{self.differing} have no counterpart"
        of = f"{self.differing} of {self.messages} messages"
        if self.values > self.messages:
            of += f", {self.differing_values} of {self.values} values"
        return f"{of}, largest difference {self.largest:.4g}" if self.largest else of


class Differences:
    """The differences of one decider's messages, which are paired by type and time."""

    def __init__(self) -> None:
        self._fields: dict[tuple[str, str], FieldDifference] = {}
        self._waiting: dict[str, list[dict[tuple[int, int], Message]]] = {}
        self._last: dict[tuple[str, int], tuple[int, int]] = {}
        """For each type and side: the time (ns) of the last message, and its index at this time."""

    def add(self, side: int, message: Message) -> None:
        """Add the next message: side 0 is the recording, side 1 the replay."""
        name = kind(message)
        own, other = self._sides(name)[side], self._sides(name)[1 - side]
        t, number = self._last.get((name, side), (message.t, -1))
        key = message.t, number + 1 if t == message.t else 0
        self._last[name, side] = key
        pair = other.pop(key, None)
        if pair is None:
            own[key] = message
            return
        old, new = (message, pair) if side == 0 else (pair, message)
        for field in type(message).__struct_fields__:
            self._compare(self._field(name, field), getattr(old, field), getattr(new, field))

    def rows(self) -> list[FieldDifference]:
        """Return the fields that differ, and the types with messages on one side only."""
        for name, sides in self._waiting.items():
            if unpaired := sum(len(side) for side in sides):
                self._field(name, _MISSING).differing = unpaired
        return [field for field in self._fields.values() if field.differing]

    def _sides(self, name: str) -> list[dict[tuple[int, int], Message]]:
        return self._waiting.setdefault(name, [{}, {}])

    def _field(self, name: str, field: str) -> FieldDifference:
        return self._fields.setdefault((name, field), FieldDifference(name, field))

    def _compare(self, field: FieldDifference, old: Any, new: Any) -> None:
        field.messages += 1
        a, b = _numbers(old), _numbers(new)
        if a is None or b is None or a.size != b.size:
            field.values += 1
            field.differing += old != new
            field.differing_values += old != new
            return
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        field.values += a.size
        field.differing += not same.all()
        field.differing_values += int((~same).sum())
        apart = np.abs(a - b)[~same]
        apart = apart[np.isfinite(apart)]
        field.largest = max(field.largest, float(apart.max(initial=0.0)))


def _numbers(value: Any) -> NDArray[np.float64] | None:
    """Return a field's number, or its float32 array; None if it is not numeric."""
    if isinstance(value, bytes) and len(value) % 4 == 0:
        return np.frombuffer(value, "<f4").astype(np.float64)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return np.array([value if math.isfinite(value) else np.nan], np.float64)
