"""The driver of wheel, licks, valves and lines; it alone opens a valve, and only past the guard."""

import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from behavior.arming import Arming, Fire, Refusal
from behavior.devices import protocols
from behavior.guard import Guard, Limits
from rig import device
from rig.device import Table
from rig.messages import (
    Arm,
    Cue,
    Disarm,
    Edge,
    Fault,
    Lick,
    Message,
    Pulse,
    Start,
    TrialStart,
    Valve,
    Wheel,
)
from rig.node import Node, Say
from rig.refused import Refused
from rig.session.reserve import Reservation

_TOLD = (Start, TrialStart, Cue, Pulse)
_REWARD_UL = 3.0
"""What a block of set-aside water is counted in where the task names no volume."""
_LOW_REWARDS = 2
"""With less than so many rewards left of a block, the next one is set aside."""


class Hardware(Node):
    """Reads the devices every millisecond, and answers each Arm.

    The answer is one Valve when the wish is fired or refused (a refusal is a Fault too). A wish
    that is disarmed, or over at its deadline, needs no answer: who made it knows.
    """

    name = "hardware"
    hears = (Start, Arm, Disarm, TrialStart, Cue, Pulse)
    says = (Wheel, Lick, Edge, Valve)
    period_s = 0.001

    class Settings(Node.Settings, frozen=True, kw_only=True):
        """Tables of devices by name; `is` names a device's class, `board` what it stands on."""

        boards: dict[str, Table] = msgspec.field(default_factory=dict)
        wheel: Table
        lick: dict[str, Table] = msgspec.field(default_factory=dict)
        valve: dict[str, Table] = msgspec.field(default_factory=dict)
        lines: dict[str, Table] = msgspec.field(default_factory=dict)
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
        super().__init__(self._completed(settings), say)
        self._guard: Guard | None = None
        self._reservation: Reservation | None = None
        self._arming = Arming()
        self._zero: int | None = None
        self._closed = False

    def check(self, task: dict[str, Any]) -> None:
        match task:
            case {
                "cohort": "task",
                "rewarded": [_, *_],
                "spout": str(spout),
                "reward_ul": float(reward_ul),
            }:
                self._check_spout(spout)
                self._check_volume(spout, reward_ul)

    def open(self) -> None:
        for board in self._boards.values():
            board.open()

    def hear(self, word: Message) -> None:
        now = self.clock.now()
        match word:
            case Start():
                self._begin(word.session)
            case Arm():
                self._obey(self._arming.take(word, now), now)
            case Disarm():
                self._arming.disarm(word.id)
        if isinstance(word, _TOLD):
            self._tell(word)

    def tick(self, now: int) -> None:
        for line, lick in self._licks.items():
            for t in lick.onsets(now):
                if self._guard is not None:
                    self._guard.lick(t)
                # the valve before the word: nothing is to delay the water
                self._obey(self._arming.lick(line, t, now), now)
                self.say(Lick(t, line))
        counts = self._wheel.counts(now)
        if self._zero is None:
            self._zero = counts
        counts -= self._zero
        self.say(Wheel(now, counts, counts * self._wheel.settings.cm_per_count))
        for name, line_in in self._lines.items():
            for t, up in line_in.edges(now):
                self.say(Edge(t, name, up))
        for refusal in self._arming.lapse(now):
            self._obey(refusal, now)
        if self._guard is not None and self._reservation is not None:
            self._reservation.used(self._guard.given_ul)

    def close(self) -> None:
        self._closed = True
        with ExitStack() as stack:
            # last in, first out, and none is left out if another raises: the valves come first
            if self._reservation is not None:
                stack.callback(self._reservation.close)
            for board in self._boards.values():
                stack.callback(board.close)
            for valve in self._valves.values():
                stack.callback(valve.close)

    def _check_spout(self, spout: str) -> None:
        lines: dict[str, dict[str, Any]] = {"lick": self._licks, "valve": self._valves}
        for kind, known in lines.items():
            if spout not in known:
                raise Refused(
                    f'the task has spout = "{spout}", and there is no [nodes.hardware.{kind}.'
                    f"{spout}] in the setup (there are: {', '.join(known) or 'none'}); "
                    "correct spout, or add that table"
                )

    def _check_volume(self, spout: str, reward_ul: float) -> None:
        ul_per_ms = self._valves[spout].settings.ul_per_ms
        max_open_ms = self.settings.guard.max_open_ms
        if reward_ul / ul_per_ms > max_open_ms:
            raise Refused(
                f"the task has reward_ul = {reward_ul:g}, which opens valve {spout} for "
                f"{reward_ul / ul_per_ms:g} ms, over guard.max_open_ms = {max_open_ms:g}; "
                f"set reward_ul to {_largest_ul(ul_per_ms, max_open_ms):g} or less, "
                "or correct the valve's ul_per_ms"
            )

    def _begin(self, session: dict[str, Any]) -> None:
        """Let there be water, less what the animal had today; a second Start changes nothing."""
        if self._guard is not None:
            return
        limits = self.settings.guard
        self._guard = Guard(limits, session.get("given_today_ul", 0.0))
        if session.get("began"):  # else it is in virtual time and has no folder
            reward_ul = float(session["task"].get("reward_ul") or _REWARD_UL)
            block_ul = limits.reserve_rewards * reward_ul
            self._reservation = Reservation(Path(), block_ul, _LOW_REWARDS * reward_ul)

    def _obey(self, verdict: Fire | Refusal | None, now: int) -> None:
        match verdict:
            case Fire():
                self._open_valve(verdict, now)
            case Refusal():
                self._refuse(verdict.arm, verdict.reason, now)

    def _open_valve(self, fire: Fire, now: int) -> None:
        """Open a valve if the guard allows it: the only place where one is opened."""
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
        if self._reservation is not None:
            self._guard.reserved_ul = self._reservation.durable_ul
        open_ms = arm.volume_ul / valve.settings.ul_per_ms
        reason = self._guard.allow(arm.id, now, open_ms, arm.volume_ul)
        if reason:
            self._refuse(arm, reason, now)
            return
        opened_t = valve.pulse(now, open_ms)
        word = Valve(opened_t, arm.id, arm.line, open_ms, arm.volume_ul, fire.lick_t)
        self.say(word)
        self._tell(word)

    def _refuse(self, arm: Arm, reason: str, now: int) -> None:
        self.say(Valve(now, arm.id, arm.line, 0.0, 0.0, arm.lick_t, reason))
        self.say(Fault(now, f"valve {arm.line} stayed shut: {reason}"))

    def _tell(self, word: Message) -> None:
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
        )


def _all_completed(settings: dict[str, Table], devices: dict[str, Any]) -> dict[str, Table]:
    return {name: device.completed(table, devices[name]) for name, table in settings.items()}


def _largest_ul(ul_per_ms: float, max_open_ms: float) -> float:
    """Return the largest volume in whole nanolitres that is not over the limit, also if rounded."""
    nl = math.floor(max_open_ms * ul_per_ms * 1000)
    return next(n / 1000 for n in (nl, nl - 1) if n / 1000 / ul_per_ms <= max_open_ms)


if __name__ == "__main__":
    from rig.process import run

    run(Hardware)
