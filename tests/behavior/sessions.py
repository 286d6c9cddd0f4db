"""Tasks and rigs for tests: settings as in a setup, and messages like those of a rig."""

from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from behavior.hardware import Hardware
from behavior.task import Task
from rig.clock import SetClock
from rig.messages import Lick, Message, Position, Start, TrialEnd, TrialStart, Valve, Wheel
from rig.node import Publish
from rig.process import completed
from rig.settings.config import Rig, SessionSettings
from rig.settings.toml import read_toml

T = TypeVar("T")
MS = 1_000_000
S = 1_000 * MS
ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
TRAIN1 = {**read_toml(ROOT / "behavior" / "tasks" / "train1.toml"), "signals": {}}
CALIBRATED = {"ul_per_ms": 0.05, "calibrated": date.today().isoformat()}
SHORT = {"grey_before_s": 5.0, "grey_after_s": 5.0, "seed": 1}


def task(published: list[Message], **options: Any) -> Task:
    """Return the task train1 with some options changed, publishing into a list."""
    return Task(msgspec.convert({**TRAIN1, **SHORT, **options}, Task.Settings), published.append)


def options(**changes: Any) -> dict[str, Any]:
    """Return the settings of train1 with some changed and every default, as in Start."""
    settings = msgspec.convert({**TRAIN1, **SHORT, **changes}, Task.Settings)
    return dict(msgspec.to_builtins(settings))


def hardware_table(mouse: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the table of a simulated rig, with a mouse."""
    bench = {"board": "bench"}
    simulated = "behavior.devices.simulated.devices"
    return {
        "boards": {
            "bench": {
                "is": f"{simulated}:Board",
                "mouse": mouse or {"is": "behavior.animals:SimulatedMouse"},
            }
        },
        "wheel": {"is": f"{simulated}:Wheel", "cm_per_count": 0.0135, **bench},
        "lick": {"centre": {"is": f"{simulated}:Lick", **bench}},
        "valve": {"centre": {"is": f"{simulated}:Valve", "ul_per_ms": 0.05, **bench}},
        "lines": {"frame_clock": {"is": f"{simulated}:Line", **bench}},
    }


def hardware(table: dict[str, Any], publish: Publish) -> tuple[Hardware, SetClock]:
    """Return an open driver and its clock."""
    node = Hardware(msgspec.convert(table, Hardware.Settings), publish)
    clock = node.clock = SetClock()
    node.open()
    return node, clock


def session(
    seed: int, mouse: dict[str, Any] | None = None, base: dict[str, Any] = TRAIN1, **options: Any
) -> SessionSettings:
    """Return a session of driver and task alone; `base` is a task's file, options change it."""
    chosen = SessionSettings(
        subject="X",
        seed=seed,
        task_name="train1",
        rig=Rig(name="test", disk_mb_s=0.0),
        task={**base, "grey_before_s": 5.0, "grey_after_s": 5.0, **options},
        nodes={
            "hardware": {"run": "behavior.hardware", **hardware_table(mouse)},
            "task": {"run": "behavior.task"},
        },
    )
    return completed(chosen)


class Walker:
    """Feeds a task with the Wheels of a mouse that runs at given speeds."""

    def __init__(self, node: Task, published: list[Message], step_ms: int = 10) -> None:
        self.node, self.published = node, published
        self.t, self.cm = 0, 0.0
        self._step_ns = step_ms * MS
        node.handle(Start(0, {}))

    def run(self, seconds: float, cm_s: float = 30.0) -> None:
        """Run for some seconds."""
        for _ in range(round(seconds * S / self._step_ns)):
            self.t += self._step_ns
            self.cm += cm_s * self._step_ns / S
            self.node.handle(Wheel(self.t, round(self.cm / 0.0135), self.cm))

    def run_until(self, kind: type[Message], seconds: float = 60.0) -> Message:
        """Run until the task publishes a message of that kind; return it."""
        for _ in range(round(seconds * S / self._step_ns)):
            before = len(self.published)
            self.run(self._step_ns / S)
            for message in self.published[before:]:
                if isinstance(message, kind):
                    return message
        raise AssertionError(f"no {kind.__name__} within {seconds} s")

    def lick(self, ago_ns: int = 0) -> None:
        """Lick at the spout, ago_ns before now."""
        self.node.handle(Lick(self.t - ago_ns, "centre"))

    def open_valve(self, request: int, lick_t: int | None = None) -> None:
        """Answer a request: the valve opened."""
        self.node.handle(Valve(self.t, request, "centre", 60.0, 3.0, lick_t))


def walker(step_ms: int = 10, **options: Any) -> tuple[list[Message], Walker]:
    """Return train1 with some options changed: its published messages, and a Walker for it."""
    published: list[Message] = []
    return published, Walker(task(published, **options), published, step_ms)


def of(kind: type[T], published: list[Message]) -> list[T]:
    """Return the messages of that kind."""
    return [message for message in published if isinstance(message, kind)]


def check_trials(published: list[Message]) -> None:
    """Assert that trials are complete and in order, and positions belong to them."""
    running: int | None = None
    begun = 0
    for message in published:
        match message:
            case TrialStart():
                assert running is None
                assert message.trial == begun
                running, begun = begun, begun + 1
            case TrialEnd():
                assert message.trial == running
                running = None
            case Position():
                assert message.trial == (-1 if running is None else running)
                if running is None:
                    assert message.phase not in ("corridor", "picture")
                    assert (message.position_m, message.moving) == (0.0, False)
                else:
                    assert message.phase not in ("paused", "done")
    assert running is None
