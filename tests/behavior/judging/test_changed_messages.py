"""The referee reports each error in a recorded session with one changed message."""

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
from tests.behavior.judging.refereed import EAGER, JUST_INSIDE, JUST_OUTSIDE, Recording
from tests.behavior.sessions import MS, TRAIN1, of, options


def test_an_unchanged_session_has_no_violations() -> None:
    assert Recording().judge() == (set(), [])


@pytest.mark.parametrize("late_ms", [1.0, 40.0, 150.0])
def test_late_messages_are_judged_by_their_own_time(late_ms: float) -> None:
    for mouse in (EAGER, JUST_INSIDE, JUST_OUTSIDE):
        recording = Recording(mouse)
        recording.delay(late_ms)
        assert recording.judge() == (set(), [])


@pytest.mark.parametrize("late_ms", [0.0, 2.0, 40.0])
@pytest.mark.parametrize(
    ("off_ms", "name"), [(-8, "reward before the cue"), (8, "reward after the zone")]
)
def test_a_reward_for_a_lick_eight_ms_outside_the_window_is_reported(
    off_ms: int, name: str, late_ms: float
) -> None:
    recording = Recording()
    valve = of(Valve, recording.messages)[0]
    cue = [c for c in of(Cue, recording.messages) if c.t <= valve.t][-1]
    later = [p for p in of(Position, recording.messages) if p.t > cue.t]
    left_t = next(p.t for p in later if p.position_m >= TRAIN1["texture_m"])
    t = (cue.t if off_ms < 0 else left_t) + off_ms * MS
    recording.messages.remove(valve)
    recording.insert(Lick(t, "centre"))
    recording.insert(msgspec.structs.replace(valve, t=t + 5 * MS, lick_t=t))
    recording.delay(late_ms)
    assert name in recording.judge()[0]


def test_a_valve_that_opens_after_its_disarm_is_right_if_its_lick_was_inside() -> None:
    recording = Recording(JUST_INSIDE)
    valves = of(Valve, recording.messages)
    assert valves
    for valve in valves:
        assert valve.lick_t is not None
        late = msgspec.structs.replace(valve, t=valve.lick_t + 100 * MS)
        recording.messages.remove(valve)
        recording.insert(late)
        recording.insert(Disarm(valve.t + 9 * MS, valve.id))
    assert recording.judge() == (set(), [])


def test_water_after_the_end_of_its_trial_is_in_its_verdict() -> None:
    recording = Recording(JUST_INSIDE)
    valve = of(Valve, recording.messages)[0]
    end = next(e for e in of(TrialEnd, recording.messages) if e.t > valve.t)
    again = msgspec.structs.replace(valve, t=end.t + 50 * MS)
    recording.insert(again)
    assert recording.judge()[0] == {"two rewards", "reward too late"}


def test_water_outside_any_trial_is_a_fault() -> None:
    recording = Recording()
    recording.insert(Valve(300 * MS, 99, "centre", 60.0, 3.0))
    names, (fault,) = recording.judge()
    assert names == set()
    assert "3 ul of water outside any trial" in fault.text


def test_a_refused_reward_is_not_a_missed_one() -> None:
    recording = Recording()
    for valve in of(Valve, recording.messages):
        refused = msgspec.structs.replace(valve, volume_ul=0.0, refused="the limit is reached")
        recording.change(valve, refused)
    assert recording.judge() == (set(), [])
    for valve in of(Valve, recording.messages):
        recording.change(valve)
    assert recording.judge()[0] == {"missed reward"}


