"""The session clock: ns since the session's zero, on the machine's monotonic clock."""

import time
from typing import Protocol


def monotonic_ns() -> int:
    """The machine's monotonic clock, shared by all its processes."""
    return time.monotonic_ns()


class Clock(Protocol):
    """Returns the session's time in ns."""

    def now(self) -> int: ...


class RealClock:
    """The machine's clock, from the session's zero on."""

    def __init__(self, t0_ns: int) -> None:
        self._t0_ns = t0_ns

    def now(self) -> int:
        return monotonic_ns() - self._t0_ns


class SetClock:
    """A clock that is set, for virtual time and replay; it never goes back."""

    def __init__(self) -> None:
        self._now = 0

    def now(self) -> int:
        return self._now

    def set(self, now: int) -> None:
        self._now = max(self._now, now)
