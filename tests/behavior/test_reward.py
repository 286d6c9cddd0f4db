"""Water: asked for at most once a trial, never without its due, whatever the task hears."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.arming import LEASE_NS
from rig.messages import (
    Arm,
    Cue,
    Disarm,
    Fault,
    Lick,
    Message,
    Order,
    Position,
    Start,
    TrialEnd,
    TrialStart,
    Valve,
    Wheel,
)
from tests.behavior.sessions import MS, S, Walk, check_trials, of, task

ONE = {"stimuli": ["leaf1"], "shares": [1.0], "cue_from_m": 2.0, "cue_to_m": 2.0, "trials": 2}


def _at_cue(**facts: Any) -> tuple[list[Message], Walk, Cue]:
    said: list[Message] = []
    walk = Walk(task(said, **{**ONE, **facts}), said)
    cue = walk.until(Cue)
    assert isinstance(cue, Cue)
    return said, walk, cue


def test_the_valve_is_armed_at_the_cue_and_disarmed_when_the_texture_is_left() -> None:
    said, walk, cue = _at_cue()
    (arm,) = of(Arm, said)
    assert (arm.t, arm.on, arm.line, arm.volume_ul) == (cue.t, "lick", "centre", 3.0)
    walk.until(Disarm)
    assert 4.0 <= of(Position, said)[-1].position_m < 4.01


def test_after_the_valve_nothing_is_disarmed_or_armed_again() -> None:
    said, walk, cue = _at_cue()
    walk.opened(1, cue.t + 1)
    walk.until(TrialStart)
    assert len(of(Arm, said)) == 1
    assert not of(Disarm, said)


def test_a_mouse_that_stands_is_armed_anew_until_it_licks() -> None:
    said, walk, _ = _at_cue()
    walk.on(130, cm_s=0)
    first, second, third = _wishes(said)
    assert [word.id for word in of(Disarm, said)] == [first.id, second.id]
    assert second.t > first.deadline >= second.t - 20 * MS
    walk.opened(third.id, walk.t)
    walk.on(130, cm_s=0)
    assert len(_wishes(said)) == 3


def _wishes(said: list[Message]) -> list[Arm]:
    """Return each Arm once: one that waits is said again under its id."""
    return list({arm.id: arm for arm in of(Arm, said)}.values())


def test_a_wish_that_waits_is_said_again_well_within_its_lease() -> None:
    said, walk, _ = _at_cue()
    before = len(of(Arm, said))
    walk.on(5, cm_s=0)
    again = of(Arm, said)[before:]
    assert len(again) >= 5 * S / (LEASE_NS / 2)
    assert set(again) == set(of(Arm, said)[:1])


def test_a_valve_that_comes_after_the_disarm_counts_if_its_lick_was_in_time() -> None:
    said, walk, _ = _at_cue()
    disarm = walk.until(Disarm)
    walk.opened(1, disarm.t - 1)
    assert not of(Fault, said)


def test_water_for_a_lick_outside_the_window_is_told() -> None:
    said, walk, _ = _at_cue()
    disarm = walk.until(Disarm)
    walk.opened(1, disarm.t + 3 * MS)
    (fault,) = of(Fault, said)
    assert "3.0 ms after" in fault.what


def test_a_valve_that_nobody_asked_for_settles_nothing() -> None:
    _, walk, _ = _at_cue()
    walk.opened(99, walk.t)
    assert walk.until(Disarm) == Disarm(walk.t, 1)


def test_a_refused_reward_is_not_asked_for_again() -> None:
    said, walk, _ = _at_cue()
    walk.node.hear(Valve(walk.t, 1, "centre", 0.0, 0.0, None, "enough"))
    walk.on(100, cm_s=0)
    assert len(of(Arm, said)) == 1


@pytest.mark.parametrize("cm_s", [30.0, 0.0])
def test_passive_water_comes_after_the_delay_also_if_the_mouse_stands(cm_s: float) -> None:
    said, walk, cue = _at_cue(reward_mode="passive", reward_delay_ms=500.0)
    walk.on(0.6, cm_s=cm_s)
    (arm,) = of(Arm, said)
    assert (arm.t, arm.on) == (cue.t + 500 * MS, "now")
    walk.opened(arm.id)
    walk.on(30)
    assert len([a for a in of(Arm, said) if a.t < of(TrialEnd, said)[0].t]) == 1


def test_the_task_decides_by_the_licks_own_time() -> None:
    said, walk, _ = _at_cue(decided_by="task")
    assert not of(Arm, said)
    walk.lick(ago_ns=1)
    assert not of(Arm, said)
    walk.on(0.1)
    walk.lick(ago_ns=50 * MS)
    (arm,) = of(Arm, said)
    assert (arm.on, arm.lick_t) == ("now", walk.t - 50 * MS)
    walk.lick()
    assert len(of(Arm, said)) == 1


def test_a_lick_heard_before_the_cue_that_it_follows() -> None:
    said: list[Message] = []
    walk = Walk(task(said, decided_by="task", **ONE), said)
    walk.until(Cue)
    again: list[Message] = []
    other = Walk(task(again, decided_by="task", **ONE), again)
    other.on((walk.t - 10 * MS) / S)
    assert not of(Cue, again)
    other.lick(ago_ns=-15 * MS)
    other.on(0.01)
    (arm,) = of(Arm, again)
    assert arm.lick_t == of(Cue, again)[0].t + 5 * MS


def test_other_spouts_do_not_count() -> None:
    said, walk, _ = _at_cue(decided_by="task")
    walk.node.hear(Lick(walk.t, "left"))
    assert not of(Arm, said)


acts = st.one_of(
    st.tuples(st.just("run"), st.integers(1, 400), st.floats(-40, 80)),
    st.tuples(st.just("run"), st.integers(600, 1200), st.floats(10, 60)),
    st.tuples(st.just("hang"), st.integers(100, 3000), st.floats(0, 80)),
    st.tuples(st.just("lick"), st.integers(-2000, 20), st.just(0.0)),
    st.tuples(st.just("valve"), st.integers(0, 6), st.floats(-2000, 5)),
    st.tuples(st.just("again"), st.integers(1, 30), st.just(0.0)),
    st.tuples(st.just("order"), st.integers(0, 4), st.just(0.0)),
)
ZONE = {"cue": False, "zone_from_m": 1.0, "zone_to_m": 2.5}
SPOUT = {
    "picture": "grey",
    "stimuli": ["grey", "dim"],
    "rewarded": ["grey"],
    "show_s": 4.0,
    "blank_s": 0.5,
}
kinds = st.sampled_from(
    [
        {},
        {"rescue_after_misses": 1},
        ZONE,
        {**ZONE, "motion": "always", "reward_ul": 2.0},
        {**ZONE, "motion": "gain"},
        SPOUT,
        {"blocks": [{"trials": 1, **ZONE}, {"trials": 2, **SPOUT}, {"minutes": 0.2}]},
        {"water_ul": 6.0, "disengaged_after": 2},
    ]
)
tasks = st.fixed_dictionaries(
    {
        "cohort": st.sampled_from(["task", "task", "unrewarded"]),
        "reward_mode": st.sampled_from(["passive", "active"]),
        "decided_by": st.sampled_from(["device", "task"]),
        "reward_delay_ms": st.sampled_from([0.0, 400.0]),
        "seed": st.integers(0, 2**31),
        "trials": st.integers(1, 6),
        "minutes": st.sampled_from([0.5, 60.0]),
    }
)


def _hears(script: list[tuple[str, int, float]]) -> list[Message]:
    """Return the words of an odd rig: hang-ups, doubles, late licks, valves nobody asked for."""
    words: list[Message] = [Start(0, {})]
    t, cm, orders = 0, 0.0, 0
    for act, number, other in [("run", 510, 0.0), *script]:
        match act:
            case "run":
                for _ in range(number):
                    t, cm = t + 10 * MS, cm + other / 100
                    words.append(Wheel(t, 0, cm))
            case "hang":
                t, cm = t + number * MS, cm + other
                words.append(Wheel(t, 0, cm))
            case "lick":
                words.append(Lick(t + number * MS, "centre"))
            case "valve":
                lick_t = t + round(other * MS) if number % 2 else None
                words.append(Valve(t, number, "centre", 60.0, 3.0, lick_t))
            case "again":
                words += words[-number:]
            case _:
                orders += 1
                verb = ("pause", "resume", "stop", "resume", "water")[number]
                words.append(Order(t, orders, t + S, verb))  # type: ignore[arg-type]
    return words


def _hear(words: list[Message], facts: dict[str, Any]) -> list[Message]:
    said: list[Message] = []
    node = task(said, **facts)
    for word in words:
        if node.ended is None:
            node.hear(word)
    node.close()
    return said


@settings(max_examples=200, deadline=None)
@given(tasks, kinds, st.lists(acts, max_size=40))
def test_whatever_the_task_hears(
    facts: dict[str, Any], kind: dict[str, Any], script: list[tuple[str, int, float]]
) -> None:
    facts = {**facts, **kind}
    if "zone" in str(kind) and (facts.get("motion") == "gain" or "blocks" in kind):
        facts["reward_delay_ms"] = 0.0
    if facts["reward_mode"] == "passive":
        facts.pop("rescue_after_misses", None)
    words = _hears(script)
    said = _hear(words, facts)
    assert said == _hear(words, facts)
    check_trials(said)
    _check_water(said)
    assert len({arm.id for arm in of(Arm, said)}) == len(set(of(Arm, said)))
    cues = [cue.trial for cue in of(Cue, said)]
    assert len(cues) == len(set(cues))
    cued = {start.trial for start in of(TrialStart, said) if start.cue_position_m is not None}
    done = {end.trial for end in of(TrialEnd, said) if end.outcome == "done"}
    assert done & cued <= set(cues) <= cued


def _check_water(said: list[Message]) -> None:
    """Assert that no more than one wish stands at a time, in its window, where it is due."""
    trial: TrialStart | None = None
    place, cued, standing, at_once = Position(0, -1, 0.0, 0.0, False, "grey"), False, None, 0
    watered = any(start.reward_mode != "none" for start in of(TrialStart, said))
    for word in said:
        match word:
            case TrialStart():
                trial, cued, at_once = word, False, 0
            case Position():
                place = word
            case Cue():
                cued = True
            case Arm(manual=True):
                assert watered or not of(TrialStart, said)
                assert word.on == "now"
            case Arm():
                assert trial is not None
                assert trial.rewarded
                assert cued or trial.cue_position_m is None
                if word.lick_t is None and trial.picture == "corridor":
                    assert trial.zone_from_m <= place.position_m < trial.zone_to_m
                if word.lick_t is None and trial.picture != "corridor":
                    assert place.phase == "picture"
                assert standing is None or standing.on == "lick"
                assert at_once == 0
                at_once += word.on == "now"
                standing = word
            case Disarm():
                standing = None if standing is not None and standing.id == word.id else standing
            case TrialEnd():
                trial = None
            case _:
                pass
