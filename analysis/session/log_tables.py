"""The messages of a log as columns: one pass over the file, one array per field.

Of fields with a value per cell only the length in bytes is kept: see cell_arrays.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, get_origin

import msgspec
import numpy as np
import pandas as pd

from analysis.session.cell_arrays import CELL_FIELDS
from rig.messages import COMMON_MESSAGES, MESSAGE_TYPES, Message, kind
from rig.transport.envelope import Envelope, GapTracker

_CODES = {int: "q", float: "d", bool: "b"}
_AT_ONCE = 4096
"""Messages of a type that are read before their values are moved into columns."""
_OBJECTS = (dict, tuple, bytes, Any)
"""Types of fields whose values are kept as objects."""


class Columns:
    """All messages of one type, in the order of the log."""

    def __init__(self, message: type[Message]) -> None:
        lengths = CELL_FIELDS.get(message, ())
        self._types: dict[str, Any] = {
            f.name: int if f.name in lengths else f.type for f in msgspec.structs.fields(message)
        }
        self._lengths = lengths
        self._values = {name: _column(held) for name, held in self._types.items()}
        self._most_waiting = 1 if lengths else _AT_ONCE
        self._waiting: list[Message] = []
        """Messages whose values are not in the columns yet: many at once take less time."""
        self._sent = array("q")
        self._senders: list[str] | None = [] if message in COMMON_MESSAGES else None

    def add(self, envelope: Envelope, message: Message) -> None:
        """Add a message."""
        self._waiting.append(message)
        self._sent.append(envelope.sent)
        if self._senders is not None:
            self._senders.append(envelope.sender)
        if len(self._waiting) >= self._most_waiting:
            self._take_waiting()

    def _take_waiting(self) -> None:
        for name, values in self._values.items():
            of_field = map(attrgetter(name), self._waiting)
            values.extend(map(len, of_field) if name in self._lengths else of_field)
        self._waiting.clear()

    def table(self) -> pd.DataFrame:
        """Return one row per message: its fields, and sent_s.

        Times (t, wheel_t ...) are converted to seconds of the session clock and renamed to end in
        _s. Numbers that are None become NaN.
        """
        self._take_waiting()
        columns: dict[str, Any] = {}
        for name, held in self._types.items():
            is_time = name == "t" or name.endswith("_t")
            values = _values(self._values[name], held)
            columns[f"{name}_s" if is_time else name] = values / 1e9 if is_time else values
        columns["sent_s"] = np.asarray(self._sent) / 1e9
        if self._senders is not None:
            columns["sender"] = pd.Series(self._senders, dtype="str")
        return pd.DataFrame(columns)


class MessageTables:
    """A log, read once: the columns of every message type, and the number of missing messages."""

    def __init__(self, messages: Iterable[tuple[Envelope, Message]]) -> None:
        """Read the messages of a log."""
        self.columns = {message: Columns(message) for message in MESSAGE_TYPES}
        self.gaps: Counter[tuple[str, str, int]] = Counter()
        """Number of missing messages of each (sender, type, incarnation)."""
        tracker = GapTracker()
        columns = self.columns
        for envelope, message in messages:
            missing = tracker.add(name := kind(message), envelope)
            if missing > 0:
                self.gaps[envelope.sender, name, envelope.incarnation] += missing
            columns[type(message)].add(envelope, message)


def _column(held: Any) -> Any:
    return array(_CODES[held]) if held in _CODES else []


def _values(values: Any, held: Any) -> Any:
    """Return a column's values as an array or Series, depending on the type of its field."""
    if held in _CODES:
        return np.array(values, dtype=held)
    if held in (int | None, float | None):
        return np.array([math.nan if v is None else v for v in values], np.float64)
    is_text = (get_origin(held) or held) not in _OBJECTS
    return pd.Series(values, dtype="str" if is_text else "object")
