"""Requests of the operator: pause, resume, stop, note, manual reward."""

from rig.messages import Arm, Fault, OperatorRequest, Position, TrialEnd, TrialStart
from tests.behavior.sessions import MS, S, check_trials, of, walker


def test_a_pause_aborts_the_trial_and_its_stimulus_is_shown_again() -> None:
    published, walk = walker(trials=4)
    walk.run(8)
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + 5 * S, "pause"))
    walk.run(3)
    assert of(Position, published)[-1].phase == "paused"
    assert of(Position, published)[-1].order == 1
    walk.node.handle(OperatorRequest(walk.t, 2, walk.t + 5 * S, "resume"))
    walk.run(60)
    starts, ends = of(TrialStart, published), of(TrialEnd, published)
    assert [end.outcome for end in ends] == ["aborted", "done", "done", "done", "done"]
    assert [start.trial for start in starts] == [0, 1, 2, 3, 4]
    assert (starts[1].stimulus, starts[1].t) == (starts[0].stimulus, 11 * S + 10 * MS)
    assert starts[1].cue_position_m != starts[0].cue_position_m
    check_trials(published)


def test_a_pause_in_the_first_grey_does_not_shorten_it() -> None:
    published, walk = walker(trials=1)
    walk.run(1)
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + 5 * S, "pause"))
    walk.run(1)
    walk.node.handle(OperatorRequest(walk.t, 2, walk.t + 5 * S, "resume"))
    walk.run(10)
    assert [start.t for start in of(TrialStart, published)] == [5 * S]


def test_stop_completes_the_trial_first() -> None:
    published, walk = walker(trials=4)
    walk.run(8)
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + 5 * S, "stop"))
    walk.run(30)
    assert [end.outcome for end in of(TrialEnd, published)] == ["done"]
    assert walk.node.ended == "stopped by the operator"


def test_stop_in_a_pause_ends_after_the_last_grey() -> None:
    published, walk = walker(trials=4)
    walk.run(8)
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + 5 * S, "pause"))
    walk.node.handle(OperatorRequest(walk.t, 2, walk.t + 5 * S, "stop"))
    walk.run(6)
    assert walk.node.ended == "stopped by the operator"
    assert len(of(TrialStart, published)) == 1


def test_a_pause_after_stop_aborts_the_trial_and_ends_the_session() -> None:
    published, walk = walker(trials=4)
    walk.run(8)
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + 5 * S, "stop"))
    walk.run(1)
    paused_t = walk.t
    walk.node.handle(OperatorRequest(walk.t, 2, walk.t + 5 * S, "pause"))
    walk.run(6)
    assert [(end.t, end.outcome) for end in of(TrialEnd, published)] == [(paused_t, "aborted")]
    after = [message for message in of(Position, published) if message.t > paused_t]
    assert {(message.phase, message.order) for message in after} == {("done", 2)}
    assert after[-1].t == paused_t + 5 * S
    assert walk.node.ended == "stopped by the operator"
    check_trials(published)


def test_a_late_or_repeated_request_is_ignored() -> None:
    published, walk = walker(trials=4)
    walk.run(8)
    walk.node.handle(OperatorRequest(walk.t - S, 1, walk.t - 1, "pause"))
    walk.run(1)
    assert (of(Position, published)[-1].phase, of(Position, published)[-1].order) == ("corridor", 0)
    pause = OperatorRequest(walk.t, 2, walk.t + 5 * S, "pause")
    walk.node.handle(pause)
    walk.node.handle(OperatorRequest(walk.t, 3, walk.t + 5 * S, "resume"))
    walk.run(1)
    walk.node.handle(pause)
    walk.run(1)
    assert (of(Position, published)[-1].phase, of(Position, published)[-1].order) == ("corridor", 3)


def test_a_note_is_acknowledged_and_changes_nothing() -> None:
    published, walk = walker(trials=4)
    walk.run(8)
    walk.node.handle(OperatorRequest(walk.t, 7, walk.t + 5 * S, "note", "he sneezed"))
    walk.run(1)
    assert (of(Position, published)[-1].phase, of(Position, published)[-1].order) == ("corridor", 7)


def test_a_manual_reward_is_a_request_of_its_own_at_any_time() -> None:
    published, walk = walker(trials=4, stimuli=["leaf1"], shares=[1.0])
    walk.run(1)
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + 5 * S, "water"))
    (first,) = of(Arm, published)
    assert (first.manual, first.on, first.volume_ul) == (True, "now", 3.0)
    waiting = walk.run_until(Arm)
    assert isinstance(waiting, Arm)
    walk.node.handle(OperatorRequest(walk.t, 2, walk.t + 5 * S, "water"))
    second = of(Arm, published)[-1]
    assert second.manual
    assert second.id not in (first.id, waiting.id)
    walk.open_valve(second.id)
    walk.run(0.5)
    again = of(Arm, published)[-1]
    assert (again.id, again.manual) == (waiting.id, False)
    walk.node.handle(OperatorRequest(walk.t, 2, walk.t + 5 * S, "water"))
    assert of(Arm, published)[-1] == again


def test_an_unrewarded_mouse_gets_no_manual_reward() -> None:
    published, walk = walker(cohort="unrewarded")
    walk.run(1)
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + 5 * S, "water"))
    assert not of(Arm, published)
    (fault,) = of(Fault, published)
    assert "cohort unrewarded gets no water" in fault.text
