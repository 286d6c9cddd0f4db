"""The referee names what is wrong in the words of a session of which one was changed."""

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behavior.judging.odometry import Odometer
from behavior.judging.rules import read_rules
from rig.messages import (
    Arm,
    Cue,
    Disarm,
    Lick,
    OperatorRequest,
    Position,
    Start,
    TrialEnd,
    TrialStart,
    Valve,
    Wheel,
)
from tests.behavior.refereed import EAGER, JUST_INSIDE, JUST_OUTSIDE, Said
from tests.behavior.sessions import MS, TRAIN1, facts, of


def test_words_as_they_were_are_judged_as_they_were() -> None:
    assert Said().judged() == (set(), [])


@pytest.mark.parametrize("late_ms", [1.0, 40.0, 150.0])
def test_words_that_come_late_are_judged_by_their_own_time(late_ms: float) -> None:
    for mouse in (EAGER, JUST_INSIDE, JUST_OUTSIDE):
        received = Said(mouse)
        received.delay(late_ms)
        assert received.judged() == (set(), [])


@pytest.mark.parametrize("late_ms", [0.0, 2.0, 40.0])
@pytest.mark.parametrize(
    ("off_ms", "name"), [(-8, "reward before the cue"), (8, "reward in the grey")]
)
def test_water_for_a_lick_eight_ms_outside_the_window_is_named(
    off_ms: int, name: str, late_ms: float
) -> None:
    received = Said()
    valve = of(Valve, received.messages)[0]
    cue = [c for c in of(Cue, received.messages) if c.t <= valve.t][-1]
    later = [p for p in of(Position, received.messages) if p.t > cue.t]
    left_t = next(p.t for p in later if p.position_m >= TRAIN1["texture_m"])
    t = (cue.t if off_ms < 0 else left_t) + off_ms * MS
    received.messages.remove(valve)
    received.insert(Lick(t, "centre"))
    received.insert(msgspec.structs.replace(valve, t=t + 5 * MS, lick_t=t))
    received.delay(late_ms)
    assert name in received.judged()[0]


def test_a_valve_that_opens_after_its_disarm_is_right_if_its_lick_was_inside() -> None:
    received = Said(JUST_INSIDE)
    valves = of(Valve, received.messages)
    assert valves
    for valve in valves:
        assert valve.lick_t is not None
        late = msgspec.structs.replace(valve, t=valve.lick_t + 100 * MS)
        received.messages.remove(valve)
        received.insert(late)
        received.insert(Disarm(valve.t + 9 * MS, valve.id))
    assert received.judged() == (set(), [])


def test_water_that_comes_when_its_trial_is_over_stands_in_its_verdict() -> None:
    received = Said(JUST_INSIDE)
    valve = of(Valve, received.messages)[0]
    end = next(e for e in of(TrialEnd, received.messages) if e.t > valve.t)
    again = msgspec.structs.replace(valve, t=end.t + 50 * MS)
    received.insert(again)
    assert received.judged()[0] == {"two rewards", "reward too late"}


def test_water_outside_any_trial_is_a_fault() -> None:
    received = Said()
    received.insert(Valve(300 * MS, 99, "centre", 60.0, 3.0))
    names, (fault,) = received.judged()
    assert names == set()
    assert "3 ul of water outside any trial" in fault.text


def test_a_refused_reward_is_no_missed_one() -> None:
    received = Said()
    for valve in of(Valve, received.messages):
        refused = msgspec.structs.replace(valve, volume_ul=0.0, refused="the limit is reached")
        received.change(valve, refused)
    assert received.judged() == (set(), [])
    for valve in of(Valve, received.messages):
        received.change(valve)
    assert received.judged()[0] == {"missed reward"}


