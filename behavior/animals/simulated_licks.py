"""The Protocol of a simulated mouse, and its licks for several devices."""

from collections import deque
from typing import Any, Protocol

from rig.messages import Message


class Mouse(Protocol):
    """A mouse that runs on a simulated wheel and licks at a simulated spout."""

    settings: Any

    def open(self) -> None:
        """Read the files that the mouse needs. Raises Refused if that fails."""

    def handle(self, message: Message) -> None:
        """React to the start of the session or a corridor, to a cue or to a reward."""

    def counts(self, now: int) -> int:
        """Return the wheel's counts at time `now` (ns)."""

    def licks(self, now: int) -> list[int]:
        """Return the lick onsets (ns) after the last call, up to `now`."""


class SimulatedLicks:
    """The licks of a simulated mouse, for one of several readers; each reader gets every lick."""

    def __init__(self, mouse: Mouse, unread: deque[int], all_unread: list[deque[int]]) -> None:
        self._mouse, self._unread, self._all_unread = mouse, unread, all_unread

    def until(self, now: int) -> list[int]:
        """Return the lick onsets (ns) after the last call, up to `now`."""
        onsets = self._mouse.licks(now)
        if not onsets and not self._unread:
            return []
        for unread in self._all_unread:
            unread.extend(onsets)
        return [self._unread.popleft() for _ in range(len(self._unread))]
