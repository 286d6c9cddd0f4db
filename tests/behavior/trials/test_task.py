"""The task's phases and settings, by what it publishes."""

from typing import Any

import msgspec
import pytest

from rig.errors import Refused
from rig.messages import Arm, Cue, Disarm, Position, TrialEnd, TrialStart, Wheel
from tests.behavior.sessions import MS, S, check_trials, of, task, walker


def test_a_session_is_grey_then_corridors_back_to_back_then_grey() -> None:
    published, walk = walker(trials=3)
    walk.run(50)
    starts, ends = of(TrialStart, published), of(TrialEnd, published)
    assert starts[0].t == 5 * S
    assert [end.outcome for end in ends] == ["done"] * 3
    assert [start.t for start in starts[1:]] == [end.t for end in ends[:-1]]
    assert [s.next_stimulus for s in starts] == [*[s.stimulus for s in starts[1:]], None]
    assert walk.node.ended == "all trials done"
    last = of(Position, published)[-1]
    assert (last.t, last.phase) == (ends[-1].t + 5 * S, "done")
    check_trials(published)


def test_every_wheel_is_answered_by_one_position() -> None:
    published, walk = walker(trials=1)
    for t in (7, 7, 5, 20 * S, 19 * S):
        walk.node.handle(Wheel(t, 0, 0.0))
    assert [message.t for message in of(Position, published)] == [7, 7, 5, 20 * S, 19 * S]


def test_a_lap_takes_ten_seconds_and_the_excess_carries_over() -> None:
    published, walk = walker(step_ms=90, trials=5)
    walk.run(56)
    starts = [start.t for start in of(TrialStart, published)]
    assert starts[-1] - starts[0] == pytest.approx(40 * S, abs=90 * MS)
    first = {message.trial: message for message in reversed(of(Position, published))}
    assert all(0 < first[trial].position_m < 0.054 for trial in range(1, 5))


def test_the_corridor_stops_with_the_mouse() -> None:
    published, walk = walker(trials=1)
    walk.run(10)
    walk.run(0.2, cm_s=0)
    before = of(Position, published)[-1]
    walk.run(20, cm_s=0)
    after = of(Position, published)[-1]
    assert (after.position_m, after.moving) == (before.position_m, False)


def test_every_trial_has_one_cue_in_its_range_also_without_reward() -> None:
    published, walk = walker(trials=30, cohort="unrewarded")
    walk.run(320)
    starts = of(TrialStart, published)
    drawn = [start.cue_position_m or 0.0 for start in starts]
    assert len(drawn) == 30
    assert all(0.5 <= cue_m <= 3.5 for cue_m in drawn)
    assert max(drawn) - min(drawn) > 1.5
    assert [cue.trial for cue in of(Cue, published)] == list(range(30))
    for cue, cue_m in zip(of(Cue, published), drawn, strict=True):
        assert cue_m <= cue.position_m < cue_m + 0.007
    assert not any(start.rewarded or start.reward_mode != "none" for start in starts)
    assert not of(Arm, published)


def test_only_rewarded_stimuli_are_rewarded() -> None:
    published, walk = walker(trials=10)
    walk.run(120)
    assert {start.stimulus: start.rewarded for start in of(TrialStart, published)} == {
        "leaf1": True,
        "circle1": False,
    }


def test_when_the_time_is_up_the_trial_is_aborted() -> None:
    published, walk = walker(minutes=0.2)
    walk.run(20)
    assert [(end.t, end.outcome) for end in of(TrialEnd, published)] == [(12 * S, "aborted")]
    assert walk.node.ended == "time is up"
    check_trials(published)


def test_close_disarms_and_aborts_the_trial() -> None:
    published, walk = walker(trials=4, stimuli=["leaf1"], shares=[1.0])
    arm = walk.run_until(Arm)
    walk.node.close()
    assert isinstance(arm, Arm)
    assert published[-2:] == [Disarm(walk.t, arm.id), TrialEnd(walk.t, 0, "aborted")]


def test_after_its_end_the_task_publishes_nothing() -> None:
    published, walk = walker(minutes=0.1)
    walk.run(12)
    assert walk.node.ended
    count = len(published)
    walk.run(1)
    walk.node.close()
    assert len(published) == count


@pytest.mark.parametrize(
    ("options", "expected"),
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
        ({"order": "rounds"}, "remove shares"),
        ({"blocks": [{}, {"cue_to_m": 0.1}]}, "block 1: cue_from_m"),
        ({"blocks": [{"cohort": "naive"}]}, "block 0 of the task"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(Refused, match=expected):
        task([], **options)


@pytest.mark.parametrize(
    "options",
    [{"corridor_cm_s": 0.0}, {"grey_before_s": -1.0}, {"reward_ul": -3.0}, {"colour": "red"}],
)
def test_settings_out_of_bounds_are_errors(options: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        task([], **options)
