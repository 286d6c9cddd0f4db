"""Whole sessions of driver and task in virtual time, with simulated and recorded mice."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from behavior.hardware import Hardware
from behavior.task import Task
from rig import virtual_session
from rig.messages import (
    Arm,
    Cue,
    Disarm,
    Ended,
    Fault,
    Message,
    Position,
    Stop,
    TrialEnd,
    TrialStart,
    Valve,
    Wheel,
)
from rig.process import completed, settings_table
from rig.replay.replay import replay
from rig.session.provenance import about
from rig.settings.config import SessionSettings, convert
from tests.analysis.logs import write_log
from tests.behavior.judging.refereed import EAGER, ROCKING, refereed, run
from tests.behavior.sessions import SHARED, S, check_trials, of, session


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tick every 5 ms, which is fast enough for these tests."""
    monkeypatch.setattr(Hardware, "period_s", 0.005)


def _run(chosen: SessionSettings, end_s: float = 600.0) -> list[Message]:
    return [message for _, message in virtual_session.run(chosen, round(end_s * S))]


def _check_water(published: list[Message]) -> int:
    """Assert that each reward had its cause in its trial; return the number of rewards."""
    trial, cue_t, position_m, drops = None, 0, 0.0, 0
    requests = {arm.id: arm for arm in of(Arm, published)}
    for message in published:
        match message:
            case TrialStart():
                trial, in_trial = message, 0
            case Position():
                position_m = message.position_m
            case Cue():
                cue_t = message.t
            case Valve():
                assert trial is not None
                assert not message.refused
                assert trial.rewarded
                assert position_m < trial.texture_m
                assert message.t >= requests[message.id].t >= cue_t
                in_trial += 1
                assert in_trial == 1
                drops += 1
    assert len({valve.id for valve in of(Valve, published)}) == drops
    return drops


@pytest.mark.parametrize("decided_by", ["device", "task"])
@pytest.mark.parametrize("mode", ["active", "passive"])
def test_a_task_mouse_gets_its_rewards(mode: str, decided_by: str) -> None:
    options: dict[str, Any] = {
        "reward_mode": mode,
        "reward_delay_ms": 300.0,
        "decided_by": decided_by,
    }
    published = _run(session(3, trials=12, **options))
    check_trials(published)
    drops = _check_water(published)
    rewarded = sum(start.rewarded for start in of(TrialStart, published))
    assert drops >= rewarded - (0 if mode == "passive" else 1)
    assert drops > 3
    assert [end.outcome for end in of(TrialEnd, published)] == ["done"] * 12
    assert len(of(Cue, published)) == 12
    assert not of(Fault, published)
    assert [message.reason for message in of(Ended, published)] == ["all trials done"] * 2
    answered = {v.id for v in of(Valve, published)} | {d.id for d in of(Disarm, published)}
    assert answered == {arm.id for arm in of(Arm, published)}


def test_five_trials_take_about_a_minute() -> None:
    published = _run(session(1, trials=5))
    starts = of(TrialStart, published)
    ends = of(TrialEnd, published)
    assert all(9 * S < e.t - s.t < 20 * S for s, e in zip(starts, ends, strict=True))
    assert any(not valve.refused for valve in of(Valve, published))


def test_an_unrewarded_mouse_gets_no_water() -> None:
    published = _run(session(3, trials=6, cohort="unrewarded"))
    assert len(of(Cue, published)) == 6
    assert not of(Arm, published)
    assert not of(Valve, published)


def test_the_same_seed_repeats_and_the_task_can_be_replayed() -> None:
    chosen = session(5, trials=3)
    first = virtual_session.run(chosen)
    assert [message for _, message in first] == _run(chosen)
    again: list[Message] = []
    task = Task(convert(settings_table(chosen, Task), Task.Settings, "task"), again.append)
    for _, message in first:
        if isinstance(message, Task.subscribes) and task.ended is None:
            task.handle(message)
    task.close()
    assert again == [
        message for e, message in first if e.sender == "task" and type(message) is not Ended
    ]


def test_a_changed_gain_rule_is_found_in_a_replay(tmp_path: Path) -> None:
    rocking = {**ROCKING, "cm_per_count": 0.0135}
    chosen = session(5, rocking, trials=2, motion="gain", gain=4.0, cue_to_m=1.0)
    chosen = msgspec.structs.replace(completed(chosen), about=about())
    folder = write_log(tmp_path, virtual_session.run(chosen))
    assert replay(folder, [], about()).first is None
    report = replay(folder, ["task.gain_distance=forward"], about())
    assert report.first is not None
    assert "Position" in str(report.first)


def test_an_interrupted_session_disarms_the_valve() -> None:
    published = _run(session(3, trials=50), end_s=47.0)
    check_trials(published)
    assert of(TrialEnd, published)[-1].outcome == "aborted"
    answered = {v.id for v in of(Valve, published)} | {d.id for d in of(Disarm, published)}
    assert answered == {arm.id for arm in of(Arm, published)}


@pytest.mark.parametrize("mode", ["active", "passive"])
def test_a_recorded_mouse_runs_the_task(mode: str) -> None:
    path = SHARED / "mouse_vr" / "mouse3_day5.csv.gz"
    if not path.is_file():
        pytest.skip(f"the recordings are not here: there is no {path}")
    mouse = {
        "is": "behavior.animals:RecordedMouse",
        "mouse_file": str(path),
        "start_s": 100.0,
    }
    published = _run(session(3, mouse, trials=8, reward_mode=mode, reward_delay_ms=300.0))
    check_trials(published)
    assert len(of(TrialEnd, published)) == 8
    assert _check_water(published) >= 2
    # 80 s of a moving corridor, at 6 cm/s or more
    assert of(Wheel, published)[-1].cm > 480


def test_the_referee_ends_after_the_task_and_handles_its_last_messages() -> None:
    published = run(refereed(3, EAGER, trials=30), 9.0)
    assert of(TrialEnd, published)[-1].outcome == "aborted"
    stops = [
        (at, message.nodes) for at, message in enumerate(published) if isinstance(message, Stop)
    ]
    assert [nodes for _, nodes in stops] == [("hardware",), ("task",), ("referee",)]
    assert published.index(of(TrialEnd, published)[-1]) < stops[2][0]
