"""Compare the messages that a decider published in the recording and in a replay."""

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
    """The first message that differs; None where one side has no more messages."""

    sender: str
    trial: int
    t: int
    old: Message | None
    new: Message | None


class Comparison:
    """The messages of one decider, recorded and replayed; only unmatched ones are kept."""

    def __init__(self, node: Node, exact: bool, differences: Differences | None = None) -> None:
        """Compare the messages of a decider.

        Args:
            node: The decider.
            exact: True if every bit must be equal; otherwise floats may differ by a tolerance.
            differences: Counts all differences; None to find only the first.
        """
        self.sender = node.name
        self._exact = exact
        self._compared_types: tuple[type[Message], ...] = (*node.publishes, Fault)
        self.differences = differences
        self._old: deque[Message] = deque()
        self._new: deque[Message] = deque()
        self._counts = [0, 0]
        self._compared = 0
        self._trial = -1
        self._first: Difference | None = None
        self._outside_at: int | None = None
        """Number of messages before the decider's last Fault with an outside cause, which may have
        ended it."""
        self._own = ""
        """Text of the decider's last Fault that was caused by a message."""
        self._ended: Ended | None = None

    @property
    def failed(self) -> str:
        """Why the decider failed in the recording; "" if it did not fail."""
        return self._ended.reason if self._ended is not None and self._ended.failed else ""

    @property
    def is_own_failure(self) -> bool:
        """True if the decider failed on a message or in closing, so it must fail again."""
        return bool(self.failed) and (
            self.failed == self._own or self.failed.startswith(NOT_CLOSED)
        )

    def add_recorded(self, message: Message) -> None:
        """Add a recorded message; a Fault with an outside cause may end the comparison."""
        if isinstance(message, Ended):
            self._ended = message
        elif isinstance(message, Fault) and message.outside:
            self._outside_at = self._counts[0]
        elif isinstance(message, self._compared_types):
            self._own = message.text if isinstance(message, Fault) else self._own
            self._add(0, self._old, message)

    def add_replayed(self, message: Message) -> None:
        """Add a replayed message."""
        if isinstance(message, self._compared_types):
            self._add(1, self._new, message)

    def end(self, with_tail: bool) -> tuple[int, int, Difference | None]:
        """Return the numbers of compared and of uncomparable messages, and the first difference.

        Messages cannot be compared if the decider's input is not in the log in hub order
        (`with_tail`), or if something other than a message ended the decider.
        """
        old, new = self._counts
        ended_outside = bool(self.failed) and not self.is_own_failure
        if ended_outside and self._outside_at is not None:
            old = self._outside_at
        if with_tail or self._ended is None or ended_outside:
            shorter = min(old, new)
            first = self._first if self._compared < shorter else None
            return shorter, max(old, new) - shorter, first
        if self._first is None and old != new:
            self._first = self._differ(*(next(iter(q), None) for q in (self._old, self._new)))
        return old, 0, self._first

    def _add(self, side: int, queue: deque[Message], message: Message) -> None:
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
    """Return True if two messages are equal, with floats within the tolerance."""
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
