"""The rules of rewards hold for any sequence of messages."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rig.messages import (
    Arm,
    Cue,
    Disarm,
    Lick,
    Message,
    OperatorRequest,
    Position,
    Start,
    TrialEnd,
    TrialStart,
    Valve,
    Wheel,
)
from tests.behavior.sessions import MS, S, check_trials, of, task

acts = st.one_of(
    st.tuples(st.just("run"), st.integers(1, 400), st.floats(-40, 80)),
    st.tuples(st.just("run"), st.integers(600, 1200), st.floats(10, 60)),
    st.tuples(st.just("hang"), st.integers(100, 3000), st.floats(0, 80)),
    st.tuples(st.just("lick"), st.integers(-2000, 20), st.just(0.0)),
    st.tuples(st.just("valve"), st.integers(0, 6), st.floats(-2000, 5)),
    st.tuples(st.just("again"), st.integers(1, 30), st.just(0.0)),
    st.tuples(st.just("request"), st.integers(0, 4), st.just(0.0)),
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
        {**ZONE, "motion": "gain", "gain_distance": "forward"},
        SPOUT,
        {"blocks": [{"trials": 1, **ZONE}, {"trials": 2, **SPOUT}, {"block_minutes": 0.2}]},
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


def _messages_of(script: list[tuple[str, int, float]]) -> list[Message]:
    """Return a script's messages: stalls, repeated messages, late licks, unrequested valves."""
    messages: list[Message] = [Start(0, {})]
    t, cm, requests = 0, 0.0, 0
    for act, number, other in [("run", 510, 0.0), *script]:
        match act:
            case "run":
                for _ in range(number):
                    t, cm = t + 10 * MS, cm + other / 100
                    messages.append(Wheel(t, 0, cm))
            case "hang":
                t, cm = t + number * MS, cm + other
                messages.append(Wheel(t, 0, cm))
            case "lick":
                messages.append(Lick(t + number * MS, "centre"))
            case "valve":
                lick_t = t + round(other * MS) if number % 2 else None
                messages.append(Valve(t, number, "centre", 60.0, 3.0, lick_t))
            case "again":
                messages += messages[-number:]
            case _:
                requests += 1
                verb = ("pause", "resume", "stop", "resume", "water")[number]
                messages.append(OperatorRequest(t, requests, t + S, verb))  # type: ignore[arg-type]
    return messages


def _handle(messages: list[Message], options: dict[str, Any]) -> list[Message]:
    published: list[Message] = []
    node = task(published, **options)
    for message in messages:
        if node.ended is None:
            node.handle(message)
    node.close()
    return published


@settings(max_examples=120, deadline=None)
@given(tasks, kinds, st.lists(acts, max_size=40))
def test_the_rules_hold_for_any_messages(
    options: dict[str, Any], kind: dict[str, Any], script: list[tuple[str, int, float]]
) -> None:
    options = {**options, **kind}
    if "zone" in str(kind) and (options.get("motion") == "gain" or "blocks" in kind):
        options["reward_delay_ms"] = 0.0
    if options["reward_mode"] == "passive":
        options.pop("rescue_after_misses", None)
    messages = _messages_of(script)
    published = _handle(messages, options)
    assert published == _handle(messages, options)
    check_trials(published)
    _check_water(published)
    assert len({arm.id for arm in of(Arm, published)}) == len(set(of(Arm, published)))
    cues = [cue.trial for cue in of(Cue, published)]
    assert len(cues) == len(set(cues))
    cued = {start.trial for start in of(TrialStart, published) if start.cue_position_m is not None}
    done = {end.trial for end in of(TrialEnd, published) if end.outcome == "done"}
    assert done & cued <= set(cues) <= cued


def _check_water(published: list[Message]) -> None:
    """Assert that at most one request is open at a time, inside its reward window."""
    trial: TrialStart | None = None
    place, cued, standing, at_once = Position(0, -1, 0.0, 0.0, False, "grey"), False, None, 0
    watered = any(start.reward_mode != "none" for start in of(TrialStart, published))
    for message in published:
        match message:
            case TrialStart():
                trial, cued, at_once = message, False, 0
            case Position():
                place = message
            case Cue():
                cued = True
            case Arm(manual=True):
                assert watered or not of(TrialStart, published)
                assert message.on == "now"
            case Arm():
                assert trial is not None
                assert trial.rewarded
                assert cued or trial.cue_position_m is None
                if message.lick_t is None and trial.picture == "corridor":
                    assert trial.zone_from_m <= place.position_m < trial.zone_to_m
                if message.lick_t is None and trial.picture != "corridor":
                    assert place.phase == "picture"
                assert standing is None or standing.on == "lick"
                assert at_once == 0
                at_once += message.on == "now"
                standing = message
            case Disarm():
                standing = None if standing is not None and standing.id == message.id else standing
            case TrialEnd():
                trial = None
            case _:
                pass
