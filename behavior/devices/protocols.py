"""What the driver asks of a device, real or simulated: one small Protocol a kind.

A device is made by `Class(settings, name, board)`: its own Settings, its name in the setup, and the
board that its table names, or None; making it opens nothing. All times are ns of the session clock.
A device that does not answer raises; it never hands out an old value as a new one.
"""

from typing import Any, Protocol

from rig.messages import Message


class Device(Protocol):
    """What all devices have."""

    settings: Any
    """Its table in the setup, typed, with every default filled in."""


class Board(Device, Protocol):
    """What devices share: a card, a serial board, a simulated mouse."""

    def open(self) -> None:
        """Take hold of it, all valves shut. Raises Refused if it cannot be had."""

    def hear(self, word: Message) -> None:
        """Take a word that the driver heard, or the Valve that it said."""

    def close(self) -> None:
        """Let go, all valves shut; also if it was never opened, and more than once."""


class Wheel(Device, Protocol):
    """The ball or wheel under the mouse. Its settings have cm_per_count."""

    def counts(self, now: int) -> int:
        """Return the counts so far, forward up and backward down, as they are at now."""


class Lick(Device, Protocol):
    """The lick sensor of a spout."""

    def onsets(self, now: int) -> list[int]:
        """Return the onsets since the last call, each once, in order, none after now."""


class Valve(Device, Protocol):
    """The water valve of a spout. Its settings have ul_per_ms."""

    def pulse(self, now: int, open_ms: float) -> int:
        """Open it for open_ms and return when it opened; the device, not the caller, shuts it."""

    def close(self) -> None:
        """Shut it, whatever it was doing; also if its board was never opened."""


class Line(Device, Protocol):
    """A digital input line."""

    def edges(self, now: int) -> list[tuple[int, bool]]:
        """Return (t, up) of each change since the last call, in order, none after now."""
