"""The driver of wheel, licks, valves, lines, outputs and cameras; its clock is the session's."""

from contextlib import ExitStack
from datetime import date
from typing import Any

import msgspec

from behavior.devices import protocols
from behavior.driver.device_set import Devices, Tables
from behavior.driver.outputs import Cameras, Outputs
from behavior.water.calibration_age import stale
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
    Valve,
    Wheel,
)
from rig.node import Node, Publish

_TOLD = (Start, Acquire, TrialStart, TrialEnd, Cue, Pulse, Flip)


class Hardware(Node):
    """Reads the devices every millisecond, and answers each Arm with one Valve.

    A wish that is disarmed, or over at its deadline, needs no answer: who made it knows.
    """

    name = "hardware"
    subscribes = (Start, Acquire, Arm, Disarm, TrialStart, TrialEnd, Cue, Pulse, Flip)
    publishes = (Wheel, Lick, Edge, Valve, Exposures, DeviceTime)
    period_s = 0.001

    class Settings(Tables, frozen=True, kw_only=True):
        """The devices, and the limits of what is believed of them and asked of them."""

    settings: Settings

    def __init__(self, settings: Settings, publish: Publish) -> None:
        """Make the devices, open nothing. Raises Refused if a table is wrong."""
        self.devices = devices = Devices(settings)
        whole = devices.completed(msgspec.structs.asdict(settings))
        super().__init__(msgspec.structs.replace(settings, **whole), publish)
        # asked once: whether an object fits a Protocol costs more than all of a tick
        self._ball = devices.wheel if isinstance(devices.wheel, protocols.Ball) else None
        self._timed = [b for b in devices.boards.values() if isinstance(b, protocols.TimedBoard)]
        self._plumbing = WaterChecks(devices.licks, devices.valves, settings.guard.max_open_ms)
        self._watering = RewardDelivery(devices.valves, settings.guard, publish, self._tell)
        self._spouts = {name: LickFilter(name, settings.licks) for name in devices.licks}
        self._raising = Outputs(devices.outputs, devices.lines, publish)
        self._counting = Cameras(devices.cameras, publish)
        self._zero: tuple[int, int] | None = None

    def check(self, task: dict[str, Any]) -> None:
        self._plumbing.check(task)

    def open(self) -> None:
        for board in self.devices.boards.values():
            board.open()

    def handle(self, message: Message) -> None:
        match message:
            case Start():
                self._watering.begin(message.session)
                self._warn(message)
            case Arm() | Disarm():
                self._watering.handle(message, self.clock.now())
        if isinstance(message, _TOLD):
            self._tell(message)

    def tick(self, now: int) -> None:
        for board in self.devices.boards.values():
            board.poll(now)
        self._watering.collect(now)
        for line, lick in self.devices.licks.items():
            spout = self._spouts[line]
            for t in spout.take(lick.onsets(now)):
                # the valve before the word: nothing is to delay the water
                self._watering.lick(line, t, now)
                self.publish(Lick(t, line))
            if wrong := spout.look(lick.touched_since(now), now):
                self.publish(Fault(now, wrong))
            self._watering.doubt(line, not spout.believed(now))
        self._say_wheel(now)
        for name, line_in in self.devices.lines.items():
            for t, up in line_in.edges(now):
                self.publish(Edge(t, name, up))
        self._watering.tick(now)
        self._raising.tick(now)
        self._counting.tick(now)
        for board in self.devices.boards.values():
            for remark in board.remarks():
                self.publish(Fault(now, remark))
        for timed in self._timed:
            if told := timed.device_time():
                self.publish(told)

    def close(self) -> None:
        with ExitStack() as stack:
            # last in, first out, and none is left out if another raises: the valves come first
            for board in self.devices.boards.values():
                stack.callback(board.close)
            for output in self.devices.outputs.values():
                stack.callback(output.close)
            if self._zero is not None:
                stack.callback(self._counting.close, self.clock.now())
                stack.callback(self._raising.close, self.clock.now())
            stack.callback(self._watering.close, self.clock.now())

    def _say_wheel(self, now: int) -> None:
        wheel = self.devices.wheel
        counts = wheel.counts(now)
        side = 0 if self._ball is None else self._ball.side_counts(now)
        if self._zero is None:
            self._zero = (counts, side)
        counts, side = counts - self._zero[0], side - self._zero[1]
        side_cm = side * wheel.settings.side_cm_per_count if side else 0.0
        self.publish(Wheel(now, counts, counts * wheel.settings.cm_per_count, side_cm))

    def _warn(self, start: Start) -> None:
        if began := start.session.get("began"):
            devices, today = self.devices, date.fromisoformat(began[:10])
            for sentence in stale(devices.wheel, devices.valves, today):
                self.publish(Fault(start.t, sentence))

    def _tell(self, message: Message) -> None:
        self._raising.handle(message, self.clock.now())
        for board in self.devices.boards.values():
            board.handle(message)


if __name__ == "__main__":
    from rig.process import run

    run(Hardware)
