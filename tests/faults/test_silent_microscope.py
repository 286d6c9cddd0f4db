"""A microscope that stops, or never starts: the session waits for the operator, or ends."""

from pathlib import Path

from rig.messages import Acquire, Edge, Ended, Fault, Position, Start, TrialEnd, TrialStart, Valve
from rig.replay.replay import Report, replay
from rig.session.provenance import about
from rig.transport.log import LOG_FILE, read
from tests.live import NO_SCREEN, Live

SILENT_FROM = 14
QUICK = (
    NO_SCREEN,
    "task.grey_before_s=0.2",
    "task.grey_after_s=0.2",
    "task.texture_m=1.0",
    "task.grey_m=0.5",
    "task.cue_from_m=0.2",
    "task.cue_to_m=0.6",
    "task.corridor_cm_s=120",
    "task.minutes=1",
    "nodes.mesoscope.frame_rate_hz=10",
)


def silent_for(seconds: float) -> tuple[str, ...]:
    return (
        *QUICK,
        f"nodes.mesoscope.injected_faults.silent_from={SILENT_FROM}",
        f"nodes.mesoscope.injected_faults.silent_s={seconds}",
    )


def until_paused(live: Live) -> int:
    """Wait for the fault, the trial's end and the pause; return when it paused."""
    while True:
        envelope, fault = live.until(Fault)
        if envelope.sender == "task":
            break
    assert "the frame clock is silent" in fault.text
    _, paused = live.until(Position, phase="paused")
    assert paused.t > fault.t
    return paused.t


def replayed(live: Live) -> Report:
    report = replay(live.folder, [], about())
    assert report.first is None
    assert min(report.compared[name] for name in ("task", "referee", "integrity", "online")) > 0
    return report


def test_a_silent_frame_clock_pauses_the_session_and_the_operator_resumes_it(
    tmp_path: Path,
) -> None:
    with Live(tmp_path, *silent_for(2.0), keys=True) as live:
        paused_t = until_paused(live)
        while live.until(Edge, line="frame_clock", up=True)[1].t < paused_t:
            pass
        live.resume()
        _, again = live.until(TrialStart)
        live.until(TrialEnd, trial=again.trial, outcome="done")
        live.press("s")
        code, output = live.end()
        assert code == 0, output
        assert "task: the frame clock is silent for" in output
        messages = [message for _, message in read(live.folder / LOG_FILE)]
        trials = [(w.trial, w.outcome) for w in messages if isinstance(w, TrialEnd)]
        assert trials == [(trial, "done") for trial in range(len(trials))]
        grey = [w for w in messages if isinstance(w, Position) and paused_t <= w.t < again.t]
        assert {w.trial for w in grey} == {-1}
        verdict = live.summary()["integrity"]
        assert verdict["edges"] == verdict["pages"] > SILENT_FROM
        replayed(live)


def test_while_it_waits_for_the_microscope_the_operator_stops_the_session(tmp_path: Path) -> None:
    with Live(tmp_path, *silent_for(600.0), keys=True) as live:
        until_paused(live)
        live.press("s")
        code, output = live.end()
        assert code == 0, output
        assert live.summary()["end_reason"] == "stopped by the operator"
        messages = [message for _, message in read(live.folder / LOG_FILE)]
        assert [w.on for w in messages if isinstance(w, Acquire)] == [True, False]
        assert live.summary()["integrity"]["pages"] == SILENT_FROM - 1
        replayed(live)


def test_a_microscope_that_never_scans_ends_the_session_with_a_sentence(tmp_path: Path) -> None:
    never = ("nodes.mesoscope.starts_on='nothing'", "nodes.task.imaging.first_frame_s=1")
    with Live(tmp_path, *QUICK, *never) as live:
        _, ended = live.until(Ended)
        code, output = live.end()
        assert code == 1, output
        sentence = "the microscope did not start to scan: no edge on frame_clock within 1 s"
        assert sentence in output
        assert "Traceback" not in output
        assert sentence in live.summary()["end_reason"]
        messages = [message for _, message in read(live.folder / LOG_FILE)]
        assert not [w for w in messages if isinstance(w, Valve | TrialStart)]
        lines = [(w.line, w.up) for w in messages if isinstance(w, Edge) and w.line == "imaging"]
        assert lines == [("imaging", True), ("imaging", False)]
        (start,) = (w for w in messages if isinstance(w, Start))
        assert ended.t - start.t >= 1_000_000_000
        report = replay(live.folder, [], about())
        assert report.first is None
