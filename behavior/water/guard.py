"""The last word on water: what no valve may do, whatever asks for it. Pure; its caller has no key.

Nothing here trusts the task: a pulse is checked against limits that stand in the setup of the rig.
"""

import math
from collections import deque
from typing import Annotated

import msgspec

_MINUTE_NS = 60_000_000_000


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The [nodes.hardware.guard] table. The bounds hold for every rig."""

    max_open_ms: Annotated[float, msgspec.Meta(gt=0, le=150)] = 150.0
    """The longest pulse."""
    min_gap_ms: Annotated[float, msgspec.Meta(ge=10, le=60_000)] = 200.0
    """The shortest time from a pulse's end to the next one's start, over all valves."""
    max_per_minute: Annotated[int, msgspec.Meta(ge=1, le=60)] = 30
    """The most pulses in any minute."""
    max_day_ul: Annotated[float, msgspec.Meta(gt=0, le=2000)] = 1000.0
    """The most water an animal gets in a day, over all its sessions, microlitres."""
    max_unconsumed: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5
    """So many rewards without a lick after any of them, and there is no more until one comes."""
    reserve_rewards: Annotated[int, msgspec.Meta(ge=3, le=50)] = 5
    """Water is set aside on the disk in blocks of so many rewards before it is given."""


class Guard:
    """Allows a pulse or refuses it, and books what it allowed as given.

    A pulse that a device may start by itself is pledged before the device is armed. While one is,
    there is no other: it is settled with the moment at which it came, or released unfired.
    """

    def __init__(self, limits: Limits, given_today_ul: float = 0.0) -> None:
        """Begin a session of an animal that was given so much before it on that day."""
        self._limits = limits
        self._before_ul = given_today_ul
        self._opened: set[int] = set()
        self._starts: deque[int] = deque()
        self._free_at: int | None = None
        self._last_start: int | None = None
        self._unconsumed = 0
        self._pledged: tuple[int, float] | None = None
        self.given_ul = 0.0
        """What was allowed so far, microlitres, without what is pledged."""
        self.reserved_ul = math.inf
        """No more than this in all: what is set aside on the disk, where there is one."""

    def lick(self, t: int) -> None:
        """Take a lick at t (ns): what was given before it is consumed."""
        if self._last_start is None or t > self._last_start:
            self._unconsumed = 0

    def allow(self, request: int, now: int, open_ms: float, volume_ul: float) -> str:
        """Return "" and book the pulse if it may start now (ns); else return why not.

        `wish` is the id of the Arm: no id is allowed twice.
        """
        reason = self._against(request, now, open_ms, volume_ul)
        if not reason:
            self._book(request, now, open_ms, volume_ul)
        return reason

    def pledge(self, request: int, now: int, open_ms: float, volume_ul: float) -> str:
        """Return "" and set aside a pulse that may start at any time from now; else why not."""
        reason = self._against(request, now, open_ms, volume_ul)
        if not reason:
            self._pledged = (request, volume_ul)
        return reason

    def settle(self, t: int, open_ms: float, lick_t: int) -> None:
        """Book the pledged pulse: it started at t (ns) for the lick at lick_t."""
        if self._pledged is None:
            raise ValueError("a pulse that was not pledged cannot be settled")
        self.lick(lick_t)
        (request, volume_ul), self._pledged = self._pledged, None
        self._book(request, t, open_ms, volume_ul)

    def release(self) -> None:
        """Let the pledged pulse go: it did not start and will not."""
        self._pledged = None

    @property
    def spoken_for_ul(self) -> float:
        """What was given and what is pledged, microlitres."""
        return self.given_ul + (0.0 if self._pledged is None else self._pledged[1])

    def _book(self, request: int, t: int, open_ms: float, volume_ul: float) -> None:
        self._opened.add(request)
        self._starts.append(t)
        self._free_at = t + math.ceil((open_ms + self._limits.min_gap_ms) * 1e6)
        self._last_start = t
        self._unconsumed += 1
        self.given_ul += volume_ul

    def _against(self, request: int, now: int, open_ms: float, volume_ul: float) -> str:
        # each comparison of amounts is written so that NaN fails it
        if not 0.0 < volume_ul < math.inf:
            return f"{volume_ul} ul is no volume"
        limits = self._limits
        if not 0.0 < open_ms <= limits.max_open_ms:
            return f"a pulse of {open_ms:g} ms is over the limit of {limits.max_open_ms:g} ms"
        if request in self._opened:
            return f"wish {request} was already granted"
        if self._pledged is not None:
            return f"wish {self._pledged[0]} is armed in its device and may open at any moment"
        return self._too_much(volume_ul) or self._too_soon(now)

    def _too_much(self, volume_ul: float) -> str:
        limits = self._limits
        if not self._before_ul + self.given_ul + volume_ul <= limits.max_day_ul:
            return f"the day's limit of {limits.max_day_ul:g} ul is reached"
        if self._unconsumed >= limits.max_unconsumed:
            return f"the last {self._unconsumed} rewards were not licked up"
        if not self.given_ul + volume_ul <= self.reserved_ul:
            return "the disk has not yet noted that so much may be given"
        return ""

    def _too_soon(self, now: int) -> str:
        limits = self._limits
        while self._starts and now - self._starts[0] >= _MINUTE_NS:
            self._starts.popleft()
        if self._free_at is not None and now < self._free_at:
            return f"the last pulse ended less than {limits.min_gap_ms:g} ms ago"
        if len(self._starts) >= limits.max_per_minute:
            return f"there were {limits.max_per_minute} pulses in the last minute"
        return ""
