"""The limits on water: every valve pulse must be authorized here before a valve opens.

The guard does no input or output, and it does not trust the task: it checks each pulse only against
the limits of the setup.
"""

import math
from collections import deque
from typing import Annotated

import msgspec

_MINUTE_NS = 60_000_000_000


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The [nodes.hardware.guard] table. No setup can set a limit outside the bounds given here."""

    max_open_ms: Annotated[float, msgspec.Meta(gt=0, le=150)] = 150.0
    """Longest pulse, ms."""
    min_gap_ms: Annotated[float, msgspec.Meta(ge=10, le=60_000)] = 200.0
    """Shortest time from the end of a pulse to the start of the next, over all valves, ms."""
    max_per_minute: Annotated[int, msgspec.Meta(ge=1, le=60)] = 30
    """Largest number of pulses in any minute."""
    max_day_ul: Annotated[float, msgspec.Meta(gt=0, le=2000)] = 1000.0
    """Largest amount of water that an animal may get in a day, over all sessions, microlitres."""
    max_unconsumed: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5
    """After this many rewards without a lick, no water is given until the animal licks."""
    reserve_rewards: Annotated[int, msgspec.Meta(ge=3, le=50)] = 5
    """Number of rewards in a block of water; each block is recorded on disk before it is given."""


class Refusal(msgspec.Struct, frozen=True):
    """A pulse that the guard does not authorize."""

    reason: str
    """The exceeded limit, as the end of a sentence: "valve centre stayed shut: REASON"."""


class Guard:
    """The guard: authorizes or refuses valve pulses, and counts the water of authorized pulses.

    A pulse that a device may start by itself is reserved before the device is armed. While a pulse
    is reserved, no other pulse is authorized. The reservation ends when the device reports that it
    fired (`confirm_reserved`) or was disarmed before it fired (`release_reserved`).
    """

    def __init__(self, limits: Limits, given_today_ul: float = 0.0) -> None:
        """Start a session.

        Args:
            limits: Limits of the rig.
            given_today_ul: Water that the animal got earlier that day, microlitres.
        """
        self._limits = limits
        self._before_ul = given_today_ul
        self._opened: set[int] = set()
        self._starts: deque[int] = deque()
        self._free_at: int | None = None
        self._last_start: int | None = None
        self._unconsumed = 0
        self._reserved: tuple[int, float] | None = None
        """Request id and volume (ul) of the reserved pulse."""
        self.given_ul = 0.0
        """Water authorized in this session without the reserved pulse, microlitres."""
        self.reserved_ul = math.inf
        """Most water of this session, microlitres: the amount already recorded on disk."""

    def record_lick(self, t: int) -> None:
        """Record a lick at t (ns), which means that the animal consumed all earlier rewards."""
        if self._last_start is None or t > self._last_start:
            self._unconsumed = 0

    def authorize(self, request: int, now: int, open_ms: float, volume_ul: float) -> Refusal | None:
        """Authorize a pulse that starts now, and count its water as given.

        Args:
            request: Id of the Arm. Each id is authorized at most once.
            now: Start of the pulse, ns.
            open_ms: Length of the pulse, ms.
            volume_ul: Water that the pulse delivers, microlitres.

        Returns:
            None if the valve may open; otherwise the refusal, and the valve must stay shut.
        """
        refusal = self._check(request, now, open_ms, volume_ul)
        if refusal is None:
            self._count(request, now, open_ms, volume_ul)
        return refusal

    def reserve_pulse(
        self, request: int, now: int, open_ms: float, volume_ul: float
    ) -> Refusal | None:
        """Authorize a pulse that a device may start by itself at any time from now on.

        The arguments and the result are those of `authorize`.
        """
        refusal = self._check(request, now, open_ms, volume_ul)
        if refusal is None:
            self._reserved = (request, volume_ul)
        return refusal

    def confirm_reserved(self, t: int, open_ms: float, lick_t: int) -> None:
        """Count the reserved pulse as given: it started at t (ns), for the lick at lick_t (ns).

        Raises:
            ValueError: No pulse is reserved.
        """
        if self._reserved is None:
            raise ValueError("no pulse is reserved")
        self.record_lick(lick_t)
        (request, volume_ul), self._reserved = self._reserved, None
        self._count(request, t, open_ms, volume_ul)

    def release_reserved(self) -> None:
        """Cancel the reserved pulse, which has not started and will not start."""
        self._reserved = None

    @property
    def committed_ul(self) -> float:
        """Water given or reserved in this session, microlitres."""
        return self.given_ul + (0.0 if self._reserved is None else self._reserved[1])

    def _count(self, request: int, t: int, open_ms: float, volume_ul: float) -> None:
        self._opened.add(request)
        self._starts.append(t)
        self._free_at = t + math.ceil((open_ms + self._limits.min_gap_ms) * 1e6)
        self._last_start = t
        self._unconsumed += 1
        self.given_ul += volume_ul

    def _check(self, request: int, now: int, open_ms: float, volume_ul: float) -> Refusal | None:
        # Each comparison of amounts is written so that NaN is refused.
        if not 0.0 < volume_ul < math.inf:
            return Refusal(f"{volume_ul} ul is not a valid volume")
        limits = self._limits
        if not 0.0 < open_ms <= limits.max_open_ms:
            return Refusal(
                f"a pulse of {open_ms:g} ms exceeds the limit of {limits.max_open_ms:g} ms"
            )
        if request in self._opened:
            return Refusal(f"request {request} was already granted")
        if self._reserved is not None:
            return Refusal(
                f"request {self._reserved[0]} is armed in its device, which may open at any moment"
            )
        return self._check_volume(volume_ul) or self._check_timing(now)

    def _check_volume(self, volume_ul: float) -> Refusal | None:
        limits = self._limits
        if not self._before_ul + self.given_ul + volume_ul <= limits.max_day_ul:
            return Refusal(f"the daily limit of {limits.max_day_ul:g} ul is reached")
        if self._unconsumed >= limits.max_unconsumed:
            return Refusal(f"the animal did not lick after the last {self._unconsumed} rewards")
        if not self.given_ul + volume_ul <= self.reserved_ul:
            return Refusal("this water is not yet recorded on disk")
        return None

    def _check_timing(self, now: int) -> Refusal | None:
        limits = self._limits
        while self._starts and now - self._starts[0] >= _MINUTE_NS:
            self._starts.popleft()
        if self._free_at is not None and now < self._free_at:
            return Refusal(f"the last pulse ended less than {limits.min_gap_ms:g} ms ago")
        if len(self._starts) >= limits.max_per_minute:
            return Refusal(f"there were {limits.max_per_minute} pulses in the last minute")
        return None
