"""The referee names every bug that is planted, and finds no fault with sound tasks."""

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
from tests.behavior.planted import BUGS, LeavesTheWindowOpen, PaysTwice
from tests.behavior.planted_more import MORE_BUGS, GivesByHandUnasked
from tests.behavior.refereed import (
    EAGER,
    JUST_OUTSIDE,
    NEVER_LICKS,
    Said,
    check_sound,
    names,
    plant,
    refereed,
    run,
)
from tests.behavior.sessions import MS, SHARED, S, of

_SOUND: set[tuple[str, str]] = set()
"""Facts and mice of which a session without a bug was seen to be sound."""


@pytest.mark.parametrize(
    ("bug", "facts", "mouse", "name"),
    [*[(bug, facts, EAGER, name) for bug, facts, name in BUGS], *MORE_BUGS],
)
def test_a_planted_bug_is_named(
    bug: type[Task],
    facts: dict[str, Any],
    mouse: dict[str, Any],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = refereed(3, mouse, trials=10, **facts)
    if (repr(facts), repr(mouse)) not in _SOUND:
        check_sound(run(chosen))
        _SOUND.add((repr(facts), repr(mouse)))
    plant(bug, monkeypatch)
    said = run(chosen)
    assert name in names(said)
    assert any(f": {name}: " in fault.text for fault in of(Fault, said))


def test_water_by_hand_that_nobody_asked_for_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(GivesByHandUnasked, monkeypatch)
    said = run(refereed(3, EAGER, trials=3))
    assert any("by hand: nobody asked for it" in fault.text for fault in of(Fault, said))
    assert names(said) == set()


def test_an_order_is_good_for_one_drop_and_not_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    once = ((1000 * MS, "water"),)
    monkeypatch.setattr(_Ordered, "orders", once)
    plant(_Ordered, monkeypatch)
    received = Said(said=run(refereed(3, EAGER, trials=3)))
    assert received.judged() == (set(), [])
    (given,) = [valve for valve in of(Valve, received.messages) if valve.manual]
    (request,) = [arm for arm in of(Arm, received.messages) if arm.manual]
    later = given.t + 5 * S
    again = msgspec.structs.replace(request, id=999, t=later)
    received.insert(again)
    received.insert(msgspec.structs.replace(given, id=999, t=later))
    _, faults = received.judged()
    assert [fault.text for fault in faults] == [
        "water by hand: nobody asked for it; look at what opens the valve"
    ]
    received.change(given, msgspec.structs.replace(given, volume_ul=9.0))
    assert any("9 ul from centre is no reward" in fault.text for fault in received.judged()[1])


def test_water_by_hand_that_reaches_the_cap_ends_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orders = ((2000, "pause"), (2500, "water"), (3500, "water"), (4500, "resume"))
    monkeypatch.setattr(_Ordered, "orders", tuple((ms * MS, verb) for ms, verb in orders))
    plant(_Ordered, monkeypatch)
    said = run(refereed(3, NEVER_LICKS, trials=9, water_ul=6.0))
    check_sound(said)
    assert len(of(TrialStart, said)) == 1
    assert of(Stop, said)[0].reason == "6 ul were given"


def test_a_window_that_shuts_eight_ms_late_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = refereed(3, JUST_OUTSIDE, trials=6)
    said = run(chosen)
    check_sound(said)
    assert of(Valve, said) == []
    plant(LeavesTheWindowOpen, monkeypatch)
    said = run(chosen)
    assert len(of(Valve, said)) == sum(start.rewarded for start in of(TrialStart, said)) > 0
    assert names(said) == {"reward in the grey"}


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    mode=st.sampled_from(["active", "passive"]),
    decided_by=st.sampled_from(["device", "task"]),
    cohort=st.sampled_from(["task", "task", "unrewarded"]),
    mouse=st.sampled_from([None, EAGER]),
    facts=st.fixed_dictionaries(
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
def test_a_sound_task_is_never_blamed(
    seed: int,
    mode: str,
    decided_by: str,
    cohort: str,
    mouse: dict[str, Any] | None,
    facts: dict[str, Any],
    end_s: float,
) -> None:
    facts = {**facts, "reward_mode": mode, "decided_by": decided_by, "cohort": cohort}
    check_sound(run(refereed(seed, mouse, trials=5, **facts), end_s))


class _Ordered(Task):
    """The real task, in a session with an operator: words of his, at their times."""

    orders: tuple[tuple[int, str], ...] = ()

    def handle(self, message: Message) -> None:
        super().handle(message)
        while self.orders and message.t >= self.orders[0][0]:
            (t, verb), self.orders = self.orders[0], self.orders[1:]
            number = round(t / MS)
            deadline = message.t + 2 * S
            order = OperatorRequest(message.t, number, deadline, verb)  # type: ignore[arg-type]
            self.publish(order)
            super().handle(order)


@pytest.mark.parametrize("seed", range(6))
def test_pauses_and_a_stop_are_no_violations(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [(3000, "pause"), (4500, "resume"), (9000, "pause"), (9001, "resume")]
    orders = tuple(((ms + 617 * seed) * MS, verb) for ms, verb in [*times, (22_000, "stop")])
    monkeypatch.setattr(_Ordered, "orders", orders)
    plant(_Ordered, monkeypatch)
    said = run(refereed(seed, EAGER, trials=30))
    check_sound(said)
    assert {end.outcome for end in of(TrialEnd, said)} == {"done", "aborted"}
    assert len(of(TrialVerdict, said)) < 30


@pytest.mark.parametrize("mode", ["active", "passive"])
def test_a_recorded_mouse_is_judged_soundly(mode: str) -> None:
    path = SHARED / "mouse_vr" / "mouse3_day5.csv.gz"
    if not path.is_file():
        pytest.skip(f"the recordings are not here: there is no {path}")
    mouse = {"is": "behavior.animals:RecordedMouse", "mouse_file": str(path)}
    said = run(refereed(3, {**mouse, "start_s": 100.0}, trials=8, reward_mode=mode))
    check_sound(said)
    assert len(of(Valve, said)) >= 2


def test_a_violation_is_said_within_its_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(PaysTwice, monkeypatch)
    said = run(refereed(3, EAGER, trials=10))
    running, blamed = -1, []
    for message in said:
        match message:
            case TrialStart():
                running = message.trial
            case Fault():
                blamed.append((running, message.text))
    assert blamed
    assert all(f"trial {number}: " in what for number, what in blamed)
