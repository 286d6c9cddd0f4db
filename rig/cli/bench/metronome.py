"""A simulated animal and valve for benchmarks: licks and openings at known times."""

from typing import Any

import msgspec
import numpy as np

from behavior.devices.protocols import ValveSettings
from behavior.devices.simulated import devices
from behavior.devices.simulated.devices import Board
from rig.clock import RealClock
from rig.messages import Message, Start

_EVERY_NS = 61_000_000


class Metronome:
    """An animal that runs, and licks about 16 times per second at random times."""

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The distance per count of the wheel."""

        cm_per_count: float = 0.0135

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock: RealClock | None = None
        """The clock of the session; None before the session has begun."""
        self._rng = np.random.default_rng(1)
        self._next = 0

    def open(self) -> None:
        pass

    def handle(self, message: Message) -> None:
        if isinstance(message, Start):
            self.begin(int(message.session["t0_ns"]), message.t)

    def begin(self, t0_ns: int, now: int) -> None:
        """Start to lick; t0_ns is the zero of the session on the computer's monotonic clock."""
        self.clock = RealClock(t0_ns)
        self._next = now + _EVERY_NS

    def counts(self, now: int) -> int:
        return int(25.0 * now / 1e9 / self.settings.cm_per_count)

    def licks(self, now: int) -> list[int]:
        onsets = []
        while self.clock is not None and self._next <= now:
            onsets.append(self._next)
            self._next += _EVERY_NS + int(self._rng.integers(0, 2_000_000))
        return onsets


class Valve(devices.Valve):
    """A valve that returns the real time of its opening, not the time of the tick."""

    def __init__(self, settings: ValveSettings, name: str, board: Any) -> None:
        super().__init__(settings, name, board)
        self._animal = board.mouse if isinstance(board, Board) else None

    def pulse(self, now: int, open_ms: float) -> int:
        super().pulse(now, open_ms)
        clock = self._animal.clock if isinstance(self._animal, Metronome) else None
        return now if clock is None else clock.now()