@pytest.mark.parametrize(("abort_ms", "missed"), [(50, False), (250, True)])
def test_a_reward_that_a_pause_overtook_is_not_missed(abort_ms: int, missed: bool) -> None:
    received = Said(JUST_INSIDE)
    valve = of(Valve, received.messages)[0]
    start = [s for s in of(TrialStart, received.messages) if s.t < valve.t][-1]
    abort_t = valve.t + abort_ms * MS
    received.messages = [
        w for w in received.messages if w.t <= abort_t and not isinstance(w, Valve)
    ]
    received.messages.append(OperatorRequest(abort_t, 1, abort_t, "pause"))
    received.messages.append(TrialEnd(abort_t, start.trial, "aborted"))
    for t in range(abort_t + 5 * MS, abort_t + 1000 * MS, 5 * MS):
        received.messages.append(Wheel(t, 0, 0.0))
        received.messages.append(Position(t, -1, 0.0, 0.0, False, "paused"))
    assert received.judged()[0] == ({"missed reward"} if missed else set())


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"stimulus": "leaf9"}, "wrong stimulus"),
        ({"texture_m": 3.9}, "wrong corridor"),
        ({"rewarded": True, "stimulus": "circle1"}, "wrong cohort"),
        ({"reward_mode": "passive"}, "wrong mode"),
        ({"cue_position_m": 3.0}, "wrong cue place"),
        ({"cue_position_m": None}, "wrong cue place"),
        ({"trial": 7}, "wrong number"),
    ],
)
def test_a_trial_that_contradicts_the_facts_is_named(changed: dict[str, Any], name: str) -> None:
    received = Said()
    start = of(TrialStart, received.messages)[1]
    received.change(start, msgspec.structs.replace(start, **changed))
    assert name in received.judged()[0]


def test_too_many_of_one_corridor_in_a_row_are_named() -> None:
    received = Said()
    (start,) = of(Start, received.messages)
    facts = {**start.session["task"], "max_repeats": 1}
    received.change(start, Start(0, {**start.session, "task": facts}))
    order = [s.stimulus for s in of(TrialStart, received.messages)]
    assert any(a == b for a, b in pairwise(order))
    assert received.judged()[0] == {"wrong order"}


def test_a_wrong_volume_is_named() -> None:
    received = Said()
    valve = of(Valve, received.messages)[0]
    received.change(valve, msgspec.structs.replace(valve, volume_ul=4.0))
    assert received.judged()[0] == {"wrong amount"}


def test_water_nobody_asked_for_is_named() -> None:
    received = Said()
    valve = of(Valve, received.messages)[0]
    for arm in [a for a in of(Arm, received.messages) if a.id == valve.id]:
        received.change(arm)
    assert "water unasked" in received.judged()[0]


@given(st.lists(st.integers(0, 60), min_size=5, max_size=60), st.sampled_from([33.0, 100.0]))
def test_the_way_is_the_speed_rule_on_every_step(counts: list[int], window_ms: float) -> None:
    rules = read_rules(facts(speed_window_ms=window_ms, stop_cm_s=4.0))
    way, t = Odometer(rules), 7 * MS * np.arange(len(counts))
    path_cm = 0.0135 * np.concatenate(([0.0], np.cumsum(counts[1:])))
    runs, moved_ns, way_m = False, 0, 0.0
    for n, now in enumerate(t):
        way.step(int(now), float(path_cm[n]), None)
        way_m = way.go(rules.each[0])
        speed = (path_cm[n] - np.interp(now - window_ms * MS, t, path_cm)) / (window_ms / 1000)
        assert way.speed_cm_s == pytest.approx(speed)
        runs = speed >= 4.0 if runs else speed > 6.0
        moved_ns += 7 * MS if runs and n else 0
    assert way_m == pytest.approx(moved_ns / 1e9 * 0.6, rel=1e-12)


@pytest.mark.parametrize(("said_cm_s", "runs"), [(6.0, False), (6.0 + 1e-9, True), (7.0, False)])
def test_at_the_limit_a_said_speed_decides_if_it_is_the_same(said_cm_s: float, runs: bool) -> None:
    rules = read_rules(facts())
    way = Odometer(rules)
    way.step(MS, 0.0, 0.0)
    assert way.step(101 * MS, 0.6, said_cm_s) == (said_cm_s < 7.0)
    assert (way.go(rules.each[0]) > 0) == runs
