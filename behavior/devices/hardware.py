"""The driver of wheel, licks, valves, lines, outputs and cameras; its clock is the session's."""

from contextlib import ExitStack
from datetime import date
from typing import Any

import msgspec

from behavior.devices import protocols
from behavior.devices.made import Devices, Tables
from behavior.devices.outputs import Cameras, Outputs
from behavior.devices.plumbing import Plumbing
from behavior.devices.spout import Spout
from behavior.devices.stale import stale
from behavior.devices.watering import Watering
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
from rig.node import Node, Say

_TOLD = (Start, Acquire, TrialStart, TrialEnd, Cue, Pulse, Flip)


class Hardware(Node):
    """Reads the devices every millisecond, and answers each Arm with one Valve.

    A wish that is disarmed, or over at its deadline, needs no answer: who made it knows.
    """

    name = "hardware"
    hears = (Start, Acquire, Arm, Disarm, TrialStart, TrialEnd, Cue, Pulse, Flip)
    says = (Wheel, Lick, Edge, Valve, Exposures, DeviceTime)
    period_s = 0.001

    class Settings(Tables, frozen=True, kw_only=True):
        """The devices, and the limits of what is believed of them and asked of them."""

    settings: Settings

    def __init__(self, settings: Settings, say: Say) -> None:
        """Make the devices, open nothing. Raises Refused if a table is wrong."""
        self.devices = devices = Devices(settings)
        whole = devices.completed(msgspec.structs.asdict(settings))
        super().__init__(msgspec.structs.replace(settings, **whole), say)
        # asked once: whether an object fits a Protocol costs more than all of a tick
        self._ball = devices.wheel if isinstance(devices.wheel, protocols.Ball) else None
        self._timed = [b for b in devices.boards.values() if isinstance(b, protocols.TimedBoard)]
        self._plumbing = Plumbing(devices.licks, devices.valves, settings.guard.max_open_ms)
        self._watering = Watering(devices.valves, settings.guard, say, self._tell)
        self._spouts = {name: Spout(name, settings.licks) for name in devices.licks}
        self._raising = Outputs(devices.outputs, devices.lines, say)
        self._counting = Cameras(devices.cameras, say)
        self._zero: tuple[int, int] | None = None

    def check(self, task: dict[str, Any]) -> None:
        self._plumbing.check(task)

    def open(self) -> None:
        for board in self.devices.boards.values():
            board.open()

    def hear(self, word: Message) -> None:
        match word:
            case Start():
                self._watering.begin(word.session)
                self._warn(word)
            case Arm() | Disarm():
                self._watering.hear(word, self.clock.now())
        if isinstance(word, _TOLD):
            self._tell(word)

    def tick(self, now: int) -> None:
        for board in self.devices.boards.values():
            board.poll(now)
        self._watering.collect(now)
        for line, lick in self.devices.licks.items():
            spout = self._spouts[line]
            for t in spout.take(lick.onsets(now)):
                # the valve before the word: nothing is to delay the water
                self._watering.lick(line, t, now)
                self.say(Lick(t, line))
            if wrong := spout.look(lick.touched_since(now), now):
                self.say(Fault(now, wrong))
            self._watering.doubt(line, not spout.believed(now))
        self._say_wheel(now)
        for name, line_in in self.devices.lines.items():
            for t, up in line_in.edges(now):
                self.say(Edge(t, name, up))
        self._watering.tick(now)
        self._raising.tick(now)
        self._counting.tick(now)
        for board in self.devices.boards.values():
            for remark in board.remarks():
                self.say(Fault(now, remark))
        for timed in self._timed:
            if told := timed.device_time():
                self.say(told)

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
        self.say(Wheel(now, counts, counts * wheel.settings.cm_per_count, side_cm))

    def _warn(self, start: Start) -> None:
        if began := start.session.get("began"):
            devices, today = self.devices, date.fromisoformat(began[:10])
            for sentence in stale(devices.wheel, devices.valves, today):
                self.say(Fault(start.t, sentence))

    def _tell(self, word: Message) -> None:
        self._raising.hear(word, self.clock.now())
        for board in self.devices.boards.values():
            board.hear(word)


if __name__ == "__main__":
    from rig.process import run

    run(Hardware)
