"""The task's phases, orders and facts, by what it says to a mouse on rails."""

from typing import Any

import msgspec
import pytest

from rig.errors import Refused
from rig.messages import Arm, Cue, Disarm, Position, TrialEnd, TrialStart, Wheel
from tests.behavior.sessions import MS, S, check_trials, of, rails, task


def test_grey_then_corridors_back_to_back_then_grey_then_the_end() -> None:
    said, walk = rails(trials=3)
    walk.on(50)
    starts, ends = of(TrialStart, said), of(TrialEnd, said)
    assert starts[0].t == 5 * S
    assert [end.outcome for end in ends] == ["done"] * 3
    assert [start.t for start in starts[1:]] == [end.t for end in ends[:-1]]
    assert [s.next_stimulus for s in starts] == [*[s.stimulus for s in starts[1:]], None]
    assert walk.node.ended == "all trials done"
    last = of(Position, said)[-1]
    assert (last.t, last.phase) == (ends[-1].t + 5 * S, "done")
    check_trials(said)


def test_every_wheel_is_answered_by_one_position_of_its_time() -> None:
    said, walk = rails(trials=1)
    for t in (7, 7, 5, 20 * S, 19 * S):
        walk.node.handle(Wheel(t, 0, 0.0))
    assert [message.t for message in of(Position, said)] == [7, 7, 5, 20 * S, 19 * S]


def test_a_lap_takes_ten_seconds_of_running_and_what_is_beyond_it_carries_over() -> None:
    said, walk = rails(step_ms=90, trials=5)
    walk.on(56)
    starts = [start.t for start in of(TrialStart, said)]
    assert starts[-1] - starts[0] == pytest.approx(40 * S, abs=90 * MS)
    first = {message.trial: message for message in reversed(of(Position, said))}
    assert all(0 < first[trial].position_m < 0.054 for trial in range(1, 5))


def test_a_mouse_that_stands_stays_where_it_is() -> None:
    said, walk = rails(trials=1)
    walk.on(10)
    walk.on(0.2, cm_s=0)
    before = of(Position, said)[-1]
    walk.on(20, cm_s=0)
    after = of(Position, said)[-1]
    assert (after.position_m, after.moving) == (before.position_m, False)


def test_one_cue_a_trial_between_its_two_places_also_without_reward() -> None:
    said, walk = rails(trials=30, cohort="unrewarded")
    walk.on(320)
    starts = of(TrialStart, said)
    drawn = [start.cue_position_m or 0.0 for start in starts]
    assert len(drawn) == 30
    assert all(0.5 <= cue_m <= 3.5 for cue_m in drawn)
    assert max(drawn) - min(drawn) > 1.5
    assert [cue.trial for cue in of(Cue, said)] == list(range(30))
    for cue, cue_m in zip(of(Cue, said), drawn, strict=True):
        assert cue_m <= cue.position_m < cue_m + 0.007
    assert not any(start.rewarded or start.reward_mode != "none" for start in starts)
    assert not of(Arm, said)


def test_only_rewarded_stimuli_are() -> None:
    said, walk = rails(trials=10)
    walk.on(120)
    assert {start.stimulus: start.rewarded for start in of(TrialStart, said)} == {
        "leaf1": True,
        "circle1": False,
    }


def test_when_the_time_is_up_the_trial_is_aborted() -> None:
    said, walk = rails(minutes=0.2)
    walk.on(20)
    assert [(end.t, end.outcome) for end in of(TrialEnd, said)] == [(12 * S, "aborted")]
    assert walk.node.ended == "time is up"
    check_trials(said)


def test_closing_leaves_nothing_armed_and_no_trial_open() -> None:
    said, walk = rails(trials=4, stimuli=["leaf1"], shares=[1.0])
    arm = walk.until(Arm)
    walk.node.close()
    assert isinstance(arm, Arm)
    assert said[-2:] == [Disarm(walk.t, arm.id), TrialEnd(walk.t, 0, "aborted")]


def test_after_its_end_it_says_nothing() -> None:
    said, walk = rails(minutes=0.1)
    walk.on(12)
    assert walk.node.ended
    count = len(said)
    walk.on(1)
    walk.node.close()
    assert len(said) == count


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"reward_delay_ms": 900.0}, "leave the texture"),
        ({"cue_to_m": 4.0}, "is not inside the texture"),
        ({"cue_from_m": 3.0, "cue_to_m": 1.0}, "is behind"),
        ({"stop_cm_s": 7.0}, "above run_threshold_cm_s"),
        ({"rewarded": ["leaf9"]}, "leaf9 is not one of the stimuli"),
        ({"shares": [0.5, 0.6]}, "add up"),
        ({"max_repeats": 1}, "strict alternation"),
        ({"cohort": "pretrained"}, "stage train1 is not for cohort pretrained"),
        ({"water_for": ["task", "naive"]}, "cohort naive must never get water"),
        ({"stimuli": [], "shares": []}, "no stimulus is given"),
        ({"picture": "bar"}, "needs a duration"),
        ({"show_s": 3.0}, "do not apply to a corridor"),
        ({"reward_mode": "none"}, 'reward_mode = "none"'),
        ({"zone_from_m": 2.0, "zone_to_m": 4.5}, "is not inside the texture"),
        ({"zone_from_m": 4.0}, "is not inside the texture"),
        ({"cue": False, "zone_from_m": 3.5, "reward_delay_ms": 900.0}, "start of the zone at 3.5"),
        ({"motion": "gain", "reward_delay_ms": 300.0}, "leave the texture"),
        ({"rescue_after_misses": 3, "reward_mode": "passive"}, "needs corridors"),
        ({"order": "rounds"}, "take out shares"),
        ({"blocks": [{}, {"cue_to_m": 0.1}]}, "block 1: cue_from_m"),
        ({"blocks": [{"cohort": "naive"}]}, "block 0 of the task"),
    ],
)
def test_facts_that_contradict_each_other_are_refused(facts: dict[str, Any], expected: str) -> None:
    with pytest.raises(Refused, match=expected):
        task([], **facts)


@pytest.mark.parametrize(
    "facts",
    [{"corridor_cm_s": 0.0}, {"grey_before_s": -1.0}, {"reward_ul": -3.0}, {"colour": "red"}],
)
def test_facts_out_of_bounds_are_errors(facts: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        task([], **facts)
