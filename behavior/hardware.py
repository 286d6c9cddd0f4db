"""The driver of the rig's devices: wheel, lick sensors, valves, lines, outputs and cameras."""

from contextlib import ExitStack
from datetime import date
from typing import Any

import msgspec

from behavior.devices import protocols
from behavior.driver.device_set import Devices, Tables
from behavior.driver.outputs import Cameras, Outputs
from behavior.driver.trigger_lines import TriggerLines
from behavior.water.calibration_age import stale_calibrations
from behavior.water.lick_filter import LickFilter
from behavior.water.reward_delivery import RewardDelivery
from behavior.water.water_checks import WaterChecks
from rig.messages import (
    Acquire,
    Arm,
    Cue,
    DeviceTime,
    Disarm,
    Edge,
    Exposures,
    Fault,
    Flip,
    Lick,
    Message,
    Pulse,
    Start,
    TrialEnd,
    TrialStart,
    Trigger,
    TriggerOutput,
    TriggerRelease,
    Valve,
    Wheel,
)
from rig.node import Node, Publish

_FORWARDED = (Start, Acquire, TrialStart, TrialEnd, Cue, Pulse, Flip)
"""Messages that are passed on to the boards and outputs."""


class Hardware(Node):
    """A driver that reads the devices every millisecond and answers each Arm with one Valve.

    An Arm that is disarmed or reaches its deadline gets no answer, as the task knows of both.
    """

    name = "hardware"
    subscribes = (
        *(Start, Acquire, Arm, Disarm, TrialStart, TrialEnd, Cue, Pulse, Flip),
        *(Trigger, TriggerRelease),
    )
    publishes = (Wheel, Lick, Edge, Valve, TriggerOutput, Exposures, DeviceTime)
    period_s = 0.001

    class Settings(Tables, frozen=True, kw_only=True):
        """The devices, and the limits on licks and water."""

    settings: Settings

    def __init__(self, settings: Settings, publish: Publish) -> None:
        """Make the devices without opening them.

        Raises:
            Refused: A device's table is not valid.
        """
        self.devices = devices = Devices(settings)
        complete = devices.completed(msgspec.structs.asdict(settings))
        super().__init__(msgspec.structs.replace(settings, **complete), publish)
        # checked once: isinstance with a Protocol takes longer than the rest of a tick
        self._ball = devices.wheel if isinstance(devices.wheel, protocols.Ball) else None
        self._timed = [b for b in devices.boards.values() if isinstance(b, protocols.TimedBoard)]
        self._water_checks = WaterChecks(devices.licks, devices.valves, settings.guard.max_open_ms)
        self._rewards = RewardDelivery(devices.valves, settings.guard, publish, self._forward)
        self._lick_filters = {name: LickFilter(name, settings.licks) for name in devices.licks}
        self._outputs = Outputs(devices.outputs, devices.lines, publish)
        taken = dict.fromkeys(devices.lines, "an input line")
        taken |= dict.fromkeys(devices.licks, "a lick line")
        taken |= dict.fromkeys(devices.outputs, "an output")
        taken |= dict.fromkeys(devices.valves, "a valve")
        self._trigger_lines = TriggerLines(devices.trigger_lines, taken, publish)
        self._cameras = Cameras(devices.cameras, publish)
        self._origin: tuple[int, int] | None = None
        """Counts of the wheel, forward and sideways, at the first tick."""

    def check(self, task: dict[str, Any]) -> None:
        self._water_checks.check(task)

    def warnings(self) -> list[str]:
        warning = self.devices.wheel.settings.warning()
        return [] if warning is None else [warning]

    def open(self) -> None:
        for board in self.devices.boards.values():
            board.open()

    def handle(self, message: Message) -> None:
        match message:
            case Start():
                self._rewards.start_session(message.session)
                self._warn_of_calibrations(message)
            case Arm() | Disarm():
                self._rewards.handle(message, self.clock.now())
            case Trigger() | TriggerRelease():
                self._trigger_lines.handle(message, self.clock.now())
        if isinstance(message, _FORWARDED):
            self._forward(message)

    def tick(self, now: int) -> None:
        for board in self.devices.boards.values():
            board.poll(now)
        self._rewards.collect_fired(now)
        self._read_licks(now)
        self._read_wheel(now)
        for name, line in self.devices.lines.items():
            for t, up in line.edges(now):
                self.publish(Edge(t, name, up))
        self._rewards.tick(now)
        self._outputs.tick(now)
        self._trigger_lines.tick(now)
        self._cameras.tick(now)
        for board in self.devices.boards.values():
            for warning in board.pop_warnings():
                self.publish(Fault(now, warning))
        for timed in self._timed:
            if device_time := timed.device_time():
                self.publish(device_time)

    def close(self) -> None:
        with ExitStack() as stack:
            # The callbacks run in reverse order, so the valves come first; each runs even if
            # another raises.
            for board in self.devices.boards.values():
                stack.callback(board.close)
            for output in self.devices.outputs.values():
                stack.callback(output.close)
            for line in self.devices.trigger_lines.values():
                stack.callback(line.close)
            if self._origin is not None:
                stack.callback(self._cameras.close, self.clock.now())
                stack.callback(self._outputs.close, self.clock.now())
                stack.callback(self._trigger_lines.close, self.clock.now())
            stack.callback(self._rewards.close, self.clock.now())

    def _read_licks(self, now: int) -> None:
        for line, lick in self.devices.licks.items():
            lick_filter = self._lick_filters[line]
            for t in lick_filter.accept(lick.onsets(now)):
                # Open the valve before publishing: nothing may delay the water.
                self._rewards.lick(line, t, now)
                self.publish(Lick(t, line))
            if fault := lick_filter.check(lick.touched_since(now), now):
                self.publish(Fault(now, fault))
            self._rewards.trust_line(line, lick_filter.trusts_next(now))

    def _read_wheel(self, now: int) -> None:
        wheel = self.devices.wheel
        counts = wheel.counts(now)
        side = 0 if self._ball is None else self._ball.side_counts(now)
        if self._origin is None:
            self._origin = (counts, side)
        counts, side = counts - self._origin[0], side - self._origin[1]
        side_cm = side * wheel.settings.side_cm_per_count if side else 0.0
        self.publish(Wheel(now, counts, counts * wheel.settings.cm_per_count, side_cm))

    def _warn_of_calibrations(self, start: Start) -> None:
        if began := start.session.get("began"):
            devices, today = self.devices, date.fromisoformat(began[:10])
            for warning in stale_calibrations(devices.wheel, devices.valves, today):
                self.publish(Fault(start.t, warning))

    def _forward(self, message: Message) -> None:
        """Pass a message on, first to the boards: Start gives them the session's zero."""
        for board in self.devices.boards.values():
            board.handle(message)
        self._outputs.handle(message, self.clock.now())


if __name__ == "__main__":
    from rig.process import run

    run(Hardware)
