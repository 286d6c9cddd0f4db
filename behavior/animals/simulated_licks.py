"""The simulated mouse as its devices know it, and its licks, seen by each of them."""

from collections import deque
from typing import Any, Protocol

from rig.messages import Message


class Mouse(Protocol):
    """What runs on a simulated wheel and licks at a simulated spout."""

    settings: Any

    def open(self) -> None:
        """Read what it needs. Raises Refused if that cannot be had."""

    def handle(self, message: Message) -> None:
        """Live through a word: the session begins, a corridor, a cue, water."""

    def counts(self, now: int) -> int:
        """Return the wheel's counts so far, at now (ns)."""

    def licks(self, now: int) -> list[int]:
        """Return the lick onsets (ns) since the last call, none after now."""


class SimulatedLicks:
    """The licks of a simulated mouse, seen by one of those who watch it."""

    def __init__(self, mouse: Mouse, mine: deque[int], everyones: list[deque[int]]) -> None:
        self._mouse, self._mine, self._everyones = mouse, mine, everyones

    def until(self, now: int) -> list[int]:
        """Return the onsets since the last call, none after now."""
        onsets = self._mouse.licks(now)
        for waiting in self._everyones:
            waiting.extend(onsets)
        return [self._mine.popleft() for _ in range(len(self._mine))]
