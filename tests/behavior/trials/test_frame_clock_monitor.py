"""The phases of an imaging session (start, grey, trials, grey, stop), and a silent frame clock."""

from pathlib import Path

import pytest

from behavior.trials.frame_clock_monitor import FrameClockMonitor, ImagingSettings
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
from rig.settings.config import convert
from tests.acquisition.sessions import Published, of, run
from tests.behavior.sessions import Walker, task
from tests.behavior.sessions import of as messages

S = 1_000_000_000
PERIOD = S // 3


@pytest.fixture(autouse=True)
def session_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def scope(published: list[Message], **table: float) -> FrameClockMonitor:
    imaging = convert({"line": "clock", **table}, ImagingSettings, "imaging")
    microscope = FrameClockMonitor(imaging, published.append)
    microscope.start(0)
    return microscope


def edges(published: Published) -> list[int]:
    return [w.t for _, w in published if isinstance(w, Edge) and w.line == "frame_clock" and w.up]


def test_an_imaging_session_has_grey_frames_at_both_ends_and_stops_the_microscope() -> None:
    published = run(trials=2)
    on, off = (w for _, w in published if isinstance(w, Acquire))
    outputs = [(w.t, w.up) for _, w in published if isinstance(w, Edge) and w.line == "imaging"]
    assert outputs == [(on.t, True), (off.t, False)] and on.on and not off.on
    times = edges(published)
    first = min(w.t for w in of(published, TrialStart))
    last = max(w.t for _, w in published if isinstance(w, Position) and w.phase == "corridor")
    assert sum(t < first for t in times) >= 15
    assert sum(last < t <= off.t for t in times) >= 15
    assert max(times) <= off.t + PERIOD
    ended = max(w.t for w in of(published, Position))
    assert 3 * PERIOD < ended - max(times) < 5 * S
    verdict = [w for _, w in published if isinstance(w, Integrity)][-1]
    assert verdict.sound and verdict.edges == verdict.pages == len(times)


def test_a_silent_frame_clock_pauses_the_session_at_the_end_of_the_trial() -> None:
    silent = "nodes.mesoscope.injected_faults={silent_from=18,silent_s=60}"
    published = run(silent, "nodes.task.imaging.silent_periods=3", end_s=14)
    (fault,) = [w for _, w in published if isinstance(w, Fault)]
    assert "the frame clock is silent" in fault.text
    wheel_period_ns = 5_000_000  # the frame clock is checked at every Wheel
    assert 0 <= fault.t - (max(edges(published)) + 3 * PERIOD) <= wheel_period_ns + 1000
    phases = [w.phase for _, w in published if isinstance(w, Position) and w.t > fault.t]
    assert phases[0] == "corridor" and phases[-1] == "paused"
    assert set(phases[phases.index("paused") :]) == {"paused"}
    trials = [w.trial for _, w in published if isinstance(w, TrialStart)]
    assert trials == [0]


def test_a_microscope_that_never_starts_ends_the_session() -> None:
    with pytest.raises(Refused, match="did not start to scan: no edge on frame_clock within 10 s"):
        run("nodes.mesoscope.starts_on=nothing", end_s=30)


def test_without_a_microscope_nothing_is_waited_for() -> None:
    published: list[Message] = []
    none = FrameClockMonitor(None, published.append)
    none.start(0)
    none.watch(100 * S)
    assert none.is_grey_over(5, 0.0) and none.stop(0) and not published


def test_a_lost_or_doubled_edge_is_not_a_silence() -> None:
    published: list[Message] = []
    microscope = scope(published)
    for i in range(60):
        if i % 7 != 5:
            microscope.count_edge(Edge(i * PERIOD, "clock", True))
        microscope.count_edge(Edge(i * PERIOD, "camera", True))
        if i % 9 == 4:
            microscope.count_edge(Edge(i * PERIOD + 1000, "clock", True))
        microscope.watch(i * PERIOD + PERIOD - 1)
    assert [type(message) for message in published] == [Acquire]


def test_after_resume_the_microscope_has_time_and_is_watched_again() -> None:
    published: list[Message] = []
    microscope = scope(published)
    for i in range(10):
        microscope.count_edge(Edge(i * PERIOD, "clock", True))
    microscope.watch(9 * PERIOD + 3 * PERIOD + 5)
    assert microscope.is_silent
    microscope.resume(30 * S)
    microscope.watch(39 * S)
    assert not microscope.is_silent
    microscope.watch(40 * S + 1)
    assert microscope.is_silent
    assert sum(isinstance(message, Fault) for message in published) == 2


def test_a_microscope_that_does_not_stop_is_reported_and_not_waited_for() -> None:
    published: list[Message] = []
    microscope = scope(published, grey_frames=1)
    ended = []
    for i in range(30):
        microscope.count_edge(Edge(i * PERIOD, "clock", True))
        ended.append(microscope.stop(i * PERIOD))
    assert ended.index(True) == pytest.approx(16, abs=1)
    assert any(isinstance(w, Fault) and "still scans" in w.text for w in published)


def live(walk: Walker, seconds: int, scans: bool) -> None:
    """Run for some seconds, with or without frames of the microscope."""
    for _ in range(2 * seconds):
        if scans:
            walk.node.handle(Edge(walk.t, "clock", True))
        walk.run(0.5)


def test_the_operator_resumes_a_session_paused_by_a_silent_frame_clock() -> None:
    published: list[Message] = []
    walk = Walker(task(published, trials=3, imaging={"line": "clock"}), published)

    live(walk, 10, scans=True)
    live(walk, 10, scans=False)
    assert messages(Position, published)[-1].phase == "paused"
    live(walk, 5, scans=True)
    assert messages(Position, published)[-1].phase == "paused"
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + S, "resume"))
    live(walk, 30, scans=True)
    assert [message.trial for message in messages(TrialStart, published)] == [0, 1, 2]
    assert sum(isinstance(message, Fault) for message in published) == 1


def test_a_session_resumed_too_early_pauses_again() -> None:
    published: list[Message] = []
    walk = Walker(task(published, trials=3, imaging={"line": "clock"}), published)

    live(walk, 10, scans=True)
    live(walk, 10, scans=False)
    begun = len(messages(TrialStart, published))
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + S, "resume"))
    live(walk, 9, scans=False)
    assert messages(Position, published)[-1].phase == "grey"
    live(walk, 3, scans=False)
    assert messages(Position, published)[-1].phase == "paused"
    assert len(messages(TrialStart, published)) == begun
    assert sum(isinstance(message, Fault) for message in published) == 2
    walk.node.handle(OperatorRequest(walk.t, 2, walk.t + S, "resume"))
    live(walk, 2, scans=True)
    assert len(messages(TrialStart, published)) == begun + 1
