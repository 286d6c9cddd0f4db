"""An imaging session in order: start, first frame, grey, trials, grey, stop; and a silent clock."""

from pathlib import Path

import pytest

from behavior.trials.frame_clock_monitor import Imaging, Microscope
from rig.errors import Refused
from rig.messages import (
    Acquire,
    Edge,
    Fault,
    Integrity,
    Message,
    OperatorRequest,
    Position,
    TrialStart,
)
from tests.acquisition.sessions import Said, of, run
from tests.behavior.sessions import Walk, task
from tests.behavior.sessions import of as messages

S = 1_000_000_000
PERIOD = S // 3


@pytest.fixture(autouse=True)
def session_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def scope(said: list[Message], **table: float) -> Microscope:
    microscope = Microscope(Imaging(line="clock", **table), said.append)  # type: ignore[arg-type]
    microscope.start(0)
    return microscope


def edges(said: Said) -> list[int]:
    return [w.t for _, w in said if isinstance(w, Edge) and w.line == "frame_clock" and w.up]


def test_a_session_begins_and_ends_in_grey_with_frames_and_stops_the_microscope() -> None:
    said = run(trials=2)
    on, off = (w for _, w in said if isinstance(w, Acquire))
    outputs = [(w.t, w.up) for _, w in said if isinstance(w, Edge) and w.line == "imaging"]
    assert outputs == [(on.t, True), (off.t, False)] and on.on and not off.on
    times = edges(said)
    first = min(w.t for w in of(said, TrialStart))
    last = max(w.t for _, w in said if isinstance(w, Position) and w.phase == "corridor")
    assert sum(t < first for t in times) >= 15
    assert sum(last < t <= off.t for t in times) >= 15
    assert max(times) <= off.t + PERIOD
    ended = max(w.t for w in of(said, Position))
    assert 3 * PERIOD < ended - max(times) < 5 * S
    verdict = [w for _, w in said if isinstance(w, Integrity)][-1]
    assert verdict.sound and verdict.edges == verdict.pages == len(times)


def test_a_silent_frame_clock_pauses_the_corridor_at_the_trials_end() -> None:
    silent = "nodes.mesoscope.planted={silent_from=18,silent_s=60}"
    said = run(silent, "nodes.task.imaging.silent_periods=3", end_s=14)
    (fault,) = [w for _, w in said if isinstance(w, Fault)]
    assert "the frame clock is silent" in fault.text
    wheel_period_ns = 5_000_000  # the clock is looked at with every Wheel
    assert 0 <= fault.t - (max(edges(said)) + 3 * PERIOD) <= wheel_period_ns + 1000
    phases = [w.phase for _, w in said if isinstance(w, Position) and w.t > fault.t]
    assert phases[0] == "corridor" and phases[-1] == "paused"
    assert set(phases[phases.index("paused") :]) == {"paused"}
    outcomes = [w.trial for w in of(said, TrialStart)]
    assert outcomes == [0]


def test_a_microscope_that_never_begins_ends_the_session() -> None:
    with pytest.raises(Refused, match="did not begin to scan: no edge of frame_clock within 10 s"):
        run("nodes.mesoscope.starts_on=nothing", end_s=30)


def test_without_a_microscope_nothing_is_waited_for() -> None:
    said: list[Message] = []
    none = Microscope(None, said.append)
    none.start(0)
    none.watch(100 * S)
    assert none.grey_is_over(5, 0.0) and none.has_ended(0) and not said


def test_a_lost_or_doubled_edge_is_no_silence() -> None:
    said: list[Message] = []
    microscope = scope(said)
    for i in range(60):
        if i % 7 != 5:
            microscope.edge(Edge(i * PERIOD, "clock", True))
        microscope.edge(Edge(i * PERIOD, "camera", True))
        if i % 9 == 4:
            microscope.edge(Edge(i * PERIOD + 1000, "clock", True))
        microscope.watch(i * PERIOD + PERIOD - 1)
    assert [type(message) for message in said] == [Acquire]


def test_after_a_resume_it_has_time_and_is_watched_again() -> None:
    said: list[Message] = []
    microscope = scope(said)
    for i in range(10):
        microscope.edge(Edge(i * PERIOD, "clock", True))
    microscope.watch(9 * PERIOD + 3 * PERIOD + 5)
    assert microscope.is_silent
    microscope.resume(30 * S)
    microscope.watch(39 * S)
    assert not microscope.is_silent
    microscope.watch(40 * S + 1)
    assert microscope.is_silent
    assert sum(isinstance(message, Fault) for message in said) == 2


def test_a_microscope_that_scans_on_is_named_and_not_waited_for_any_longer() -> None:
    said: list[Message] = []
    microscope = scope(said, grey_frames=1)
    ended = []
    for i in range(30):
        microscope.edge(Edge(i * PERIOD, "clock", True))
        ended.append(microscope.has_ended(i * PERIOD))
    assert ended.index(True) == pytest.approx(16, abs=1)
    assert any(isinstance(w, Fault) and "scans on" in w.text for w in said)


def live(walk: Walk, seconds: int, scans: bool) -> None:
    """Let so much time pass, with or without frames of the microscope."""
    for _ in range(2 * seconds):
        if scans:
            walk.node.handle(Edge(walk.t, "clock", True))
        walk.on(0.5)


def test_the_operator_resumes_a_session_that_waits_for_the_microscope() -> None:
    said: list[Message] = []
    walk = Walk(task(said, trials=3, imaging={"line": "clock"}), said)

    live(walk, 10, scans=True)
    live(walk, 10, scans=False)
    assert messages(Position, said)[-1].phase == "paused"
    live(walk, 5, scans=True)
    assert messages(Position, said)[-1].phase == "paused"
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + S, "resume"))
    live(walk, 30, scans=True)
    assert [message.trial for message in messages(TrialStart, said)] == [0, 1, 2]
    assert sum(isinstance(message, Fault) for message in said) == 1


def test_a_session_resumed_too_early_waits_for_a_frame_and_pauses_again() -> None:
    said: list[Message] = []
    walk = Walk(task(said, trials=3, imaging={"line": "clock"}), said)

    live(walk, 10, scans=True)
    live(walk, 10, scans=False)
    begun = len(messages(TrialStart, said))
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + S, "resume"))
    live(walk, 9, scans=False)
    assert messages(Position, said)[-1].phase == "grey"
    live(walk, 3, scans=False)
    assert messages(Position, said)[-1].phase == "paused"
    assert len(messages(TrialStart, said)) == begun
    assert sum(isinstance(message, Fault) for message in said) == 2
    walk.node.handle(OperatorRequest(walk.t, 2, walk.t + S, "resume"))
    live(walk, 2, scans=True)
    assert len(messages(TrialStart, said)) == begun + 1
