"""The driver of wheel, licks, valves, lines, outputs and cameras; its clock is the session's."""

from contextlib import ExitStack
from datetime import date
from typing import Any

import msgspec

from behavior.devices import protocols
from behavior.devices.outputs import Cameras, Outputs
from behavior.devices.plumbing import Plumbing
from behavior.devices.spout import LickLimits, Spout
from behavior.devices.watering import Watering
from behavior.guard import Limits
from rig import device
from rig.device import Table
from rig.messages import (
    Arm,
    Cue,
    DeviceTime,
    Disarm,
    Edge,
    Exposures,
    Fault,
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

_TOLD = (Start, TrialStart, TrialEnd, Cue, Pulse)


class Hardware(Node):
    """Reads the devices every millisecond, and answers each Arm with one Valve.

    A wish that is disarmed, or over at its deadline, needs no answer: who made it knows.
    """

    name = "hardware"
    hears = (Start, Arm, Disarm, TrialStart, TrialEnd, Cue, Pulse)
    says = (Wheel, Lick, Edge, Valve, Exposures, DeviceTime)
    period_s = 0.001

    class Settings(Node.Settings, frozen=True, kw_only=True):
        """Tables of devices by name; `is` names a device's class, `board` what it stands on."""

        boards: dict[str, Table] = msgspec.field(default_factory=dict)
        wheel: Table
        lick: dict[str, Table] = msgspec.field(default_factory=dict)
        valve: dict[str, Table] = msgspec.field(default_factory=dict)
        lines: dict[str, Table] = msgspec.field(default_factory=dict)
        outputs: dict[str, Table] = msgspec.field(default_factory=dict)
        cameras: dict[str, Table] = msgspec.field(default_factory=dict)
        licks: LickLimits = msgspec.field(default_factory=LickLimits)
        guard: Limits = msgspec.field(default_factory=Limits)

    settings: Settings

    def __init__(self, settings: Settings, say: Say) -> None:
        """Make the devices, open nothing. Raises Refused if a table is wrong."""
        self._boards: dict[str, protocols.Board] = {
            name: device.make(table, f"[nodes.hardware.boards.{name}]", name)
            for name, table in settings.boards.items()
        }
        self._wheel: protocols.Wheel = self._on_board(settings.wheel, "wheel", "wheel")
        self._licks: dict[str, protocols.Lick] = self._all("lick", settings.lick)
        self._valves: dict[str, protocols.Valve] = self._all("valve", settings.valve)
        self._lines: dict[str, protocols.Line] = self._all("lines", settings.lines)
        self._outputs: dict[str, protocols.Output] = self._all("outputs", settings.outputs)
        self._cameras: dict[str, protocols.Camera] = self._all("cameras", settings.cameras)
        super().__init__(self._completed(settings), say)
        self._timed = [b for b in self._boards.values() if isinstance(b, protocols.TimedBoard)]
        self._plumbing = Plumbing(self._licks, self._valves, settings.guard.max_open_ms)
        self._watering = Watering(self._valves, settings.guard, say, self._tell)
        self._spouts = {name: Spout(name, settings.licks) for name in self._licks}
        self._raising = Outputs(self._outputs, self._lines, say)
        self._counting = Cameras(self._cameras, say)
        self._zero: int | None = None

    def check(self, task: dict[str, Any]) -> None:
        self._plumbing.check(task)

    def open(self) -> None:
        for board in self._boards.values():
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
        self._watering.collect(now)
        for line, lick in self._licks.items():
            spout = self._spouts[line]
            for t in spout.take(lick.onsets(now)):
                # the valve before the word: nothing is to delay the water
                self._watering.lick(line, t, now)
                self.say(Lick(t, line))
            if wrong := spout.look(lick.touched_since(now), now):
                self.say(Fault(now, wrong))
            self._watering.doubt(line, not spout.believed(now))
        counts = self._wheel.counts(now)
        if self._zero is None:
            self._zero = counts
        counts -= self._zero
        self.say(Wheel(now, counts, counts * self._wheel.settings.cm_per_count))
        for name, line_in in self._lines.items():
            for t, up in line_in.edges(now):
                self.say(Edge(t, name, up))
        self._watering.tick(now)
        self._raising.tick(now)
        self._counting.tick(now)
        for board in self._boards.values():
            for remark in board.remarks():
                self.say(Fault(now, remark))
        for timed in self._timed:
            if told := timed.device_time():
                self.say(told)

    def close(self) -> None:
        with ExitStack() as stack:
            # last in, first out, and none is left out if another raises: the valves come first
            for board in self._boards.values():
                stack.callback(board.close)
            for output in self._outputs.values():
                stack.callback(output.close)
            if self._zero is not None:
                stack.callback(self._counting.close, self.clock.now())
                stack.callback(self._raising.close, self.clock.now())
            stack.callback(self._watering.close, self.clock.now())

    def _warn(self, start: Start) -> None:
        if began := start.session.get("began"):
            for stale in self._plumbing.stale(date.fromisoformat(began[:10])):
                self.say(Fault(start.t, stale))

    def _tell(self, word: Message) -> None:
        self._raising.hear(word, self.clock.now())
        for board in self._boards.values():
            board.hear(word)

    def _all(self, kind: str, settings: dict[str, Table]) -> dict[str, Any]:
        return {
            name: self._on_board(table, name, f"{kind}.{name}") for name, table in settings.items()
        }

    def _on_board(self, table: Table, name: str, path: str) -> Any:
        return device.make_on_board(table, f"[nodes.hardware.{path}]", name, self._boards)

    def _completed(self, settings: Settings) -> Settings:
        """Return the settings with every default of every device filled in."""
        return msgspec.structs.replace(
            settings,
            boards=_all_completed(settings.boards, self._boards),
            wheel=device.completed(settings.wheel, self._wheel),
            lick=_all_completed(settings.lick, self._licks),
            valve=_all_completed(settings.valve, self._valves),
            lines=_all_completed(settings.lines, self._lines),
            outputs=_all_completed(settings.outputs, self._outputs),
            cameras=_all_completed(settings.cameras, self._cameras),
        )


def _all_completed(settings: dict[str, Table], devices: dict[str, Any]) -> dict[str, Table]:
    return {name: device.completed(table, devices[name]) for name, table in settings.items()}


if __name__ == "__main__":
    from rig.process import run

    run(Hardware)
