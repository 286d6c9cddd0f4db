"""Water: asked for at most once a trial, never without its due, whatever the task hears."""

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
from tests.behavior.sessions import MS, S, Walk, of, task

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
    first, second, third = _requests(said)
    assert [message.id for message in of(Disarm, said)] == [first.id, second.id]
    assert second.t > first.deadline >= second.t - 20 * MS
    walk.opened(third.id, walk.t)
    walk.on(130, cm_s=0)
    assert len(_requests(said)) == 3


def _requests(said: list[Message]) -> list[Arm]:
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
    assert "3.0 ms after" in fault.text


def test_a_valve_that_nobody_asked_for_settles_nothing() -> None:
    _, walk, _ = _at_cue()
    walk.opened(99, walk.t)
    assert walk.until(Disarm) == Disarm(walk.t, 1)


def test_a_refused_reward_is_not_asked_for_again() -> None:
    said, walk, _ = _at_cue()
    walk.node.handle(Valve(walk.t, 1, "centre", 0.0, 0.0, None, "enough"))
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
    walk.node.handle(Lick(walk.t, "left"))
    assert not of(Arm, said)
