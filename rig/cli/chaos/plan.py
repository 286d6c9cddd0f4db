"""The plan of a seed: sessions and their faults. The same seed gives the same plan."""

from random import Random
from typing import Literal

import msgspec

MODULES = {
    "hub": "rig.transport.hub_process",
    "recorder": "rig.recorder",
    "hardware": "behavior.hardware",
    "task": "behavior.task",
    "referee": "behavior.referee",
}
"""The processes of a session, except launch, by their modules."""
TARGETS = ("launch", *MODULES)
STRANGERS = (
    "raw bytes",
    "no key",
    "unknown key",
    "observer's key",
    "garbled frames",
    "half a frame",
)
"""Kinds of strangers that send garbage to the hub's sockets."""
ENDS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals by which an operator or the system ends a session normally."""
Recover = Literal["if open", "always", "late"]
Verb = Literal["kill", "terminate", "stop", "continue", "garbage", "full disk", "end"]
_NOT_AT_START = 0.85
_KILLED_SESSION_S = 4.0


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One fault that is injected into a running session."""

    at_s: float
    """Time after `since`, seconds."""
    since: Literal["launch", "Start"] = "Start"
    verb: Verb
    target: str
    """A process, a kind of stranger, or the signal that ends the session."""
    amount: int = 0
    """Number of frames of garbage, or of bytes by which the target's files may still grow."""

    def __str__(self) -> str:
        what = {
            "full disk": f"the files of {self.target} may grow by {self.amount} bytes more",
            "garbage": f"{self.amount} frames of garbage: {self.target}",
            "end": f"launch is asked to end: {self.target}",
        }
        text = what.get(self.verb, f"{self.verb} {self.target}")
        return f"{self.at_s:.2f} s after {self.since}: {text}"


class Damage(msgspec.Struct, frozen=True):
    """Damage to a file of a session that has ended."""

    kind: Literal["flip", "truncate", "zero"]
    file: Literal["log", "journal", "reserve"]
    which: float
    """Which of several files, as a fraction of their number."""
    at: float
    """Position of the damage in the file, as a fraction of its size."""
    bit: int

    def __str__(self) -> str:
        places = {"flip": f"flip bit {self.bit} at", "truncate": "cut at", "zero": "64 zeros at"}
        of = self.file if self.file != "journal" else f"journal ({self.which:.0%})"
        return f"{places[self.kind]} {self.at:.1%} of the {of}"


class SessionPlan(msgspec.Struct, frozen=True):
    """One session, and the faults that are injected while it runs and afterwards."""

    acts: tuple[Act, ...]
    damage: tuple[Damage, ...]
    recover: Recover
    """When `rig recover` is run: before the next session, or "late": after the last session."""


class Plan(msgspec.Struct, frozen=True):
    """Sessions of one animal in one data folder."""

    seed: int
    max_day_ul: float
    sessions: tuple[SessionPlan, ...]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: day's limit {self.max_day_ul:g} ul"]
        for number, session in enumerate(self.sessions, 1):
            lines.append(f"  session {number}")
            lines += [f"    {act}" for act in session.acts]
            lines += [f"    afterwards: {damage}" for damage in session.damage]
            lines.append(f"    recover: {session.recover}")
        return "\n".join(lines)


def make_plan(seed: int) -> Plan:
    """Draw the plan of a seed."""
    random = Random(seed)
    count = random.choice((2, 2, 3))
    limit_ul = random.choice((1000.0, 1000.0, 18.0))
    return Plan(seed, limit_ul, tuple(_session(random) for _ in range(count)))


def kill_plan(point: int) -> Plan:
    """Draw one session in which one process is killed; the points cycle through all processes."""
    random = Random(point)
    starts = random.random() > _NOT_AT_START
    kill = Act(
        at_s=round(random.uniform(0.0, _KILLED_SESSION_S), 3),
        since="launch" if starts else "Start",
        verb="kill",
        target=TARGETS[point % len(TARGETS)],
    )
    end = Act(at_s=_KILLED_SESSION_S, verb="end", target="SIGINT")
    acts = sorted((kill, end), key=lambda act: (act.since, act.at_s))
    return Plan(point, 1000.0, (SessionPlan(tuple(acts), (), "if open"),))


def _session(random: Random) -> SessionPlan:
    length_s = random.uniform(2.0, 4.0)
    acts = [Act(at_s=length_s, verb="end", target=random.choice(ENDS))]
    for _ in range(random.choice((0, 1, 1, 1, 2, 2))):
        acts += _fault(random, length_s)
    acts.sort(key=lambda act: (act.since, act.at_s))
    damage = [_damage(random) for _ in range(random.choice((0, 0, 1, 2)))]
    recover: Recover = random.choice(("if open", "if open", "always", "late"))
    return SessionPlan(tuple(acts), tuple(damage), recover)


def _fault(random: Random, length_s: float) -> list[Act]:
    verb: Verb = random.choice(
        ("kill", "kill", "kill", "terminate", "stop", "garbage", "full disk")
    )
    in_session = random.random() < _NOT_AT_START or verb in ("garbage", "full disk")
    since: Literal["launch", "Start"] = "Start" if in_session else "launch"
    at_s = round(random.uniform(0.0, length_s if in_session else 4.0), 3)
    if verb == "garbage":
        frames = random.choice((1, 100, 20_000))
        return [Act(at_s=at_s, verb=verb, target=random.choice(STRANGERS), amount=frames)]
    target = random.choice(TARGETS)
    if verb == "full disk":
        target = random.choice(("launch", "recorder", "hardware", "task"))
        return [Act(at_s=at_s, verb=verb, target=target, amount=random.randrange(20_000))]
    first = Act(at_s=at_s, since=since, verb=verb, target=target)
    if verb != "stop":
        return [first]
    later_s = round(at_s + random.uniform(0.05, 2.5), 3)
    return [first, Act(at_s=later_s, since=since, verb="continue", target=target)]


def _damage(random: Random) -> Damage:
    return Damage(
        random.choice(("flip", "flip", "truncate", "zero")),
        random.choice(("log", "log", "journal", "journal", "reserve")),
        random.random(),
        random.random(),
        random.randrange(8),
    )
