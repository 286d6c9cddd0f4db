"""The referee names what is wrong in the words of a session of which one was changed."""

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behavior.rules import read_rules
from behavior.way import Way
from rig.messages import (
    Arm,
    Cue,
    Disarm,
    Lick,
    Order,
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
        heard = Said(mouse)
        heard.delay(late_ms)
        assert heard.judged() == (set(), [])


@pytest.mark.parametrize("late_ms", [0.0, 2.0, 40.0])
@pytest.mark.parametrize(
    ("off_ms", "name"), [(-8, "reward before the cue"), (8, "reward in the grey")]
)
def test_water_for_a_lick_eight_ms_outside_the_window_is_named(
    off_ms: int, name: str, late_ms: float
) -> None:
    heard = Said()
    valve = of(Valve, heard.words)[0]
    cue = [c for c in of(Cue, heard.words) if c.t <= valve.t][-1]
    later = [p for p in of(Position, heard.words) if p.t > cue.t]
    left_t = next(p.t for p in later if p.position_m >= TRAIN1["texture_m"])
    t = (cue.t if off_ms < 0 else left_t) + off_ms * MS
    heard.words.remove(valve)
    heard.insert(Lick(t, "centre"))
    heard.insert(msgspec.structs.replace(valve, t=t + 5 * MS, lick_t=t))
    heard.delay(late_ms)
    assert name in heard.judged()[0]


def test_a_valve_that_opens_after_its_disarm_is_right_if_its_lick_was_inside() -> None:
    heard = Said(JUST_INSIDE)
    valves = of(Valve, heard.words)
    assert valves
    for valve in valves:
        assert valve.lick_t is not None
        late = msgspec.structs.replace(valve, t=valve.lick_t + 100 * MS)
        heard.words.remove(valve)
        heard.insert(late)
        heard.insert(Disarm(valve.t + 9 * MS, valve.id))
    assert heard.judged() == (set(), [])


def test_water_that_comes_when_its_trial_is_over_stands_in_its_verdict() -> None:
    heard = Said(JUST_INSIDE)
    valve = of(Valve, heard.words)[0]
    end = next(e for e in of(TrialEnd, heard.words) if e.t > valve.t)
    again = msgspec.structs.replace(valve, t=end.t + 50 * MS)
    heard.insert(again)
    assert heard.judged()[0] == {"two rewards", "reward too late"}


def test_water_outside_any_trial_is_a_fault() -> None:
    heard = Said()
    heard.insert(Valve(300 * MS, 99, "centre", 60.0, 3.0))
    names, (fault,) = heard.judged()
    assert names == set()
    assert "3 ul of water outside any trial" in fault.what


def test_a_refused_reward_is_no_missed_one() -> None:
    heard = Said()
    for valve in of(Valve, heard.words):
        refused = msgspec.structs.replace(valve, volume_ul=0.0, refused="the limit is reached")
        heard.change(valve, refused)
    assert heard.judged() == (set(), [])
    for valve in of(Valve, heard.words):
        heard.change(valve)
    assert heard.judged()[0] == {"missed reward"}


@pytest.mark.parametrize(("abort_ms", "missed"), [(50, False), (250, True)])
def test_a_reward_that_a_pause_overtook_is_not_missed(abort_ms: int, missed: bool) -> None:
    heard = Said(JUST_INSIDE)
    valve = of(Valve, heard.words)[0]
    start = [s for s in of(TrialStart, heard.words) if s.t < valve.t][-1]
    abort_t = valve.t + abort_ms * MS
    heard.words = [w for w in heard.words if w.t <= abort_t and not isinstance(w, Valve)]
    heard.words.append(Order(abort_t, 1, abort_t, "pause"))
    heard.words.append(TrialEnd(abort_t, start.trial, "aborted"))
    for t in range(abort_t + 5 * MS, abort_t + 1000 * MS, 5 * MS):
        heard.words.append(Wheel(t, 0, 0.0))
        heard.words.append(Position(t, -1, 0.0, 0.0, False, "paused"))
    assert heard.judged()[0] == ({"missed reward"} if missed else set())


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
    heard = Said()
    start = of(TrialStart, heard.words)[1]
    heard.change(start, msgspec.structs.replace(start, **changed))
    assert name in heard.judged()[0]


def test_too_many_of_one_corridor_in_a_row_are_named() -> None:
    heard = Said()
    (start,) = of(Start, heard.words)
    facts = {**start.session["task"], "max_repeats": 1}
    heard.change(start, Start(0, {**start.session, "task": facts}))
    order = [s.stimulus for s in of(TrialStart, heard.words)]
    assert any(a == b for a, b in pairwise(order))
    assert heard.judged()[0] == {"wrong order"}


def test_a_wrong_volume_is_named() -> None:
    heard = Said()
    valve = of(Valve, heard.words)[0]
    heard.change(valve, msgspec.structs.replace(valve, volume_ul=4.0))
    assert heard.judged()[0] == {"wrong amount"}


def test_water_nobody_asked_for_is_named() -> None:
    heard = Said()
    valve = of(Valve, heard.words)[0]
    for arm in [a for a in of(Arm, heard.words) if a.id == valve.id]:
        heard.change(arm)
    assert "water unasked" in heard.judged()[0]


@given(st.lists(st.integers(0, 60), min_size=5, max_size=60), st.sampled_from([33.0, 100.0]))
def test_the_way_is_the_speed_rule_on_every_step(counts: list[int], window_ms: float) -> None:
    rules = read_rules(facts(speed_window_ms=window_ms, stop_cm_s=4.0))
    way, t = Way(rules), 7 * MS * np.arange(len(counts))
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
    way = Way(rules)
    way.step(MS, 0.0, 0.0)
    assert way.step(101 * MS, 0.6, said_cm_s) == (said_cm_s < 7.0)
    assert (way.go(rules.each[0]) > 0) == runs
