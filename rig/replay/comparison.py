"""What a decider said then and says now, compared word by word as both stream by."""

import math
from collections import deque
from typing import Any

import msgspec
import numpy as np

from rig.messages import Ended, Fault, Message
from rig.node import NOT_CLOSED, Node
from rig.replay.differences import Differences

_FLOAT_TOLERANCE = 1e-5


class Difference(msgspec.Struct, frozen=True):
    """The first word that a decider said otherwise; None where one side has no more words."""

    sender: str
    trial: int
    t: int
    old: Message | None
    new: Message | None


class Comparison:
    """One decider's words, then and now. Only words that wait for their counterpart are kept."""

    def __init__(
        self,
        node: Node,
        exact: bool,
        faults: bool = True,
        differences: Differences | None = None,
    ) -> None:
        """Demand every bit if `exact`; else floats may differ within a tolerance.

        `faults`: whether the log tells a decider's own Faults from those that came from outside.
        """
        self.sender = node.name
        self._exact, self._faults = exact, faults
        self._compared_types: tuple[type[Message], ...] = (
            (*node.publishes, Fault) if faults else node.publishes
        )
        self.differences = differences
        """Counts the differences of all messages, beyond the first; None where none is expected."""
        self._old: deque[Message] = deque()
        self._new: deque[Message] = deque()
        self._counts = [0, 0]
        self._compared = 0
        self._trial = -1
        self._first: Difference | None = None
        self._struck: int | None = None
        """How many words came before its last Fault from outside, which may have been its end."""
        self._own = ""
        """The last Fault of its own."""
        self._ended: Ended | None = None

    @property
    def failed(self) -> str:
        """Why it failed then; empty if it did not."""
        return self._ended.reason if self._ended is not None and self._ended.failed else ""

    @property
    def is_own_failure(self) -> bool:
        """Whether it failed on a word it heard or in closing, and so must fail again."""
        return bool(self.failed) and (
            self.failed == self._own or self.failed.startswith(NOT_CLOSED)
        )

    def add_recorded(self, message: Message) -> None:
        """Take what it said then; what came from outside the words only ends the comparison."""
        if isinstance(message, Ended):
            self._ended = message
        elif isinstance(message, Fault) and (message.outside or not self._faults):
            self._struck = self._counts[0]
        elif isinstance(message, self._compared_types):
            self._own = message.text if isinstance(message, Fault) else self._own
            self._take(0, self._old, message)

    def add_replayed(self, message: Message) -> None:
        """Take what it says now."""
        if isinstance(message, self._compared_types):
            self._take(1, self._new, message)

    def end(self, with_tail: bool) -> tuple[int, int, Difference | None]:
        """Return how many words were compared, how many cannot be, and the first difference.

        They cannot be if what was heard is not in the log in the order in which it was heard
        (`with_tail`), or if something from outside ended the decider.
        """
        old, new = self._counts
        struck = bool(self.failed) and not self.is_own_failure
        if struck and self._struck is not None:
            old = self._struck
        if with_tail or self._ended is None or struck:
            shorter = min(old, new)
            first = self._first if self._compared < shorter else None
            return shorter, max(old, new) - shorter, first
        if self._first is None and old != new:
            self._first = self._differ(*(next(iter(q), None) for q in (self._old, self._new)))
        return old, 0, self._first

    def _take(self, side: int, queue: deque[Message], message: Message) -> None:
        self._counts[side] += 1
        if self.differences is not None and not isinstance(message, Fault):
            self.differences.add(side, message)
        if self._first is not None:
            return
        queue.append(message)
        while self._old and self._new and self._first is None:
            old, new = self._old.popleft(), self._new.popleft()
            self._trial = getattr(old, "trial", self._trial)
            if old == new or (not self._exact and _close(old, new)):
                self._compared += 1
            else:
                self._first = self._differ(old, new)
                self._old.clear()
                self._new.clear()

    def _differ(self, old: Message | None, new: Message | None) -> Difference:
        message = old or new
        trial = getattr(message, "trial", self._trial)
        return Difference(self.sender, trial, 0 if message is None else message.t, old, new)


def _close(old: Message, new: Message) -> bool:
    """Whether two words say the same, floats within the tolerance."""
    if type(old) is not type(new):
        return False
    pairs = zip(msgspec.structs.astuple(old), msgspec.structs.astuple(new), strict=True)
    return all(_close_value(a, b) for a, b in pairs)


def _close_value(old: Any, new: Any) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=_FLOAT_TOLERANCE, abs_tol=_FLOAT_TOLERANCE)
    if isinstance(old, bytes) and isinstance(new, bytes) and len(old) == len(new):
        was, now = np.frombuffer(old, "<f4"), np.frombuffer(new, "<f4")
        tolerance = _FLOAT_TOLERANCE
        return bool(np.allclose(was, now, rtol=tolerance, atol=tolerance, equal_nan=True))
    return bool(old == new)
