"""Keep track of which valves are armed for the next lick, and until when.

This module does no input or output: the driver asks it before it opens a valve. A lick line and a
valve of the same name form a spout. A lick at a spout fires the valve if it is armed. Each request
(an Arm) ends once: it fires, is rejected, is disarmed, or expires at its deadline.
"""

import msgspec

from rig.messages import Arm

LEASE_NS = 1_000_000_000
"""Time for which a valve stays armed after its last Arm, ns; the task must renew it in time."""
OLDEST_LICK_NS = 1_000_000_000
"""Largest age of a lick that can fire a valve when the driver reads it, ns."""
_SILENT = "the task stopped renewing the request"


class Fire(msgspec.Struct, frozen=True):
    """A valve should open now, for the lick at lick_t (ns) if there was one."""

    arm: Arm
    lick_t: int | None


class Rejection(msgspec.Struct, frozen=True):
    """A request that is rejected, and the reason."""

    arm: Arm
    reason: str


class Arming:
    """The armed requests, at most one for each spout. All times are the driver's, in ns.

    A manual reward is granted even if another request is armed.
    """

    def __init__(self) -> None:
        self._armed: dict[str, Arm] = {}
        self._seen: set[int] = set()
        self._last_lick: dict[str, int] = {}
        self._received: dict[int, int] = {}
        """Time at which each request was last received, ns; a repeated Arm keeps its first `t`."""

    def request(self, arm: Arm, now: int) -> Fire | Rejection | None:
        """Handle a request: fire it, reject it, or arm it (None). A repeated request is renewed."""
        self._received[arm.id] = now
        if arm.id in self._seen:
            return None
        self._seen.add(arm.id)
        if now > arm.deadline:
            late_ms = (now - arm.deadline) / 1e6
            return Rejection(arm, f"it arrived {late_ms:.0f} ms after its deadline")
        armed = self._armed.get(arm.line)
        if armed is not None and now <= armed.deadline and not arm.manual:
            return Rejection(arm, f"valve {arm.line} is still armed by request {armed.id}")
        if arm.on == "now":
            return Fire(arm, arm.lick_t)
        self._armed[arm.line] = arm
        # The animal may have licked before the request arrived.
        last = self._last_lick.get(arm.line)
        return None if last is None else self._fire(arm.line, last, now)

    def lick(self, line: str, t: int, now: int) -> Fire | Rejection | None:
        """Handle a lick at t; fire the request armed at that spout if it is older than the lick."""
        self._last_lick[line] = max(t, self._last_lick.get(line, t))
        return self._fire(line, t, now)

    def disarm(self, request: int) -> None:
        """Cancel a request, even one that has not arrived yet."""
        self._seen.add(request)
        self._armed = {line: arm for line, arm in self._armed.items() if arm.id != request}

    def expire(self, now: int) -> list[Rejection]:
        """Drop requests past their deadline; reject those that the task has not renewed."""
        if not self.is_armed:  # nearly always; this runs every millisecond
            return []
        kept = [arm for arm in self._armed.values() if now <= arm.deadline]
        self._armed = {arm.line: arm for arm in kept if self._is_leased(arm, now)}
        return [Rejection(arm, _SILENT) for arm in kept if not self._is_leased(arm, now)]

    @property
    def is_armed(self) -> bool:
        """True if a request is armed."""
        return bool(self._armed)

    def armed(self) -> list[tuple[Arm, int]]:
        """Return each armed request and the time (ns) at which it ends unless it is renewed."""
        received = self._received
        return [(a, min(a.deadline, received[a.id] + LEASE_NS)) for a in self._armed.values()]

    def _fire(self, line: str, lick_t: int, now: int) -> Fire | Rejection | None:
        arm = self._armed.get(line)
        if arm is None or not arm.t <= lick_t <= arm.deadline or now > arm.deadline:
            return None
        if now - lick_t > OLDEST_LICK_NS:
            return None
        del self._armed[line]
        if not self._is_leased(arm, now):
            return Rejection(arm, _SILENT)
        return Fire(arm, lick_t)

    def _is_leased(self, arm: Arm, now: int) -> bool:
        return now - self._received[arm.id] <= LEASE_NS
