"""The referee reports every planted bug, and no violation of the real task."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.task import Task
from rig.messages import (
    Arm,
    Fault,
    Message,
    OperatorRequest,
    Stop,
    TrialEnd,
    TrialStart,
    TrialVerdict,
    Valve,
)
from tests.behavior.judging.more_planted_bugs import MORE_BUGS, GivesUnrequestedManualReward
from tests.behavior.judging.planted_bugs import BUGS, LeavesTheWindowOpen, RewardsTwice
from tests.behavior.judging.refereed import (
    EAGER,
    JUST_OUTSIDE,
    NEVER_LICKS,
    Recording,
    check_sound,
    names,
    plant,
    refereed,
    run,
)
from tests.behavior.sessions import MS, SHARED, S, of

_SOUND: set[tuple[str, str]] = set()
"""Options and mice whose session without a bug was found to have no violations."""


@pytest.mark.parametrize(
    ("bug", "options", "mouse", "name"),
    [*[(bug, options, EAGER, name) for bug, options, name in BUGS], *MORE_BUGS],
)
def test_a_planted_bug_is_reported(
    bug: type[Task],
    options: dict[str, Any],
    mouse: dict[str, Any],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = refereed(3, mouse, trials=10, **options)
    if (repr(options), repr(mouse)) not in _SOUND:
        check_sound(run(chosen))
        _SOUND.add((repr(options), repr(mouse)))
    plant(bug, monkeypatch)
    published = run(chosen)
    assert name in names(published)
    assert any(f": {name}: " in fault.text for fault in of(Fault, published))


def test_an_unrequested_manual_reward_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(GivesUnrequestedManualReward, monkeypatch)
    published = run(refereed(3, EAGER, trials=3))
    assert any("manual reward: nobody requested it" in fault.text for fault in of(Fault, published))
    assert names(published) == set()


def test_a_request_allows_one_manual_reward_within_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once = ((1000 * MS, "water"),)
    monkeypatch.setattr(_TaskWithOperator, "requests", once)
    plant(_TaskWithOperator, monkeypatch)
    recording = Recording(published=run(refereed(3, EAGER, trials=3)))
    assert recording.judge() == (set(), [])
    (given,) = [valve for valve in of(Valve, recording.messages) if valve.manual]
    (request,) = [arm for arm in of(Arm, recording.messages) if arm.manual]
    later = given.t + 5 * S
    again = msgspec.structs.replace(request, id=999, t=later)
    recording.insert(again)
    recording.insert(msgspec.structs.replace(given, id=999, t=later))
    _, faults = recording.judge()
    assert [fault.text for fault in faults] == [
        "manual reward: nobody requested it; find out what opens the valve"
    ]
    recording.change(given, msgspec.structs.replace(given, volume_ul=9.0))
    assert any("9 ul from centre is not a reward" in fault.text for fault in recording.judge()[1])


def test_manual_rewards_count_towards_the_water_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests = ((2000, "pause"), (2500, "water"), (3500, "water"), (4500, "resume"))
    monkeypatch.setattr(
        _TaskWithOperator, "requests", tuple((ms * MS, verb) for ms, verb in requests)
    )
    plant(_TaskWithOperator, monkeypatch)
    published = run(refereed(3, NEVER_LICKS, trials=9, water_ul=6.0))
    check_sound(published)
    assert len(of(TrialStart, published)) == 1
    assert of(Stop, published)[0].reason == "6 ul were given"


def test_a_window_that_closes_eight_ms_late_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = refereed(3, JUST_OUTSIDE, trials=6)
    published = run(chosen)
    check_sound(published)
    assert of(Valve, published) == []
    plant(LeavesTheWindowOpen, monkeypatch)
    published = run(chosen)
    assert (
        len(of(Valve, published)) == sum(start.rewarded for start in of(TrialStart, published)) > 0
    )
    assert names(published) == {"reward after the zone"}


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    mode=st.sampled_from(["active", "passive"]),
    decided_by=st.sampled_from(["device", "task"]),
    cohort=st.sampled_from(["task", "task", "unrewarded"]),
    mouse=st.sampled_from([None, EAGER]),
    options=st.fixed_dictionaries(
        {
            "corridor_cm_s": st.sampled_from([60.0, 200.0]),
            "reward_delay_ms": st.sampled_from([0.0, 3.0, 300.0]),
            "grey_m": st.sampled_from([0.5, 2.0]),
            "stop_cm_s": st.sampled_from([2.0, 6.0]),
            "minutes": st.sampled_from([0.2, 5.0]),
            "max_repeats": st.sampled_from([2, 3]),
        }
    ),
    end_s=st.sampled_from([7.77, 300.0]),
)
def test_the_real_task_has_no_violations(
    seed: int,
    mode: str,
    decided_by: str,
    cohort: str,
    mouse: dict[str, Any] | None,
    options: dict[str, Any],
    end_s: float,
) -> None:
    options = {**options, "reward_mode": mode, "decided_by": decided_by, "cohort": cohort}
    check_sound(run(refereed(seed, mouse, trials=5, **options), end_s))


class _TaskWithOperator(Task):
    """The real task with requests of an operator at given times."""

    requests: tuple[tuple[int, str], ...] = ()

    def handle(self, message: Message) -> None:
        super().handle(message)
        while self.requests and message.t >= self.requests[0][0]:
            (t, verb), self.requests = self.requests[0], self.requests[1:]
            number = round(t / MS)
            deadline = message.t + 2 * S
            request = OperatorRequest(message.t, number, deadline, verb)  # type: ignore[arg-type]
            self.publish(request)
            super().handle(request)


@pytest.mark.parametrize("seed", range(6))
def test_pauses_and_a_stop_are_not_violations(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [(3000, "pause"), (4500, "resume"), (9000, "pause"), (9001, "resume")]
    requests = tuple(((ms + 617 * seed) * MS, verb) for ms, verb in [*times, (22_000, "stop")])
    monkeypatch.setattr(_TaskWithOperator, "requests", requests)
    plant(_TaskWithOperator, monkeypatch)
    published = run(refereed(seed, EAGER, trials=30))
    check_sound(published)
    assert {end.outcome for end in of(TrialEnd, published)} == {"done", "aborted"}
    assert len(of(TrialVerdict, published)) < 30


@pytest.mark.parametrize("mode", ["active", "passive"])
def test_a_session_of_a_recorded_mouse_has_no_violations(mode: str) -> None:
    path = SHARED / "mouse_vr" / "mouse3_day5.csv.gz"
    if not path.is_file():
        pytest.skip(f"the recordings are not here: there is no {path}")
    mouse = {"is": "behavior.animals:RecordedMouse", "mouse_file": str(path)}
    published = run(refereed(3, {**mouse, "start_s": 100.0}, trials=8, reward_mode=mode))
    check_sound(published)
    assert len(of(Valve, published)) >= 2


def test_a_violation_is_reported_within_its_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(RewardsTwice, monkeypatch)
    published = run(refereed(3, EAGER, trials=10))
    running, reported = -1, []
    for message in published:
        match message:
            case TrialStart():
                running = message.trial
            case Fault():
                reported.append((running, message.text))
    assert reported
    assert all(f"trial {number}: " in text for number, text in reported)
