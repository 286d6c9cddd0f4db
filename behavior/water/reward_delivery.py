"""Give rewards. Only this module opens or arms a valve in a session, and only if the guard allows.

How a valve is opened at a lick:

- A valve whose device can wait for the lick (`ArmedValve`) is armed in its device, after the guard
  has reserved the pulse. The device opens the valve at the lick and reports it afterwards.
- Any other valve, or one whose reservation the guard refuses, is opened by the driver when it reads
  the lick.

At most one valve is armed in its device. It is disarmed before any other pulse.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from behavior.devices import protocols
from behavior.water.arming import Arming, Fire, Rejection
from behavior.water.guard import Guard, Limits
from behavior.water.water_checks import reward_volumes_ul
from rig.messages import Arm, Disarm, Fault, Message, Valve
from rig.subjects.begun_water import BegunWater
from rig.subjects.water_reserve import Reservation

_LOW_REWARDS = 2
"""Number of remaining rewards below which the next block of water is reserved on disk."""


class _Held(msgspec.Struct):
    """The reward that is armed in a device."""

    arm: Arm
    valve: protocols.ArmedValve
    open_ms: float
    until: int
    """Time (ns) at which the device drops the reward unless it is extended."""


class RewardDelivery:
    """The delivery of rewards: each Arm that fires or is refused is answered by one Valve message.

    A refusal is also published as a Fault. A request that is disarmed or expires gets no answer.
    """

    def __init__(
        self,
        valves: dict[str, protocols.Valve],
        limits: Limits,
        publish: Callable[[Message], None],
        notify_devices: Callable[[Message], None],
    ) -> None:
        """Prepare delivery; no water is given before `start_session`.

        Args:
            valves: Valves by name.
            limits: Limits of the guard.
            publish: Publishes a message.
            notify_devices: Called with the Valve message of each valve that opened, for other
                devices (an output that goes up with each reward, the simulated mouse).
        """
        self._valves, self._limits = valves, limits
        self._publish, self._notify_devices = publish, notify_devices
        self._armed_valves: dict[str, protocols.ArmedValve] = {
            name: valve for name, valve in valves.items() if isinstance(valve, protocols.ArmedValve)
        }
        self._arming = Arming()
        self._untrusted: set[str] = set()
        self._guard: Guard | None = None
        self._reservation: Reservation | None = None
        self._begun: BegunWater | None = None
        self._held: _Held | None = None
        self._closed = False

    def start_session(self, session: dict[str, Any]) -> None:
        """Allow water, up to the daily limit minus the water that the animal got earlier that day.

        A second Start changes nothing.
        """
        if self._guard is not None:
            return
        self._guard = Guard(self._limits, session.get("given_today_ul", 0.0))
        if session.get("began"):  # a session in virtual time has no folder
            reward_ul = max(reward_volumes_ul(session["task"]))
            block_ul = self._limits.reserve_rewards * reward_ul
            self._begun = BegunWater(session.get("id", ""))
            self._reservation = Reservation(Path(), block_ul, _LOW_REWARDS * reward_ul)

    def handle(self, message: Arm | Disarm, now: int) -> None:
        """Handle or cancel a request for water."""
        if isinstance(message, Arm):
            self._answer(self._arming.request(message, now), now)
        else:
            self._arming.disarm(message.id)
        self._update_device(now)

    def collect_fired(self, now: int) -> None:
        """Publish the reward that a device gave since the last call; call it before `lick`."""
        held = self._held
        if held is not None and (fired := held.valve.fired(now)) is not None:
            self._confirm(held, fired)

    def lick(self, line: str, t: int, now: int) -> None:
        """Handle a lick at t (ns); open the valve that is armed for it."""
        if self._guard is not None:
            self._guard.record_lick(t)
        self._answer(self._arming.lick(line, t, now), now)

    def trust_line(self, line: str, trusted: bool) -> None:
        """Set whether the next onset of a lick line would be a lick.

        While it would not be, no valve is armed in a device on that line, as a device cannot tell.
        """
        if trusted:
            self._untrusted.discard(line)
        else:
            self._untrusted.add(line)

    def tick(self, now: int) -> None:
        """Drop expired requests, arm or disarm the device, reserve more water on disk if needed."""
        for rejection in self._arming.expire(now):
            self._answer(rejection, now)
        self._update_device(now)
        if self._guard is not None and self._reservation is not None:
            self._reservation.used(self._guard.committed_ul)

    def close(self, now: int) -> None:
        """Disarm the device and shut every valve, even if one of them fails."""
        self._closed = True
        with ExitStack() as stack:  # calls run in reverse order, each even if another raises
            if self._reservation is not None:
                stack.callback(self._reservation.close)
            if self._begun is not None:
                stack.callback(self._begun.close)
            for valve in self._valves.values():
                stack.callback(valve.close)
            stack.callback(self._take_back, now)

    def _update_device(self, now: int) -> None:
        """Arm the device for the request that is armed now, and for no other.

        First, the reward in a device is disarmed if its request has ended, or extended if its
        request lasts longer. Then, if no device is armed, the first armed request is given to its
        device.
        """
        if self._closed or self._guard is None:
            return
        if self._held is None and not self._arming.is_armed:
            return
        armed = [(a, until) for a, until in self._arming.armed() if a.line not in self._untrusted]
        if self._held is not None:
            ends = {arm.id: until for arm, until in armed}
            self._extend_or_take_back(self._held, ends.get(self._held.arm.id), now)
        for arm, until in armed:
            if self._held is None and arm.line in self._armed_valves:
                self._arm_device(self._guard, arm, until, now)

    def _extend_or_take_back(self, held: _Held, until: int | None, now: int) -> None:
        if until is None:
            self._take_back(now)
        elif until != held.until:
            held.until = until
            held.valve.keep(until)

    def _arm_device(self, guard: Guard, arm: Arm, until: int, now: int) -> None:
        """Arm the valve's device, if the guard reserves the pulse."""
        valve = self._armed_valves[arm.line]
        open_ms = valve.settings.open_ms(arm.volume_ul)
        self._update_reserved(guard)
        if guard.reserve_pulse(arm.id, now, open_ms, arm.volume_ul) is None:
            self._note_begun(guard)
            self._held = _Held(arm, valve, open_ms, until)
            valve.arm(now, open_ms, until)

    def _take_back(self, now: int) -> int | None:
        """Disarm the device; if it had already fired, publish the reward and return its request."""
        held = self._held
        if held is None or self._guard is None:
            return None
        try:
            fired = held.valve.disarm(now)
        except BaseException:
            # The valve may have opened, which cannot be known, so count it as water.
            self._held = None
            self._guard.confirm_reserved(now, held.open_ms, now)
            arm = held.arm
            self._publish_uncertain(Valve(now, arm.id, arm.line, held.open_ms, arm.volume_ul))
            raise
        if fired is not None:
            self._confirm(held, fired)
            return held.arm.id
        self._held = None
        self._guard.release_reserved()
        return None

    def _confirm(self, held: _Held, fired: protocols.Fired) -> None:
        """Count and publish a reward that a device gave by itself."""
        self._held = None
        if self._guard is not None:
            self._guard.confirm_reserved(fired.opened_t, fired.open_ms, fired.lick_t)
        arm = held.arm
        self._arming.disarm(arm.id)
        self._publish_opened(
            Valve(fired.opened_t, arm.id, arm.line, fired.open_ms, arm.volume_ul, fired.lick_t)
        )

    def _answer(self, decision: Fire | Rejection | None, now: int) -> None:
        """Carry out a decision of `Arming`: open the valve, or publish the refusal.

        Before a valve opens, or if the decision is about the request in a device, that device is
        disarmed. If the device had already fired this request, only its reward is published.
        """
        if decision is None:
            return
        arm = decision.arm
        held = self._held
        must_disarm = held is not None and (isinstance(decision, Fire) or arm.id == held.arm.id)
        if must_disarm and self._take_back(now) == arm.id:
            return
        match decision:
            case Fire():
                self._open(decision, now)
            case Rejection():
                self._refuse(arm, decision.reason, now)

    def _open(self, fire: Fire, now: int) -> None:
        """Open a valve if the guard authorizes it."""
        arm = fire.arm
        if self._closed:
            return
        valve = self._valves.get(arm.line)
        if valve is None:
            self._refuse(arm, "the setup has no valve of that name", now)
            return
        if self._guard is None:
            self._refuse(arm, "the session has not started", now)
            return
        self._update_reserved(self._guard)
        open_ms = valve.settings.open_ms(arm.volume_ul)
        refusal = self._guard.authorize(arm.id, now, open_ms, arm.volume_ul)
        if refusal is not None:
            self._refuse(arm, refusal.reason, now)
            return
        message = Valve(
            now, arm.id, arm.line, open_ms, arm.volume_ul, fire.lick_t, manual=arm.manual
        )
        self._note_begun(self._guard)
        try:
            opened_t = valve.pulse(now, open_ms)
        except BaseException:
            # The valve may have opened, which cannot be known, so count it as water.
            self._publish_uncertain(message)
            raise
        self._publish_opened(msgspec.structs.replace(message, t=opened_t))

    def _update_reserved(self, guard: Guard) -> None:
        if self._reservation is not None:
            guard.reserved_ul = self._reservation.durable_ul

    def _note_begun(self, guard: Guard) -> None:
        """Note the water that is about to be given; it is counted even if the driver is killed."""
        if self._begun is not None:
            self._begun.note(guard.committed_ul)

    def _publish_uncertain(self, message: Valve) -> None:
        self._publish(message)
        text = f"valve {message.line} did not answer; it may have opened and is counted as water"
        self._publish(Fault(message.t, text))

    def _publish_opened(self, message: Valve) -> None:
        self._publish(message)
        self._notify_devices(message)

    def _refuse(self, arm: Arm, reason: str, now: int) -> None:
        self._publish(Valve(now, arm.id, arm.line, 0.0, 0.0, arm.lick_t, reason, arm.manual))
        self._publish(Fault(now, f"valve {arm.line} stayed shut: {reason}"))
