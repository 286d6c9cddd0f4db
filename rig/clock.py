"""The session clock: ns since the session's zero, on the machine's monotonic clock."""

import sys
import time
from typing import Protocol


def monotonic_ns() -> int:
    """Return the computer's monotonic clock, ns, which all its processes share."""
    return time.monotonic_ns()


def suspended_s() -> float:
    """Return for how long the computer was suspended since its start, s; 0 if not known.

    The monotonic clock does not advance during that time.
    """
    sleep_s = 0.0
    if sys.platform == "linux":
        since_start_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        sleep_s = since_start_s - time.clock_gettime(time.CLOCK_MONOTONIC)
    return sleep_s


class Clock(Protocol):
    """A clock; calling it returns the session time, ns."""

    def now(self) -> int: ...


class RealClock:
    """The computer's monotonic clock minus the session's zero."""

    def __init__(self, t0_ns: int) -> None:
        self._t0_ns = t0_ns

    def now(self) -> int:
        return monotonic_ns() - self._t0_ns


class SetClock:
    """A clock that is set by the program, for virtual time and replay; it never goes backwards."""

    def __init__(self) -> None:
        self._now = 0

    def now(self) -> int:
        return self._now

    def set(self, now: int) -> None:
        self._now = max(self._now, now)
