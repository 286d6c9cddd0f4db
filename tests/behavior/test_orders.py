"""What an operator asks of the task: pause, resume, stop, a note, water by hand."""

from rig.messages import Arm, Fault, OperatorRequest, Position, TrialEnd, TrialStart
from tests.behavior.sessions import MS, S, check_trials, of, rails


def test_a_pause_aborts_and_the_same_corridor_comes_again() -> None:
    said, walk = rails(trials=4)
    walk.on(8)
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + 5 * S, "pause"))
    walk.on(3)
    assert of(Position, said)[-1].phase == "paused"
    assert of(Position, said)[-1].order == 1
    walk.node.handle(OperatorRequest(walk.t, 2, walk.t + 5 * S, "resume"))
    walk.on(60)
    starts, ends = of(TrialStart, said), of(TrialEnd, said)
    assert [end.outcome for end in ends] == ["aborted", "done", "done", "done", "done"]
    assert [start.trial for start in starts] == [0, 1, 2, 3, 4]
    assert (starts[1].stimulus, starts[1].t) == (starts[0].stimulus, 11 * S + 10 * MS)
    assert starts[1].cue_position_m != starts[0].cue_position_m
    check_trials(said)


def test_a_pause_in_the_first_grey_does_not_shorten_it() -> None:
    said, walk = rails(trials=1)
    walk.on(1)
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + 5 * S, "pause"))
    walk.on(1)
    walk.node.handle(OperatorRequest(walk.t, 2, walk.t + 5 * S, "resume"))
    walk.on(10)
    assert [start.t for start in of(TrialStart, said)] == [5 * S]


def test_stop_lets_the_trial_end_first() -> None:
    said, walk = rails(trials=4)
    walk.on(8)
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + 5 * S, "stop"))
    walk.on(30)
    assert [end.outcome for end in of(TrialEnd, said)] == ["done"]
    assert walk.node.ended == "stopped by the operator"


def test_stop_in_a_pause_ends_after_the_last_grey() -> None:
    said, walk = rails(trials=4)
    walk.on(8)
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + 5 * S, "pause"))
    walk.node.handle(OperatorRequest(walk.t, 2, walk.t + 5 * S, "stop"))
    walk.on(6)
    assert walk.node.ended == "stopped by the operator"
    assert len(of(TrialStart, said)) == 1


def test_a_pause_of_the_last_trial_ends_it_and_the_session() -> None:
    said, walk = rails(trials=4)
    walk.on(8)
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + 5 * S, "stop"))
    walk.on(1)
    paused_t = walk.t
    walk.node.handle(OperatorRequest(walk.t, 2, walk.t + 5 * S, "pause"))
    walk.on(6)
    assert [(end.t, end.outcome) for end in of(TrialEnd, said)] == [(paused_t, "aborted")]
    after = [message for message in of(Position, said) if message.t > paused_t]
    assert {(message.phase, message.order) for message in after} == {("done", 2)}
    assert after[-1].t == paused_t + 5 * S
    assert walk.node.ended == "stopped by the operator"
    check_trials(said)


def test_a_stale_or_repeated_order_does_nothing() -> None:
    said, walk = rails(trials=4)
    walk.on(8)
    walk.node.handle(OperatorRequest(walk.t - S, 1, walk.t - 1, "pause"))
    walk.on(1)
    assert (of(Position, said)[-1].phase, of(Position, said)[-1].order) == ("corridor", 0)
    pause = OperatorRequest(walk.t, 2, walk.t + 5 * S, "pause")
    walk.node.handle(pause)
    walk.node.handle(OperatorRequest(walk.t, 3, walk.t + 5 * S, "resume"))
    walk.on(1)
    walk.node.handle(pause)
    walk.on(1)
    assert (of(Position, said)[-1].phase, of(Position, said)[-1].order) == ("corridor", 3)


def test_a_note_is_answered_and_changes_nothing() -> None:
    said, walk = rails(trials=4)
    walk.on(8)
    walk.node.handle(OperatorRequest(walk.t, 7, walk.t + 5 * S, "note", "he sneezed"))
    walk.on(1)
    assert (of(Position, said)[-1].phase, of(Position, said)[-1].order) == ("corridor", 7)


def test_water_by_hand_is_a_wish_of_its_own_at_any_time() -> None:
    said, walk = rails(trials=4, stimuli=["leaf1"], shares=[1.0])
    walk.on(1)
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + 5 * S, "water"))
    (first,) = of(Arm, said)
    assert (first.manual, first.on, first.volume_ul) == (True, "now", 3.0)
    waiting = walk.until(Arm)
    assert isinstance(waiting, Arm)
    walk.node.handle(OperatorRequest(walk.t, 2, walk.t + 5 * S, "water"))
    second = of(Arm, said)[-1]
    assert second.manual
    assert second.id not in (first.id, waiting.id)
    walk.opened(second.id)
    walk.on(0.5)
    again = of(Arm, said)[-1]
    assert (again.id, again.manual) == (waiting.id, False)
    walk.node.handle(OperatorRequest(walk.t, 2, walk.t + 5 * S, "water"))
    assert of(Arm, said)[-1] == again


def test_an_unrewarded_mouse_gets_no_water_by_hand_either() -> None:
    said, walk = rails(cohort="unrewarded")
    walk.on(1)
    walk.node.handle(OperatorRequest(walk.t, 1, walk.t + 5 * S, "water"))
    assert not of(Arm, said)
    (fault,) = of(Fault, said)
    assert "cohort unrewarded gets none" in fault.text
