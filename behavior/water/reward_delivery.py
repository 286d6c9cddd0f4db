"""The only place where a valve is opened or armed, and always past the guard."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from behavior.devices import protocols
from behavior.water.arming import Arming, Fire, Refusal
from behavior.water.guard import Guard, Limits
from rig.messages import Arm, Disarm, Fault, Message, Valve
from rig.session.water_reserve import Reservation
from rig.settings.config import blocks

_REWARD_UL = 3.0
"""What a block of set-aside water is counted in where the task names no volume."""
_LOW_REWARDS = 2
"""With less than so many rewards left of a block, the next one is set aside."""


class _Held(msgspec.Struct):
    """The reward that a device holds by itself."""

    arm: Arm
    valve: protocols.ArmedValve
    open_ms: float
    until: int


class RewardDelivery:
    """Answers each Arm with one Valve when it is fired or refused (a refusal is a Fault too).

    The best layer present fires a reward: a device that can hold one is armed with it as soon as
    the guard pledges it; else, and while the guard does not, the driver looks for the lick. What a
    device holds is taken back before any other pulse.
    """

    def __init__(
        self,
        valves: dict[str, protocols.Valve],
        limits: Limits,
        publish: Callable[[Message], None],
        tell: Callable[[Message], None],
    ) -> None:
        """`say` is the driver's; `tell` takes each Valve that opened, for the other devices."""
        self._valves, self._limits, self._say, self._tell = valves, limits, publish, tell
        self._holders: dict[str, protocols.ArmedValve] = {
            name: valve for name, valve in valves.items() if isinstance(valve, protocols.ArmedValve)
        }
        self._arming = Arming()
        self._doubted: set[str] = set()
        self._guard: Guard | None = None
        self._reservation: Reservation | None = None
        self._held: _Held | None = None
        self._closed = False

    def begin(self, session: dict[str, Any]) -> None:
        """Let there be water, less what the animal had today; a second Start changes nothing."""
        if self._guard is not None:
            return
        self._guard = Guard(self._limits, session.get("given_today_ul", 0.0))
        if session.get("began"):  # else it is in virtual time and has no folder
            each_ul = [block.get("reward_ul", _REWARD_UL) for block in blocks(session["task"])]
            reward_ul = float(max(each_ul))
            block_ul = self._limits.reserve_rewards * reward_ul
            self._reservation = Reservation(Path(), block_ul, _LOW_REWARDS * reward_ul)

    def handle(self, message: Arm | Disarm, now: int) -> None:
        """Take a wish, or forget one."""
        if isinstance(message, Arm):
            self._obey(self._arming.take(message, now), now)
        else:
            self._arming.disarm(message.id)
        self._hold(now)

    def collect(self, now: int) -> None:
        """Say what a device fired since the last call; before the licks are looked at."""
        held = self._held
        if held is not None and (fired := held.valve.fired(now)) is not None:
            self._settle(held, fired)

    def lick(self, line: str, t: int, now: int) -> None:
        """Take a lick at t (ns); open the valve that waits for it."""
        if self._guard is not None:
            self._guard.lick(t)
        self._obey(self._arming.lick(line, t, now), now)

    def doubt(self, line: str, doubted: bool) -> None:
        """Have no device watch a lick line whose next onset may be no lick, or let it again."""
        if doubted:
            self._doubted.add(line)
        else:
            self._doubted.discard(line)

    def tick(self, now: int) -> None:
        """Drop what is over, arm what waits, set more water aside if little is left."""
        for refusal in self._arming.lapse(now):
            self._obey(refusal, now)
        self._hold(now)
        if self._guard is not None and self._reservation is not None:
            self._reservation.used(self._guard.spoken_for_ul)

    def close(self, now: int) -> None:
        """Take back what a device holds, shut every valve, whatever fails; say the last water."""
        self._closed = True
        with ExitStack() as stack:  # last in, first out, and none is left out if another raises
            if self._reservation is not None:
                stack.callback(self._reservation.close)
            for valve in self._valves.values():
                stack.callback(valve.close)
            stack.callback(self._let_go, now)

    def _hold(self, now: int) -> None:
        """Have the device hold what waits, and nothing else."""
        if self._closed or self._guard is None:
            return
        waiting = [(a, t) for a, t in self._arming.waiting() if a.line not in self._doubted]
        held = self._held
        if held is not None:
            until = next((until for arm, until in waiting if arm.id == held.arm.id), None)
            if until is None:
                self._let_go(now)
            elif until != held.until:
                held.until = until
                held.valve.keep(until)
        for arm, until in waiting:
            valve = self._holders.get(arm.line)
            if self._held is None and valve is not None:
                open_ms = valve.settings.open_ms(arm.volume_ul)
                self._look_at_the_disk(self._guard)
                if not self._guard.pledge(arm.id, now, open_ms, arm.volume_ul):
                    self._held = _Held(arm, valve, open_ms, until)
                    valve.arm(now, open_ms, until)

    def _let_go(self, now: int) -> int | None:
        """Take back what a device holds; if it was faster, say so and return its wish."""
        held = self._held
        if held is None or self._guard is None:
            return None
        try:
            fired = held.valve.disarm(now)
        except BaseException:
            # it may have opened, and nobody can say: that counts as water
            self._held = None
            self._guard.settle(now, held.open_ms, now)
            arm = held.arm
            self._lost(Valve(now, arm.id, arm.line, held.open_ms, arm.volume_ul))
            raise
        if fired is not None:
            self._settle(held, fired)
            return held.arm.id
        self._held = None
        self._guard.release()
        return None

    def _settle(self, held: _Held, fired: protocols.Fired) -> None:
        self._held = None
        if self._guard is not None:
            self._guard.settle(fired.opened_t, fired.open_ms, fired.lick_t)
        arm = held.arm
        self._arming.disarm(arm.id)
        self._opened(
            Valve(fired.opened_t, arm.id, arm.line, fired.open_ms, arm.volume_ul, fired.lick_t)
        )

    def _obey(self, verdict: Fire | Refusal | None, now: int) -> None:
        if verdict is None:
            return
        arm = verdict.arm
        held = self._held
        concerned = held is not None and (isinstance(verdict, Fire) or arm.id == held.arm.id)
        if concerned and self._let_go(now) == arm.id:
            return
        match verdict:
            case Fire():
                self._open(verdict, now)
            case Refusal():
                self._refuse(arm, verdict.reason, now)

    def _open(self, fire: Fire, now: int) -> None:
        """Open a valve if the guard allows it."""
        arm = fire.arm
        if self._closed:
            return
        valve = self._valves.get(arm.line)
        if valve is None:
            self._refuse(arm, "there is no such valve in the setup", now)
            return
        if self._guard is None:
            self._refuse(arm, "the session has not begun", now)
            return
        self._look_at_the_disk(self._guard)
        open_ms = valve.settings.open_ms(arm.volume_ul)
        reason = self._guard.allow(arm.id, now, open_ms, arm.volume_ul)
        if reason:
            self._refuse(arm, reason, now)
            return
        message = Valve(
            now, arm.id, arm.line, open_ms, arm.volume_ul, fire.lick_t, manual=arm.manual
        )
        try:
            opened_t = valve.pulse(now, open_ms)
        except BaseException:
            # it may have opened, and nobody can say: that counts as water
            self._lost(message)
            raise
        self._opened(msgspec.structs.replace(message, t=opened_t))

    def _look_at_the_disk(self, guard: Guard) -> None:
        if self._reservation is not None:
            guard.reserved_ul = self._reservation.durable_ul

    def _lost(self, message: Valve) -> None:
        self._say(message)
        self._say(Fault(message.t, f"valve {message.line} did not answer; it may have opened"))

    def _opened(self, message: Valve) -> None:
        self._say(message)
        self._tell(message)

    def _refuse(self, arm: Arm, reason: str, now: int) -> None:
        self._say(Valve(now, arm.id, arm.line, 0.0, 0.0, arm.lick_t, reason, arm.manual))
        self._say(Fault(now, f"valve {arm.line} stayed shut: {reason}"))
