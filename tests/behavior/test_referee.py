"""The referee names every bug that is planted, and finds no fault with sound tasks."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.task import Task
from rig.messages import Fault, Message, Order, TrialEnd, TrialStart, Valve, Verdict
from tests.behavior.planted import BUGS, LeavesTheWindowOpen, PaysTwice
from tests.behavior.planted_more import MORE_BUGS, GivesByHandUnasked
from tests.behavior.refereed import EAGER, JUST_OUTSIDE, check_sound, names, plant, refereed, run
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
    assert any(f": {name}: " in fault.what for fault in of(Fault, said))


def test_water_by_hand_that_nobody_asked_for_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(GivesByHandUnasked, monkeypatch)
    said = run(refereed(3, EAGER, trials=3))
    assert any("by hand that nobody asked for" in fault.what for fault in of(Fault, said))
    assert names(said) == set()


def test_a_window_that_shuts_eight_ms_late_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = refereed(3, JUST_OUTSIDE, trials=6)
    said = run(chosen)
    check_sound(said)
    assert of(Valve, said) == []
    plant(LeavesTheWindowOpen, monkeypatch)
    said = run(chosen)
    assert len(of(Valve, said)) == sum(start.rewarded for start in of(TrialStart, said)) > 0
    assert names(said) == {"reward in the grey"}


@settings(max_examples=40, deadline=None)
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

    def hear(self, word: Message) -> None:
        super().hear(word)
        while self.orders and word.t >= self.orders[0][0]:
            (t, verb), self.orders = self.orders[0], self.orders[1:]
            number = round(t / MS)
            order = Order(word.t, number, word.t + 2 * S, verb)  # type: ignore[arg-type]
            self.say(order)
            super().hear(order)


@pytest.mark.parametrize("seed", range(6))
def test_pauses_and_a_stop_are_no_violations(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [(3000, "pause"), (4500, "resume"), (9000, "pause"), (9001, "resume")]
    orders = tuple(((ms + 617 * seed) * MS, verb) for ms, verb in [*times, (22_000, "stop")])
    monkeypatch.setattr(_Ordered, "orders", orders)
    plant(_Ordered, monkeypatch)
    said = run(refereed(seed, EAGER, trials=30))
    check_sound(said)
    assert {end.outcome for end in of(TrialEnd, said)} == {"done", "aborted"}
    assert len(of(Verdict, said)) < 30


@pytest.mark.parametrize("mode", ["active", "passive"])
def test_a_recorded_mouse_is_judged_soundly(mode: str) -> None:
    path = SHARED / "mouse_vr" / "mouse3_day5.csv.gz"
    if not path.is_file():
        pytest.skip(f"the recordings are not here: there is no {path}")
    mouse = {"is": "behavior.recorded_mouse:RecordedMouse", "mouse_file": str(path)}
    said = run(refereed(3, {**mouse, "start_s": 100.0}, trials=8, reward_mode=mode))
    check_sound(said)
    assert len(of(Valve, said)) >= 2


def test_a_violation_is_said_within_its_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(PaysTwice, monkeypatch)
    said = run(refereed(3, EAGER, trials=10))
    running, blamed = -1, []
    for word in said:
        match word:
            case TrialStart():
                running = word.trial
            case Fault():
                blamed.append((running, word.what))
    assert blamed
    assert all(f"trial {number}: " in what for number, what in blamed)