@pytest.mark.parametrize(("abort_ms", "missed"), [(50, False), (250, True)])
def test_a_reward_that_a_pause_overtook_is_not_missed(abort_ms: int, missed: bool) -> None:
    recording = Recording(JUST_INSIDE)
    valve = of(Valve, recording.messages)[0]
    start = [s for s in of(TrialStart, recording.messages) if s.t < valve.t][-1]
    abort_t = valve.t + abort_ms * MS
    recording.messages = [
        w for w in recording.messages if w.t <= abort_t and not isinstance(w, Valve)
    ]
    recording.messages.append(OperatorRequest(abort_t, 1, abort_t, "pause"))
    recording.messages.append(TrialEnd(abort_t, start.trial, "aborted"))
    for t in range(abort_t + 5 * MS, abort_t + 1000 * MS, 5 * MS):
        recording.messages.append(Wheel(t, 0, 0.0))
        recording.messages.append(Position(t, -1, 0.0, 0.0, False, "paused"))
    assert recording.judge()[0] == ({"missed reward"} if missed else set())


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"stimulus": "leaf9"}, "wrong stimulus"),
        ({"texture_m": 3.9}, "wrong length"),
        ({"rewarded": True, "stimulus": "circle1"}, "wrong cohort"),
        ({"reward_mode": "passive"}, "wrong mode"),
        ({"cue_position_m": 3.0}, "wrong cue position"),
        ({"cue_position_m": None}, "wrong cue position"),
        ({"trial": 7}, "wrong number"),
    ],
)
def test_a_trial_that_contradicts_the_settings_is_reported(
    changed: dict[str, Any], name: str
) -> None:
    recording = Recording()
    start = of(TrialStart, recording.messages)[1]
    recording.change(start, msgspec.structs.replace(start, **changed))
    assert name in recording.judge()[0]


def test_too_many_repeats_of_a_stimulus_are_reported() -> None:
    recording = Recording()
    (start,) = of(Start, recording.messages)
    options = {**start.session["task"], "max_repeats": 1}
    recording.change(start, Start(0, {**start.session, "task": options}))
    order = [s.stimulus for s in of(TrialStart, recording.messages)]
    assert any(a == b for a, b in pairwise(order))
    assert recording.judge()[0] == {"wrong order"}


def test_a_wrong_volume_is_reported() -> None:
    recording = Recording()
    valve = of(Valve, recording.messages)[0]
    recording.change(valve, msgspec.structs.replace(valve, volume_ul=4.0))
    assert recording.judge()[0] == {"wrong volume"}


def test_an_unrequested_reward_is_reported() -> None:
    recording = Recording()
    valve = of(Valve, recording.messages)[0]
    for arm in [a for a in of(Arm, recording.messages) if a.id == valve.id]:
        recording.change(arm)
    assert "unrequested reward" in recording.judge()[0]


@given(st.lists(st.integers(0, 60), min_size=5, max_size=60), st.sampled_from([33.0, 100.0]))
def test_the_odometer_follows_the_speed_rule_at_every_step(
    counts: list[int], window_ms: float
) -> None:
    rules = read_rules(options(speed_window_ms=window_ms, stop_cm_s=4.0))
    odometer, t = Odometer(rules), 7 * MS * np.arange(len(counts))
    path_cm = 0.0135 * np.concatenate(([0.0], np.cumsum(counts[1:])))
    runs, moved_ns, way_m = False, 0, 0.0
    for n, now in enumerate(t):
        odometer.update(int(now), float(path_cm[n]), None)
        way_m = odometer.advance(rules.blocks[0])
        speed = (path_cm[n] - np.interp(now - window_ms * MS, t, path_cm)) / (window_ms / 1000)
        assert odometer.speed_cm_s == pytest.approx(speed)
        runs = speed >= 4.0 if runs else speed > 6.0
        moved_ns += 7 * MS if runs and n else 0
    assert way_m == pytest.approx(moved_ns / 1e9 * 0.6, rel=1e-12)


@pytest.mark.parametrize(("task_cm_s", "runs"), [(6.0, False), (6.0 + 1e-9, True), (7.0, False)])
def test_at_the_threshold_the_task_speed_decides_if_it_is_equal(
    task_cm_s: float, runs: bool
) -> None:
    rules = read_rules(options())
    odometer = Odometer(rules)
    odometer.update(MS, 0.0, 0.0)
    assert odometer.update(101 * MS, 0.6, task_cm_s) == (task_cm_s < 7.0)
    assert (odometer.advance(rules.blocks[0]) > 0) == runs
