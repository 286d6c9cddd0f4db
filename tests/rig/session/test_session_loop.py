"""What launch requests of the task when a process requests a pause and the operator presses p."""

from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from rich.console import Console

from rig.clock import RealClock, monotonic_ns
from rig.messages import Fault, Message, OperatorRequest, Position
from rig.session.process_monitor import ProcessMonitor
from rig.session.session_loop import SessionLoop
from rig.settings.config import Rig, SessionSettings
from rig.subjects.session_water import WaterCount
from rig.transport.envelope import Envelope

ENVELOPE = Envelope("stream", 0, 0, 0, 0, msgspec.Raw())
LOST = Fault(0, "imaging/a.tif was deleted during the session", pause=True)
RIG = Rig(name="test", disk_mb_s=0.0)
SESSION = SessionSettings(subject="X", seed=1, task_name="", rig=RIG, task={}, nodes={})


class Bus:
    def __init__(self) -> None:
        self.published: list[Message] = []

    def publish(self, message: Message) -> None:
        self.published.append(message)


class Operator:
    is_there = True


class Loop:
    """A running session without processes, whose messages and keys come from a test."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bus, self.t0_ns = Bus(), monotonic_ns()
        console: Any = Console(quiet=True)
        clock, bus, keys, watch = RealClock(self.t0_ns), self.bus, Operator(), None
        parts: tuple[Any, ...] = (
            clock,
            bus,
            keys,
            console,
            watch,
            WaterCount(""),
            ProcessMonitor(folder, SESSION),
        )
        self.loop = SessionLoop(SESSION, *parts)
        monkeypatch.setattr(self.loop, "_watching", True)

    def receive(self, message: Message) -> None:
        self.loop._handle(ENVELOPE, message)

    def is_at(self, phase: Literal["grey", "paused"]) -> None:
        self.receive(Position(0, -1, 0.0, 0.0, False, phase))

    def press_p(self) -> None:
        self.loop._request("pause", "", "terminal")

    def later(self) -> None:
        """Wait until a request can no longer take effect."""
        self.t0_ns -= 2_000_000_000
        self.loop._clock = RealClock(self.t0_ns)

    @property
    def verbs(self) -> list[str]:
        return [m.verb for m in self.bus.published if isinstance(m, OperatorRequest)]


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loop:
    made = Loop(tmp_path, monkeypatch)
    made.is_at("grey")
    return made


@pytest.mark.parametrize("seen", [False, True])
def test_p_answers_a_pause_whether_or_not_the_task_was_seen_to_pause(
    loop: Loop, seen: bool
) -> None:
    loop.receive(LOST)
    if seen:
        loop.is_at("paused")
        loop.later()
    loop.press_p()
    assert loop.verbs == ["pause", "resume"]


def test_two_faults_at_once_pause_once(loop: Loop) -> None:
    loop.receive(LOST)
    loop.receive(LOST)
    assert loop.verbs == ["pause"]


def test_p_and_p_again_pauses_and_resumes_and_later_what_is_seen_counts(loop: Loop) -> None:
    loop.press_p()
    loop.press_p()
    loop.press_p()
    assert loop.verbs == ["pause", "resume", "pause"]
    loop.later()  # the task was about to end, so it did not pause
    loop.press_p()
    assert loop.verbs[3:] == ["pause"]
