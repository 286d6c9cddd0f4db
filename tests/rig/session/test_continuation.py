"""The next part of an interrupted session runs the remaining trials of the first part."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.hardware import Hardware
from rig import virtual_session
from rig.errors import Refused
from rig.messages import Fault, Message, SettingChange, TrialEnd, TrialStart, Trigger, Valve
from rig.process import completed
from rig.replay.replay import replay
from rig.session.continuation import changed_task, resume_point
from rig.session.provenance import about
from rig.settings.config import SessionSettings
from rig.transport.envelope import Envelope
from tests.analysis.logs import corridor, write_log
from tests.analysis.triggers.loops import rule, with_loop
from tests.behavior.judging.refereed import EAGER, NEVER_LICKS, refereed
from tests.behavior.sessions import S, of

DRAWN = ("trial", "stimulus", "next_stimulus", "rewarded", "cue_position_m", "block", "rescue")
BLOCKS = {"trials": 4, "blocks": [{}, {"trials": 4, "cue_from_m": 1.0, "cue_to_m": 2.0}]}


@pytest.fixture(autouse=True, scope="module")
def _coarse() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hardware, "period_s", 0.01)
        yield


def drawn(messages: list[Message]) -> list[tuple[Any, ...]]:
    return [tuple(getattr(start, n) for n in DRAWN) for start in of(TrialStart, messages)]


def completed_trials(messages: list[Message]) -> list[tuple[Any, ...]]:
    """What was drawn for each completed trial, except its number and cue."""
    done = {end.trial for end in of(TrialEnd, messages) if end.outcome == "done"}
    return [row[1:4] + row[5:6] for row in drawn(messages) if row[0] in done]


def run(chosen: SessionSettings, end_s: float = 1000.0) -> list[tuple[Envelope, Message]]:
    return virtual_session.run(chosen, round(end_s * S))


def messages_of(pairs: list[tuple[Envelope, Message]]) -> list[Message]:
    return [message for _, message in pairs]


def next_part(chosen: SessionSettings, part: list[Message]) -> SessionSettings:
    point = resume_point(part, chosen.task)
    point["given_ul"] += (chosen.task.get("resume") or {}).get("given_ul", 0.0)
    return completed(msgspec.structs.replace(chosen, task={**chosen.task, "resume": point}))


def whole(**options: Any) -> SessionSettings:
    return refereed(3, EAGER, **{"trials": 8, **options})


@settings(max_examples=8, deadline=None)
@given(st.lists(st.floats(1.0, 14.0), min_size=1, max_size=2))
def test_the_parts_run_the_trials_of_the_whole_session(ends_s: list[float]) -> None:
    chosen = whole(**BLOCKS)
    expected = completed_trials(messages_of(run(chosen)))
    assert len(expected) == 8
    found, violations, number = [], [], 0
    for end_s in [*ends_s, 1000.0]:
        part = messages_of(run(chosen, end_s))
        starts = of(TrialStart, part)
        assert [start.trial for start in starts] == list(range(number, number + len(starts)))
        number += len(starts)
        found += completed_trials(part)
        violations += of(Fault, part)
        if len(found) == 8:
            break
        chosen = next_part(chosen, part)
    assert found == expected
    assert violations == []


def test_a_session_cut_between_two_trials_draws_nothing_again() -> None:
    chosen = whole()
    uninterrupted = messages_of(run(chosen))
    third = of(TrialEnd, uninterrupted)[2]
    first = uninterrupted[: uninterrupted.index(third) + 1]
    rest = messages_of(run(next_part(chosen, first)))
    assert drawn(first) + drawn(rest) == drawn(uninterrupted)  # cue positions too


def test_the_next_part_replays_from_its_own_log(tmp_path: Path) -> None:
    chosen = msgspec.structs.replace(whole(), about=about())
    part = next_part(chosen, messages_of(run(chosen, 9.0)))
    report = replay(write_log(tmp_path, run(part)), [], about())
    assert (report.first, report.unproven) == (None, {})
    assert report.compared["referee"] > 3


@pytest.mark.parametrize("end_s", [9.0, 20.0])
def test_triggers_continue_as_in_one_session(tmp_path: Path, end_s: float) -> None:
    """Each occurs once per trial; shams are drawn for the number of the trial, and a yoked trigger
    is at the place that its list has for that number, also in the second part.
    """
    path = tmp_path / "triggers.csv"
    rows = [f"{trial},yoked,{1.5 + 0.1 * trial},20.0" for trial in range(16)]
    path.write_text("\n".join(["trial,rule,line_position_m,up_ms", *rows]))
    rules = [
        rule("position_m >= 0.5", name="place", sham_fraction=0.5),
        rule("", name="yoked", yoked_file=str(path)),
    ]
    chosen = with_loop(*rules, trials=8)
    first = messages_of(run(chosen, end_s))
    part = next_part(chosen, first)
    pairs = run(part)
    found = first + messages_of(pairs)
    done = {end.trial for end in of(TrialEnd, found) if end.outcome == "done"}
    assert len(done) == 8
    assert 0 < len(of(TrialStart, first)) < 8
    triggers = of(Trigger, found)
    for name in ("place", "yoked"):
        trials = [one.trial for one in triggers if one.rule == name]
        assert done <= set(trials)
        assert len(trials) == len(set(trials))
    shams = {one.trial: one.sham for one in triggers if one.rule == "place"}
    assert shams == {n: np.random.default_rng([3, 3, 0, n]).random() < 0.5 for n in shams}
    assert len({shams[start.trial] for start in of(TrialStart, messages_of(pairs))}) == 2
    for one in triggers:
        due_m = 0.5 if one.rule == "place" else 1.5 + 0.1 * one.trial
        assert due_m <= one.position_m < due_m + 0.05
    folder = tmp_path / "ses-20260304_3"
    folder.mkdir()
    report = replay(write_log(folder, pairs), [], about())
    assert (report.first, report.unproven) == (None, {})
    assert report.compared["closed_loop"] == len(of(Trigger, messages_of(pairs)))


def test_settings_changed_by_the_operator_are_kept() -> None:
    task = whole(**BLOCKS).task | {"blocks": [{}, {"reward_ul": 3.0, "trials": 4}]}
    changes = [
        SettingChange(0, 1, "reward_ul", "3.0", "2.0", "VR", 2),
        SettingChange(0, 2, "reward_ul", "", "9", "VR", -1, "too much"),
        SettingChange(0, 3, "reward_mode", '"active"', '"passive"', "VR", 3),
    ]
    changed = changed_task(task, changes)
    assert (changed["reward_ul"], changed["reward_mode"]) == (2.0, "passive")
    assert changed["blocks"] == [{}, {"trials": 4}]


def test_water_counts_through_the_parts() -> None:
    chosen = whole(water_ul=9.0)  # three rewards
    first = messages_of(run(chosen, 9.0))
    given_ul = sum(valve.volume_ul for valve in of(Valve, first))
    assert 0 < given_ul < 9.0
    second = messages_of(run(next_part(chosen, first)))
    assert given_ul + sum(valve.volume_ul for valve in of(Valve, second)) == pytest.approx(9.0)
    assert of(Fault, second) == []


def test_the_minutes_count_through_the_parts() -> None:
    chosen = whole(trials=200, minutes=0.5)
    first = messages_of(run(chosen, 20.0))
    second = messages_of(run(next_part(chosen, first)))
    ends = of(TrialEnd, second)
    assert ends[-1].outcome == "aborted"
    assert ends[-1].t == pytest.approx(10 * S, abs=0.05 * S)
    assert of(Fault, second) == []


@pytest.mark.parametrize("rescue", [0, 2])
def test_misses_and_idle_trials_count_through_the_parts(rescue: int) -> None:
    options = {"disengaged_after": 5, "rescue_after_misses": rescue}
    chosen = refereed(3, NEVER_LICKS, trials=40, **options)
    uninterrupted = messages_of(run(chosen))
    assert sum(start.rewarded for start in of(TrialStart, uninterrupted)) == 5
    rewarded = [s.trial for s in of(TrialStart, uninterrupted) if s.rewarded]
    for cut in rewarded[1:4]:
        end = of(TrialEnd, uninterrupted)[cut]
        first = uninterrupted[: uninterrupted.index(end) + 1]
        second = messages_of(run(next_part(chosen, first)))
        assert drawn(first) + drawn(second) == drawn(uninterrupted)
        assert of(Fault, second) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"completed": ["leaf1"] * 8}, "another version of the program drew them"),
        ({"block": 1}, "the task has no block 1"),
        ({"session_s": 4000.0}, "nothing of the session is left: it ran for 60 minutes"),
        ({"given_ul": 50.0}, "nothing of the session is left: 50 ul were given"),
    ],
)
def test_a_session_that_cannot_be_continued_is_refused(
    changes: dict[str, Any], sentence: str
) -> None:
    chosen = whole(water_ul=50.0, minutes=60.0)
    point = resume_point(messages_of(run(chosen, 9.0)), chosen.task) | changes
    with pytest.raises(Refused, match=sentence):
        completed(msgspec.structs.replace(chosen, task={**chosen.task, "resume": point}))


def test_a_finished_session_has_nothing_left() -> None:
    chosen = whole(trials=2)
    with pytest.raises(Refused, match="nothing of the session is left: all trials done"):
        next_part(chosen, messages_of(run(chosen)))


def test_a_missing_trial_is_not_guessed() -> None:
    with pytest.raises(Refused, match="trial 1 is missing from the log"):
        resume_point([corridor(0, "leaf1"), corridor(2, "leaf1")], {})
