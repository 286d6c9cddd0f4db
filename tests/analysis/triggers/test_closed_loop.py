"""A closed loop raises its lines when the rules of the task say so, and a replay proves it."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.session.session import Session
from analysis.triggers import rule as rules
from analysis.triggers import trigger as triggers
from analysis.triggers.signals import Moment
from behavior.hardware import Hardware
from rig import virtual_session
from rig.messages import (
    CellSignals,
    Cue,
    Edge,
    Lick,
    Message,
    Position,
    Start,
    TrialEnd,
    TrialStart,
    Trigger,
    TriggerOutput,
    TriggerRelease,
    Wheel,
)
from rig.replay.replay import replay
from rig.session.provenance import about
from tests.analysis.logs import write_log
from tests.analysis.triggers.loops import MS, Loop, rule, with_loop
from tests.behavior.sessions import S, of


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hardware, "period_s", 0.005)


def recorded(
    folder: Path, *tables: dict[str, Any], trials: int = 4, seed: int = 3
) -> list[Message]:
    """Run a session in virtual time, write its log, and return its messages."""
    folder.mkdir(exist_ok=True)
    pairs = virtual_session.run(with_loop(*tables, trials=trials, seed=seed), 300 * S)
    write_log(folder, pairs)
    return [message for _, message in pairs]


def raised(published: Sequence[Message]) -> list[int]:
    """Return the trials of the requests."""
    return [message.trial for message in published if isinstance(message, Trigger)]


def test_a_behavioral_rule_raises_its_line_within_a_tick_of_the_wheel(tmp_path: Path) -> None:
    published = recorded(tmp_path, rule())
    asked = of(Trigger, published)
    assert [one.trial for one in asked] == [0, 1, 2, 3]
    wheels = [w.t for w in of(Wheel, published)]
    first: dict[int, Position] = {}
    for position in of(Position, published):
        if position.position_m >= 2.0:
            first.setdefault(position.trial, position)
    for one, answer in zip(asked, of(TriggerOutput, published), strict=True):
        assert one.t == first[one.trial].t
        assert (one.position_m, one.frame) == (first[one.trial].position_m, None)
        assert (answer.id, answer.refused, answer.up_ms) == (one.id, "", 20.0)
        assert answer.t < wheels[wheels.index(one.t) + 1], "the line rose after the next tick"
    edges = [e for e in of(Edge, published) if e.line == "laser"]
    assert [e.up for e in edges] == [True, False] * 4
    assert all(b.t - a.t == 20 * MS for a, b in zip(edges[::2], edges[1::2], strict=True))


def test_a_session_with_triggers_is_replayed_exactly(tmp_path: Path) -> None:
    tables = [rule(sham_fraction=0.5), rule("licks >= 1", name="lick", hold_ms=300.0)]
    published = recorded(tmp_path, *tables)
    report = replay(tmp_path, [], about())
    assert (report.first, report.exact, report.unproven) == (None, True, {})
    releases = len(of(TriggerRelease, published))
    assert releases > 0
    assert report.compared["closed_loop"] == len(of(Trigger, published)) + releases


def _any(self: rules.Junction, moment: Moment) -> bool:
    return any(condition.truth(moment) for condition in self.inner)


def _never(*_: object) -> bool:
    return False


BUGS: dict[str, tuple[Any, str, Any]] = {
    "an operator": (rules._OPERATORS, ">=", lambda a, b: a > b + 0.005),
    "or for and": (rules.Junction, "truth", _any),
    "once a trial": (triggers.Requests, "_is_too_soon", _never),
    "shams": (triggers.Requests, "_is_sham", _never),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_change_of_a_rule_is_caught_by_replay(
    bug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    when = "(position_m >= 2.0 and position_m <= 2.5) or (position_m >= 3.0 and in texture)"
    recorded(tmp_path, rule(when, sham_fraction=0.5))
    assert replay(tmp_path, [], about()).first is None
    where, name, wrong = BUGS[bug]
    if isinstance(where, dict):
        monkeypatch.setitem(where, name, wrong)
    else:
        monkeypatch.setattr(where, name, wrong)
    first = replay(tmp_path, [], about()).first
    assert first is not None
    assert first.sender == "closed_loop"


def test_another_rule_can_be_tried_on_a_recorded_session(tmp_path: Path) -> None:
    recorded(tmp_path, rule())
    later = '[{name="one", when="position_m >= 3.0", line="laser", pulse_ms=20.0}]'
    report = replay(tmp_path, [f"task.triggers={later}"], about())
    assert report.first is not None
    assert report.first.sender == "closed_loop"
    assert report.unreached == []


def test_a_trigger_occurs_once_per_trial_by_default() -> None:
    found = []
    for once in (True, False):
        loop = Loop(rule("moving", once_per_trial=once))
        for trial in (0, 1):
            loop.start(1000 * trial, trial)
            for k, moving in enumerate((False, True, True, False, True, False)):
                loop.walk(1000 * trial + 10 * k, 1.0, moving)
        found.append(raised(loop.published))
    assert found == [[0, 1], [0, 0, 1, 1]]


def test_the_refractory_time_separates_triggers() -> None:
    loop = Loop(rule("moving", once_per_trial=False, refractory_s=0.1))
    loop.start(0, 0)
    for t_ms in range(0, 300, 10):
        loop.walk(t_ms, 1.0, moving=t_ms % 20 == 0)
    assert [m.t // MS for m in of(Trigger, loop.published)] == [0, 100, 200]


def test_no_line_is_raised_outside_trials() -> None:
    loop = Loop(rule("not moving"))
    assert loop.walk(0, 0.0, moving=False) == []
    loop.start(10, 0)
    assert raised(loop.walk(10, 0.0, moving=False)) == [0]
    loop.node.handle(TrialEnd(20 * MS, 0, "done"))
    loop.trial = -1
    assert loop.walk(30, 0.0, moving=False) == []


def test_shams_are_drawn_from_the_seed_for_each_trial() -> None:
    def shams(seed: int, fraction: float) -> list[bool]:
        loop = Loop(rule(sham_fraction=fraction), seed=seed)
        for trial in range(200):
            loop.start(100 * trial, trial)
            loop.walk(100 * trial, 2.0)
        return [one.sham for one in of(Trigger, loop.published)]

    assert shams(3, 0.3) == shams(3, 0.3)
    assert shams(3, 0.3) != shams(4, 0.3)
    assert 40 <= sum(shams(3, 0.3)) <= 80
    assert (sum(shams(3, 0.0)), sum(shams(3, 1.0))) == (0, 200)


def test_a_held_line_is_released_when_the_rule_ends_or_the_trial() -> None:
    loop = Loop(rule("moving", hold_ms=1000.0, once_per_trial=False))
    loop.start(0, 0)
    (request,) = loop.walk(10, 1.0)
    assert isinstance(request, Trigger)
    assert (request.hold, request.up_ms) == (True, 1000.0)
    assert loop.walk(20, 1.0) == []
    assert loop.walk(30, 1.0, moving=False) == [TriggerRelease(30 * MS, request.id)]
    (again,) = loop.walk(40, 1.0)
    assert isinstance(again, Trigger)
    loop.node.handle(TrialEnd(50 * MS, 0, "aborted"))
    assert loop.published[-1] == TriggerRelease(50 * MS, again.id)


def test_cues_and_licks_count_from_their_own_time() -> None:
    rules_of = {"cued": "cued", "late": "since_cue_s >= 0.1", "two": "licks >= 2 and cued"}
    loop = Loop(*(rule(when, name=name) for name, when in rules_of.items()))
    loop.node.handle(Lick(5 * MS, "centre"))  # before the trial
    loop.start(10, 0)
    loop.node.handle(Lick(15 * MS, "centre"))
    loop.node.handle(Cue(30 * MS, 0, 1.0))
    loop.node.handle(Lick(60 * MS, "centre"))
    found = {}
    for t_ms in range(10, 200, 10):
        for message in loop.walk(t_ms, 1.0):
            assert isinstance(message, Trigger)
            found[message.rule] = t_ms
    assert found == {"cued": 30, "two": 60, "late": 130}


def test_a_rule_on_activity_is_evaluated_for_the_time_of_the_scan() -> None:
    when = "projection.medial > 0.5 for 2 frames and in texture and position_m < 3.0"
    loop = Loop(rule(when))
    loop.start(0, 0)
    for t_ms in range(0, 2000, 10):  # 2 m/s
        loop.walk(t_ms, t_ms / 500)
    assert loop.frame(1000, 990, projection=0.6) == []
    (request,) = loop.frame(1900, 1490, projection=0.6)
    assert isinstance(request, Trigger)
    assert (request.frame, request.position_m) == (1, 2.98)
    assert (request.t, request.deadline) == (1900 * MS, (1990 + 100) * MS)
    assert loop.frame(1950, 1510, projection=0.6) == [], "once a trial, and beyond 3 m"


def test_a_frame_of_an_ended_trial_raises_no_line() -> None:
    loop = Loop(rule("activity.all > 1.0"))
    loop.start(0, 0)
    loop.walk(0, 3.9)
    loop.start(100, 1)
    loop.walk(100, 0.0)
    assert loop.frame(150, 50, activity=2.0) == []
    assert raised(loop.frame(200, 110, activity=2.0)) == [1]


def test_undefined_signals_raise_no_line() -> None:
    loop = Loop(rule("ramp > -10"), rule("not projection.V1 > 0", name="two"))
    loop.start(0, 0)
    loop.walk(0, 1.0)
    assert loop.frame(10, 0) == []
    assert loop.frame(20, 10, projection=float("nan"), ramp=None) == []
    assert len(loop.frame(30, 20, projection=-1.0, ramp=0.0)) == 2


def test_a_projection_may_be_that_of_another_contrast() -> None:
    pairs = [["leaf1", "circle1"], ["leaf2", "circle1"]]
    rules_of = {
        "other": "projection.V1.leaf2.circle1 > 0",
        "same": "projection.V1.leaf1.circle1 > 0",
    }
    loop = Loop(*(rule(when, name=name) for name, when in rules_of.items()))
    loop.node.handle(Start(0, {"task": {"signals": {"contrasts": pairs, "reference": pairs[0]}}}))
    loop.start(0, 0)
    loop.walk(0, 1.0)
    signals = CellSignals(20 * MS, 0, 0, None, 0.0, True, b"", None, scanned_t=10 * MS)
    rows = np.array([[-1.0] * 4, [1.0] * 4], "<f4").tobytes()
    loop.node.handle(msgspec.structs.replace(signals, area_projection=rows))
    assert [one.rule for one in of(Trigger, loop.published)] == ["other"]


def test_a_yoked_session_repeats_the_lines_of_another(tmp_path: Path) -> None:
    """Lines rise in the same trials and places, for any behavior; shams raise none."""
    first = tmp_path / "first"
    recorded(first, rule("licks >= 1", hold_ms=300.0, sham_fraction=0.4), trials=6)
    table = Session(first).triggers
    assert 0 < table.sham.sum() < len(table)
    path = tmp_path / "triggers.csv"
    table.to_csv(path, index=False)
    second = tmp_path / "second"
    recorded(second, rule("", yoked_file=str(path), hold_ms=500.0), trials=6, seed=9)
    own, given = Session(second).triggers, table[table.up_ms > 0]
    assert list(own.trial) == list(given.trial)
    assert own.position_m.to_numpy() == pytest.approx(given.line_position_m.to_numpy(), abs=0.01)
    assert own.up_ms.to_numpy() == pytest.approx(given.up_ms.to_numpy())
    assert replay(second, [], about()).first is None


def test_the_table_of_triggers_contains_pulses_and_refusals(tmp_path: Path) -> None:
    published = recorded(tmp_path, rule(sham_fraction=0.5), rule(name="two"), trials=6)
    table = Session(tmp_path).triggers
    asked = {one.id: one for one in of(Trigger, published)}
    starts = {one.trial: one for one in of(TrialStart, published)}
    assert len(table) == len(asked) == 12
    for row, one in zip(table.itertuples(), asked.values(), strict=True):
        assert (row.rule, row.trial, row.sham) == (one.rule, one.trial, one.sham)
        assert row.stimulus == starts[one.trial].stimulus
        line_is_up = one.rule == "two" and not asked[one.id - 1].sham
        assert row.refused == ("the line is up" if line_is_up else "")
        assert row.up_ms == pytest.approx(0.0 if one.sham or line_is_up else 20.0)
    assert list(table.line_s.isna()) == list(table.refused != "")


steps = st.lists(
    st.tuples(st.integers(1, 60), st.booleans(), st.sampled_from(["walk", "walk", "start", "end"])),
    max_size=60,
)


@given(steps=steps, once=st.booleans(), refractory_ms=st.sampled_from([0, 35, 100]))
def test_the_trigger_limits_hold_for_any_behavior(
    steps: list[tuple[int, bool, str]], once: bool, refractory_ms: int
) -> None:
    """Every hold is released, once; every trigger is in a trial, and follows the limits."""
    limits = {"once_per_trial": once, "refractory_s": refractory_ms / 1e3, "hold_ms": 500.0}
    loop = Loop(rule("moving", **limits))
    t_ms, trial = 0, -1
    for wait_ms, moving, what in steps:
        t_ms += wait_ms
        if what != "walk" and loop.trial >= 0:
            loop.node.handle(TrialEnd(t_ms * MS, loop.trial, "done"))
            loop.trial = -1
        if what == "start":
            trial += 1
            loop.start(t_ms, trial)
        held = loop.walk(t_ms, 1.0, moving)
        assert not [m for m in held if isinstance(m, Trigger) and (loop.trial < 0 or not moving)]
    asked = of(Trigger, loop.published)
    assert all(b.t - a.t >= refractory_ms * MS for a, b in pairwise(asked))
    if once:
        assert len({one.trial for one in asked}) == len(asked)
    released = [one.id for one in of(TriggerRelease, loop.published)]
    still_held = [] if not asked or asked[-1].id in released else [asked[-1].id]
    assert [*released, *still_held] == [one.id for one in asked]
