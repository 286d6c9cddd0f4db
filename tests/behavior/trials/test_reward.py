"""Rewards: when the task requests, repeats and withdraws them."""

from typing import Any

import pytest

from behavior.water.arming import LEASE_NS
from rig.messages import (
    Arm,
    Cue,
    Disarm,
    Fault,
    Lick,
    Message,
    Position,
    TrialEnd,
    TrialStart,
    Valve,
)
from tests.behavior.sessions import MS, S, Walker, of, task

ONE = {"stimuli": ["leaf1"], "shares": [1.0], "cue_from_m": 2.0, "cue_to_m": 2.0, "trials": 2}


def _at_cue(**options: Any) -> tuple[list[Message], Walker, Cue]:
    published: list[Message] = []
    walk = Walker(task(published, **{**ONE, **options}), published)
    cue = walk.run_until(Cue)
    assert isinstance(cue, Cue)
    return published, walk, cue


def test_the_valve_is_armed_at_the_cue_and_disarmed_when_the_texture_is_left() -> None:
    published, walk, cue = _at_cue()
    (arm,) = of(Arm, published)
    assert (arm.t, arm.on, arm.line, arm.volume_ul) == (cue.t, "lick", "centre", 3.0)
    walk.run_until(Disarm)
    assert 4.0 <= of(Position, published)[-1].position_m < 4.01


def test_after_the_reward_nothing_is_armed_or_disarmed() -> None:
    published, walk, cue = _at_cue()
    walk.open_valve(1, cue.t + 1)
    walk.run_until(TrialStart)
    assert len(of(Arm, published)) == 1
    assert not of(Disarm, published)


def test_an_expired_request_is_renewed_while_the_mouse_rests() -> None:
    published, walk, _ = _at_cue()
    walk.run(130, cm_s=0)
    first, second, third = _requests(published)
    assert [message.id for message in of(Disarm, published)] == [first.id, second.id]
    assert second.t > first.deadline >= second.t - 20 * MS
    walk.open_valve(third.id, walk.t)
    walk.run(130, cm_s=0)
    assert len(_requests(published)) == 3


def _requests(published: list[Message]) -> list[Arm]:
    """Return each Arm once; a pending one is repeated under its id."""
    return list({arm.id: arm for arm in of(Arm, published)}.values())


def test_a_waiting_request_is_repeated_well_within_its_lease() -> None:
    published, walk, _ = _at_cue()
    before = len(of(Arm, published))
    walk.run(5, cm_s=0)
    again = of(Arm, published)[before:]
    assert len(again) >= 5 * S / (LEASE_NS / 2)
    assert set(again) == set(of(Arm, published)[:1])


def test_a_reward_after_the_disarm_counts_if_its_lick_was_in_time() -> None:
    published, walk, _ = _at_cue()
    disarm = walk.run_until(Disarm)
    walk.open_valve(1, disarm.t - 1)
    assert not of(Fault, published)


def test_water_for_a_lick_outside_the_window_is_a_fault() -> None:
    published, walk, _ = _at_cue()
    disarm = walk.run_until(Disarm)
    walk.open_valve(1, disarm.t + 3 * MS)
    (fault,) = of(Fault, published)
    assert "3.0 ms after" in fault.text


def test_an_unrequested_valve_leaves_the_reward_armed() -> None:
    _, walk, _ = _at_cue()
    walk.open_valve(99, walk.t)
    assert walk.run_until(Disarm) == Disarm(walk.t, 1)


def test_a_refused_reward_is_not_requested_again() -> None:
    published, walk, _ = _at_cue()
    walk.node.handle(Valve(walk.t, 1, "centre", 0.0, 0.0, None, "enough"))
    walk.run(100, cm_s=0)
    assert len(of(Arm, published)) == 1


@pytest.mark.parametrize("cm_s", [30.0, 0.0])
def test_passive_water_comes_after_the_delay_even_if_the_mouse_rests(cm_s: float) -> None:
    published, walk, cue = _at_cue(reward_mode="passive", reward_delay_ms=500.0)
    walk.run(0.6, cm_s=cm_s)
    (arm,) = of(Arm, published)
    assert (arm.t, arm.on) == (cue.t + 500 * MS, "now")
    walk.open_valve(arm.id)
    walk.run(30)
    assert len([a for a in of(Arm, published) if a.t < of(TrialEnd, published)[0].t]) == 1


def test_the_task_judges_a_lick_by_its_own_time() -> None:
    published, walk, _ = _at_cue(decided_by="task")
    assert not of(Arm, published)
    walk.lick(ago_ns=1)
    assert not of(Arm, published)
    walk.run(0.1)
    walk.lick(ago_ns=50 * MS)
    (arm,) = of(Arm, published)
    assert (arm.on, arm.lick_t) == ("now", walk.t - 50 * MS)
    walk.lick()
    assert len(of(Arm, published)) == 1


def test_a_lick_handled_before_the_cue_that_it_follows() -> None:
    published: list[Message] = []
    walk = Walker(task(published, decided_by="task", **ONE), published)
    walk.run_until(Cue)
    again: list[Message] = []
    other = Walker(task(again, decided_by="task", **ONE), again)
    other.run((walk.t - 10 * MS) / S)
    assert not of(Cue, again)
    other.lick(ago_ns=-15 * MS)
    other.run(0.01)
    (arm,) = of(Arm, again)
    assert arm.lick_t == of(Cue, again)[0].t + 5 * MS


def test_licks_at_other_spouts_are_ignored() -> None:
    published, walk, _ = _at_cue(decided_by="task")
    walk.node.handle(Lick(walk.t, "left"))
    assert not of(Arm, published)
