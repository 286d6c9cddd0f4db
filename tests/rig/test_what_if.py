"""A changed rule on recorded licks: the first divergence of each trial, and nothing after it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from behavior.hardware import Hardware
from rig import virtual_session
from rig.cli.main import app
from rig.messages import (
    Arm,
    Cue,
    Disarm,
    Message,
    Position,
    TrialEnd,
    TrialStart,
)
from rig.process import completed
from rig.replay.replay import replay
from rig.replay.what_if import Divergence, WhatIf
from rig.session.provenance import about
from rig.transport.log import LOG_FILE, read
from tests.analysis.logs import MS, corridor, standing, write_log
from tests.behavior.judging.refereed import EAGER, NEVER_LICKS, refereed
from tests.behavior.sessions import S, of


def arm(t_ms: int, number: int, on: Any = "lick") -> Arm:
    return Arm(t_ms * MS, number, 9_000 * MS, "centre", on, 3.0)


def trial(number: int, *more: Message) -> list[Message]:
    begin = 1000 * number
    return [
        corridor(number, "leaf1", begin * MS),
        standing((begin + 10) * MS, number, 0.1),
        *more,
        standing((begin + 500) * MS, number, 2.0),
        TrialEnd((begin + 900) * MS, number, "done"),
    ]


def divergences(old: list[Message], new: list[Message], turns: int = 1) -> list[Divergence]:
    what_if = WhatIf()
    sides = [list(old), list(new)]
    while any(sides):
        for side, count in ((0, turns), (1, 1)):
            for _ in range(count):
                if sides[side]:
                    what_if.add(side, sides[side].pop(0))
    what_if.end()
    return what_if.divergences


@pytest.mark.parametrize("turns", [1, 3, 1000])
def test_only_the_first_divergence_of_each_trial_counts(turns: int) -> None:
    old = trial(0, arm(100, 1), Disarm(200 * MS, 1)) + trial(1) + trial(2, arm(2100, 2))
    new = trial(0, arm(100, 1, "now")) + trial(1) + trial(2, arm(2100, 7))
    (one,) = divergences(old, new, turns)  # in trial 2 only the id differs
    assert (one.trial, one.stimulus, one.t_s) == (0, "leaf1", 0.1)
    assert one.texts() == ("reward requested for a lick, 3 ul", "reward requested at once, 3 ul")


def test_a_message_of_one_side_alone_is_named_with_its_time() -> None:
    (one,) = divergences(trial(0, Cue(100 * MS, 0, 1.0)), trial(0))
    assert (one.t_s, one.texts()) == (0.1, ("cue at 1.000 m", "nothing"))


def test_positions_that_differ_are_shown_with_their_units() -> None:
    old = trial(0, Position(26_793_321_242, 0, 0.000162250799994, 30.109080126800336, True, "grey"))
    new = trial(0, Position(27_455_342_084, 0, 0.000354887399984, 33.61444967481248, True, "grey"))
    (one,) = divergences(old, new)
    assert one.texts() == (
        "t 26.793 s, position_m 0.000162251, speed_cm_s 30.1091",
        "t 27.455 s, position_m 0.000354887, speed_cm_s 33.6144",
    )


def test_a_side_that_continues_longer_diverges_there() -> None:
    (one,) = divergences(trial(0), trial(0) + trial(1))
    assert one.texts() == ("nothing", "trial 1 begins: leaf1")


def test_equal_sides_do_not_diverge() -> None:
    assert divergences(trial(0) + trial(1), trial(0) + trial(1), turns=4) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("what"), EAGER)


def recorded(folder: Path, mouse: dict[str, Any]) -> Path:
    chosen = refereed(3, mouse, trials=6)
    chosen = completed(msgspec.structs.replace(chosen, about=about()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hardware, "period_s", 0.01)
        pairs = virtual_session.run(chosen, round(90 * S))
    return write_log(folder, pairs)


def test_with_a_shorter_zone_trials_diverge_where_the_mouse_leaves_it(tmp_path: Path) -> None:
    folder = recorded(tmp_path, NEVER_LICKS)
    messages = [m for _, m in read(folder / LOG_FILE)]
    report = replay(folder, ["task.zone_to_m=3.6"], about())
    assert report.what_if is not None
    starts = {start.trial: start for start in of(TrialStart, messages)}
    rewarded = [start.trial for start in starts.values() if start.rewarded]
    assert report.what_if.trials == 6
    assert [one.trial for one in report.what_if.divergences] == rewarded
    for one in report.what_if.divergences:
        assert one.texts() == ("nothing", "request withdrawn")
        t = starts[one.trial].t + round(one.t_s * 1e9)
        place = max((p for p in of(Position, messages) if p.t <= t), key=lambda p: p.t)
        assert place.position_m == pytest.approx(3.6, abs=0.05)


def test_with_passive_rewards_every_rewarded_trial_diverges_at_its_cue(folder: Path) -> None:
    report = replay(folder, ["task.reward_mode=passive", "task.reward_delay_ms=0"], about())
    assert report.what_if is not None
    messages = [m for _, m in read(folder / LOG_FILE)]
    rewarded = [start for start in of(TrialStart, messages) if start.rewarded]
    assert [one.trial for one in report.what_if.divergences] == [start.trial for start in rewarded]
    cues = {cue.trial: cue.t for cue in of(Cue, messages)}
    for one, start in zip(report.what_if.divergences, rewarded, strict=True):
        assert start.t + round(one.t_s * 1e9) == cues[one.trial]
        assert one.texts()[1] == "reward requested at once, 3 ul"


def test_the_report_says_which_divergences_are_evidence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    change = ["--set", "task.reward_mode=passive", "--set", "task.reward_delay_ms=0"]
    output = CliRunner().invoke(app, ["replay", str(folder), *change]).output
    assert "where each trial first diverges from the recording" in output
    assert "Only the first divergence of each trial is evidence" in output
    assert "trials diverge" in output
    assert "reward requested at once, 3 ul" in output
    plain = CliRunner().invoke(app, ["replay", str(folder)]).output
    assert "divergence" not in plain
