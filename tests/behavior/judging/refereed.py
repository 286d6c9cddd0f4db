"""Virtual sessions with a referee, and recordings of them with one message changed."""

import math
from typing import Any

import msgspec
import pytest

from behavior.hardware import Hardware
from behavior.referee import Referee
from behavior.task import Task
from rig import process, virtual_session
from rig.messages import Cue, Fault, Message, TrialStart, TrialVerdict, Wheel
from rig.node import Node, Publish
from rig.process import settings_table
from rig.settings.config import SessionSettings
from tests.behavior.sessions import MS, S, of, session

QUICK: dict[str, Any] = {
    "corridor_cm_s": 200.0,
    "grey_m": 1.0,
    "cue_to_m": 2.5,
    "grey_before_s": 0.5,
    "grey_after_s": 0.5,
}
EAGER = {"is": "behavior.animals:SimulatedMouse", "idle_bursts_per_min": 40.0, "idle_burst_s": 2.0}
JUST_OUTSIDE = {"is": "tests.behavior.judging.refereed:LicksOnce", "after_ms": 9.0}
NEVER_LICKS = {"is": "tests.behavior.judging.refereed:LicksOnce", "after_ms": 1e9}
JUST_INSIDE = {"is": "tests.behavior.judging.refereed:LicksOnce", "after_ms": -9.0}
ROCKING = {"is": "tests.behavior.judging.refereed:Rocks", "after_ms": 1e9}


class LicksOnce:
    """A mouse that never stops and licks once per corridor, after_ms after the texture."""

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        cm_per_count: float = 0.0135
        corridor_cm_s: float = 200.0
        after_ms: float

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._texture_m = 0.0
        self._lick_t: int | None = None

    def open(self) -> None:
        pass

    def handle(self, message: Message) -> None:
        if isinstance(message, TrialStart):
            self._texture_m = message.texture_m
        elif isinstance(message, Cue):
            way_m = self._texture_m - message.position_m
            after_ns = way_m / self.settings.corridor_cm_s * 100e9 + self.settings.after_ms * MS
            self._lick_t = message.t + round(after_ns)

    def counts(self, now: int) -> int:
        return int(30.0 * now / 1e9 / self.settings.cm_per_count)

    def licks(self, now: int) -> list[int]:
        if self._lick_t is None or now < self._lick_t:
            return []
        t, self._lick_t = self._lick_t, None
        return [t]


class Rocks(LicksOnce):
    """A mouse that never licks, and steps backward twice a second while it runs."""

    def counts(self, now: int) -> int:
        cm = 30.0 * now / 1e9 + 3.0 * math.sin(4 * math.pi * now / 1e9)
        return int(cm / self.settings.cm_per_count)


def refereed(seed: int, mouse: dict[str, Any] | None = None, **options: Any) -> SessionSettings:
    """Return a quick session of driver, task and referee."""
    return with_referee(session(seed, mouse, **{**QUICK, **options}))


def with_referee(chosen: SessionSettings) -> SessionSettings:
    """Return the session with a referee, and every default filled in."""
    nodes = {**chosen.nodes, "referee": {"run": "behavior.referee"}}
    return process.completed(msgspec.structs.replace(chosen, nodes=nodes))


def run(chosen: SessionSettings, end_s: float = 300.0) -> list[Message]:
    """Run a session in virtual time, with ticks of 5 ms; return its messages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hardware, "period_s", 0.005)
        return [message for _, message in virtual_session.run(chosen, round(end_s * S))]


def plant(kind: type[Task], monkeypatch: pytest.MonkeyPatch) -> None:
    """Use this class as the session's task."""
    make = process.make

    def made(chosen: SessionSettings, name: str, publish: Publish) -> Node:
        if name != "task":
            return make(chosen, name, publish)
        return kind(msgspec.convert(settings_table(chosen, Task), Task.Settings), publish)

    monkeypatch.setattr(virtual_session, "make", made)


def check_sound(published: list[Message]) -> None:
    """Assert that every trial has a verdict without violations."""
    assert of(Fault, published) == []
    verdicts = of(TrialVerdict, published)
    assert [v.trial for v in verdicts] == [s.trial for s in of(TrialStart, published)]
    assert all(v.violations == () for v in verdicts)


def names(published: list[Message]) -> set[str]:
    """Return the names of all violations."""
    return {name for verdict in of(TrialVerdict, published) for name in verdict.violations}


class Recording:
    """The messages of a session without violations, to be changed and judged again."""

    def __init__(
        self, mouse: dict[str, Any] = EAGER, published: list[Message] | None = None
    ) -> None:
        self.messages = run(refereed(3, mouse, trials=4)) if published is None else published

    def judge(self) -> tuple[set[str], list[Fault]]:
        """Return the names of violations, and the Faults, of a new referee."""
        published: list[Message] = []
        referee = Referee(Referee.Settings(), published.append)
        for message in self.messages:
            if isinstance(message, Referee.subscribes):
                referee.handle(message)
        referee.close()
        return names(published), of(Fault, published)

    def insert(self, new: Message) -> None:
        """Insert a message before the first Wheel that is not older."""
        wheels = (i for i, w in enumerate(self.messages) if isinstance(w, Wheel) and w.t >= new.t)
        self.messages.insert(next(wheels), new)

    def delay(self, ms: float) -> None:
        """Delay the task's messages relative to the driver's."""
        received: list[Message] = []
        waiting: list[tuple[int, Message]] = []
        now = 0
        for message in self.messages:
            now = max(now, message.t)
            while waiting and waiting[0][0] <= now:
                received.append(waiting.pop(0)[1])
            if isinstance(message, Task.publishes):
                waiting.append((now + round(ms * MS), message))
            else:
                received.append(message)
        self.messages = received + [message for _, message in waiting]

    def change(self, old: Message, *new: Message) -> None:
        at = self.messages.index(old)
        self.messages[at : at + 1] = new
