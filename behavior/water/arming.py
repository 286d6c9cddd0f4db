"""Which valves wait for a lick, and until when. Pure; the driver asks it before it opens any.

A spout is a lick line and a valve line of one name: a lick there fires the valve armed there.
Every wish is fired, refused, disarmed, or over at its deadline, and only once.
"""

import msgspec

from rig.messages import Arm

LEASE_NS = 1_000_000_000
"""How long a valve stays armed after its wish was heard (again): the task must be alive."""
OLDEST_LICK_NS = 1_000_000_000
"""A lick that is heard of later than this is no reason for water any more."""
_SILENT = "the task fell silent"


class Fire(msgspec.Struct, frozen=True):
    """A valve is to open now, for the lick at lick_t (ns) if there was one."""

    arm: Arm
    lick_t: int | None


class Refusal(msgspec.Struct, frozen=True):
    """A wish that will not be granted, and why."""

    arm: Arm
    reason: str


class Arming:
    """Holds the wishes that wait, at most one a spout. All times are the driver's own, in ns.

    Water by hand is given though another wish waits.
    """

    def __init__(self) -> None:
        self._armed: dict[str, Arm] = {}
        self._seen: set[int] = set()
        self._last_lick: dict[str, int] = {}
        self._received: dict[int, int] = {}
        """When each wish was last heard: an Arm said again does not tell when that was."""

    def take(self, arm: Arm, now: int) -> Fire | Refusal | None:
        """Take a wish: fire it, refuse it, or let it wait; a repeated one waits on, no more."""
        self._received[arm.id] = now
        if arm.id in self._seen:
            return None
        self._seen.add(arm.id)
        if now > arm.deadline:
            return Refusal(arm, f"it came {(now - arm.deadline) / 1e6:.0f} ms after its deadline")
        waiting = self._armed.get(arm.line)
        if waiting is not None and now <= waiting.deadline and not arm.manual:
            return Refusal(arm, f"valve {arm.line} is still armed by wish {waiting.id}")
        if arm.on == "now":
            return Fire(arm, arm.lick_t)
        self._armed[arm.line] = arm
        # a lick may have come in the time that the wish was on its way
        last = self._last_lick.get(arm.line)
        return None if last is None else self._fire(arm.line, last, now)

    def lick(self, line: str, t: int, now: int) -> Fire | Refusal | None:
        """Take a lick at t on a spout; fire what is armed there if the lick is not older."""
        self._last_lick[line] = max(t, self._last_lick.get(line, t))
        return self._fire(line, t, now)

    def disarm(self, request: int) -> None:
        """Forget a wish; also one that has not come yet."""
        self._seen.add(request)
        self._armed = {line: arm for line, arm in self._armed.items() if arm.id != request}

    def lapse(self, now: int) -> list[Refusal]:
        """Drop what is past its deadline, and refuse what the task no longer stands behind."""
        kept = [arm for arm in self._armed.values() if now <= arm.deadline]
        self._armed = {arm.line: arm for arm in kept if self._leased(arm, now)}
        return [Refusal(arm, _SILENT) for arm in kept if not self._leased(arm, now)]

    def waiting(self) -> list[tuple[Arm, int]]:
        """Return each wish that waits, and until when (ns) if it is not heard again."""
        lease = self._received
        return [(a, min(a.deadline, lease[a.id] + LEASE_NS)) for a in self._armed.values()]

    def _fire(self, line: str, lick_t: int, now: int) -> Fire | Refusal | None:
        arm = self._armed.get(line)
        if arm is None or not arm.t <= lick_t <= arm.deadline or now > arm.deadline:
            return None
        if now - lick_t > OLDEST_LICK_NS:
            return None
        del self._armed[line]
        if not self._leased(arm, now):
            return Refusal(arm, _SILENT)
        return Fire(arm, lick_t)

    def _leased(self, arm: Arm, now: int) -> bool:
        return now - self._received[arm.id] <= LEASE_NS
