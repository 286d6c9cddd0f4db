"""Whole sessions of driver and task in virtual time, with simulated and recorded mice."""

from typing import Any

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
from rig.settings.config import SessionSettings, convert
from tests.behavior.refereed import EAGER, refereed, run
from tests.behavior.sessions import SHARED, S, check_trials, of, session


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tick every 5 ms: nothing here is about the millisecond."""
    monkeypatch.setattr(Hardware, "period_s", 0.005)


def _run(chosen: SessionSettings, end_s: float = 600.0) -> list[Message]:
    return [message for _, message in virtual_session.run(chosen, round(end_s * S))]


def _check_water(said: list[Message]) -> int:
    """Assert that each drop had its cause in its trial; return how many there were."""
    trial, cue_t, position_m, drops = None, 0, 0.0, 0
    requests = {arm.id: arm for arm in of(Arm, said)}
    for message in said:
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
    assert len({valve.id for valve in of(Valve, said)}) == drops
    return drops


@pytest.mark.parametrize("decided_by", ["device", "task"])
@pytest.mark.parametrize("mode", ["active", "passive"])
def test_a_task_mouse_gets_its_water(mode: str, decided_by: str) -> None:
    facts: dict[str, Any] = {
        "reward_mode": mode,
        "reward_delay_ms": 300.0,
        "decided_by": decided_by,
    }
    said = _run(session(3, trials=12, **facts))
    check_trials(said)
    drops = _check_water(said)
    rewarded = sum(start.rewarded for start in of(TrialStart, said))
    assert drops >= rewarded - (0 if mode == "passive" else 1)
    assert drops > 3
    assert [end.outcome for end in of(TrialEnd, said)] == ["done"] * 12
    assert len(of(Cue, said)) == 12
    assert not of(Fault, said)
    assert [message.reason for message in of(Ended, said)] == ["all trials done"] * 2
    answered = {v.id for v in of(Valve, said)} | {d.id for d in of(Disarm, said)}
    assert answered == {arm.id for arm in of(Arm, said)}


def test_five_trials_are_a_demo_of_a_minute() -> None:
    said = _run(session(1, trials=5))
    starts = of(TrialStart, said)
    ends = of(TrialEnd, said)
    assert all(9 * S < e.t - s.t < 20 * S for s, e in zip(starts, ends, strict=True))
    assert any(not valve.refused for valve in of(Valve, said))


def test_an_unrewarded_mouse_gets_none() -> None:
    said = _run(session(3, trials=6, cohort="unrewarded"))
    assert len(of(Cue, said)) == 6
    assert not of(Arm, said)
    assert not of(Valve, said)


def test_the_same_seed_says_the_same_and_the_task_alone_says_it_again() -> None:
    chosen = session(5, trials=3)
    first = virtual_session.run(chosen)
    assert [message for _, message in first] == _run(chosen)
    again: list[Message] = []
    task = Task(convert(chosen.table("task"), Task.Settings, "task"), again.append)
    for _, message in first:
        if isinstance(message, Task.subscribes) and task.ended is None:
            task.handle(message)
    task.close()
    assert again == [
        message for e, message in first if e.sender == "task" and type(message) is not Ended
    ]


def test_a_session_that_is_cut_off_leaves_nothing_armed() -> None:
    said = _run(session(3, trials=50), end_s=47.0)
    check_trials(said)
    assert of(TrialEnd, said)[-1].outcome == "aborted"
    answered = {v.id for v in of(Valve, said)} | {d.id for d in of(Disarm, said)}
    assert answered == {arm.id for arm in of(Arm, said)}


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
    said = _run(session(3, mouse, trials=8, reward_mode=mode, reward_delay_ms=300.0))
    check_trials(said)
    assert len(of(TrialEnd, said)) == 8
    assert _check_water(said) >= 2
    # 80 s of a moving corridor, each at 6 cm/s or more
    assert of(Wheel, said)[-1].cm > 480


def test_who_hears_the_task_ends_after_it_and_hears_its_last_words() -> None:
    said = run(refereed(3, EAGER, trials=30), 9.0)
    assert of(TrialEnd, said)[-1].outcome == "aborted"
    stops = [(at, message.nodes) for at, message in enumerate(said) if isinstance(message, Stop)]
    assert [nodes for _, nodes in stops] == [("hardware",), ("task",), ("referee",)]
    assert said.index(of(TrialEnd, said)[-1]) < stops[2][0]
