"""A replay verifies equal decisions, reports each difference, and streams the log."""

import re
import sys
import tracemalloc
from itertools import zip_longest
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.hardware import Hardware
from behavior.trials.replay_counts import TaskCounts
from rig import virtual_session
from rig.cli.main import main
from rig.cli.sessions import replay as replay_command
from rig.errors import Refused
from rig.messages import Arm, Disarm, Ended, Fault, Lick, Message, Start, TrialEnd
from rig.process import completed
from rig.replay.comparison import Comparison
from rig.replay.replay import replay
from rig.session.provenance import SCHEMA, about
from rig.transport.log import LOG_FILE
from tests.analysis.logs import MS, corridor, enveloped, standing, write_log
from tests.behavior.sessions import S, session, task
from tests.rig.flip_bits import flip

DECIDER = task([])


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hardware, "period_s", 0.005)


def recorded(folder: Path, trials: int, end_s: float = 600.0) -> Path:
    """Record a session in virtual time."""
    chosen = msgspec.structs.replace(completed(session(3, trials=trials)), about=about())
    return write_log(folder, virtual_session.run(chosen, round(end_s * S)))


def test_a_session_is_replayed_identically(tmp_path: Path) -> None:
    report = replay(recorded(tmp_path, trials=2), [], about())
    assert (report.first, report.unproven, report.exact) == (None, {}, True)
    assert report.compared["task"] > 4000
    assert all(old == new for old, new in report.outcome_counts.values())


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    peaks = []
    for trials in (1, 5):
        folder = tmp_path / str(trials)
        folder.mkdir()
        recorded(folder, trials)
        tracemalloc.start()
        report = replay(folder, [], about())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert report.first is None
    assert report.compared["task"] > 10_000
    assert peaks[1] < 1.3 * peaks[0]


def test_other_settings_are_found_at_the_first_difference(tmp_path: Path) -> None:
    report = replay(recorded(tmp_path, trials=2), ["task.corridor_cm_s=30"], about())
    assert report.first is not None
    assert (report.first.sender, report.first.trial) == ("task", 0)
    assert report.first.old != report.first.new


def test_other_settings_change_the_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path, trials=4)
    change = "task.reward_ul=2.0"
    outcome_counts = replay(tmp_path, [change], about()).outcome_counts
    old_ul, new_ul = (float(text) for text in outcome_counts["water earned, ul"])
    assert old_ul > 0
    assert new_ul == pytest.approx(old_ul * 2 / 3)
    assert outcome_counts["trials done"] == ("4", "4")
    monkeypatch.setattr(sys, "argv", ["rig", "replay", str(tmp_path), "--set", change])
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 0
    output = capsys.readouterr().out
    assert "trials and water" in output
    (row,) = [line for line in output.splitlines() if "water earned, ul" in line]
    assert row.replace("│", "").split()[3:] == [f"{old_ul:g}", f"{new_ul:g}"]


def test_an_interrupted_session_is_verified_up_to_its_end(tmp_path: Path) -> None:
    folder = recorded(tmp_path, trials=4, end_s=20.0)
    report = replay(folder, [], about())
    assert report.first is None


def _positions(values: list[int]) -> list[Message]:
    return [standing(MS * n, 0, float(value)) for n, value in enumerate(values)]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 1), max_size=12),
    st.lists(st.integers(0, 1), max_size=12),
    st.lists(st.booleans(), min_size=24, max_size=24),
    st.sampled_from(["well", "failed", "never"]),
    st.booleans(),
    st.integers(0, 12),
)
def test_streamed_comparison_equals_comparing_two_lists(
    was: list[int], now: list[int], turns: list[bool], end: str, tail: bool, fault_at: int
) -> None:
    old, new = _positions(was), _positions(now)
    if end == "failed":
        old.insert(min(fault_at, len(old)), Fault(0, "it broke", outside=True))
    if end != "never":
        old.append(Ended(0, "it broke", end == "failed", {}))
    comparison = Comparison(DECIDER, exact=True)
    rest = {True: list(old), False: list(new)}
    for side in [*turns, *[True] * 24, *[False] * 24]:
        if rest[side]:
            (comparison.add_recorded if side else comparison.add_replayed)(rest[side].pop(0))
    compared, unproven, first = comparison.end(tail)
    expected = _positions(was)[: fault_at if end == "failed" else None]
    received = _positions(now)
    if tail or end != "well":
        shorter = min(len(expected), len(received))
        assert unproven == max(len(expected), len(received)) - shorter
        expected, received = expected[:shorter], received[:shorter]
    else:
        assert unproven == 0
    assert compared == len(expected)
    pairs = [(a, b) for a, b in zip_longest(expected, received) if a != b]
    assert (None if first is None else (first.old, first.new)) == (pairs[0] if pairs else None)


def test_a_reward_is_earned_by_a_lick_while_its_request_is_valid() -> None:
    counts = TaskCounts()
    for t in (500, 250):  # received out of time order
        counts.count(Lick(t, "centre"))
    for t in (0, 1000):
        counts.count(corridor(t, "leaf1", t))
    counts.count(Arm(0, 1, 10_000, "centre", "lick", 3.0))
    counts.count(Arm(100, 1, 10_000, "centre", "lick", 3.0))  # renewed
    counts.count(Disarm(200, 1))
    counts.count(Arm(250, 2, 10_000, "centre", "lick", 3.0))
    counts.count(Arm(300, 3, 10_000, "left", "lick", 3.0))
    counts.count(Arm(400, 4, 450, "centre", "lick", 3.0))
    counts.count(Arm(600, 5, 10_000, "centre", "now", 1.5))
    counts.count(TrialEnd(2_000_000_000, 0, "aborted"))
    rows = counts.rows()
    assert rows["reward requests"] == "5"
    assert rows["rewards earned by the recorded licks"] == "2"
    assert rows["water earned, ul"] == "4.5"
    assert (rows["trials begun"], rows["trials aborted"]) == ("2", "1")
    assert rows["trials of leaf1"] == "2"
    assert rows["last trial ended, s"] == "2.000"


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        (
            {"rig": "0.1.0", "commit": "0123456789ab-dirty"},
            "was recorded by rig 0.1.0, commit 0123456789ab-dirty, and this version does not "
            "understand its settings ([nodes.online]: there is no key `scratch_folder`; correct "
            "it or remove it); replay it with that version: git switch --detach 0123456789ab",
        ),
        ({"rig": "0.1.0", "commit": "installed"}, "replay it with that version: install rig 0.1.0"),
        ({}, "recorded by another version of rig, and"),
    ],
)
def test_a_log_of_another_version_names_it(
    tmp_path: Path, about: dict[str, str], expected: str
) -> None:
    tables = {"online": {"run": "analysis.online", "cells_file": "", "scratch_folder": "/tmp"}}
    old = msgspec.structs.replace(session(3), nodes=tables, about=about)
    write_log(tmp_path, enveloped([Start(0, msgspec.to_builtins(old))]))
    with pytest.raises(Refused) as refused:
        replay(tmp_path, [], {})
    assert f"{tmp_path} was recorded by" in str(refused.value)
    assert expected in str(refused.value)


def test_a_log_of_another_schema_is_refused(tmp_path: Path) -> None:
    old = {"rig": "0.1.0", "commit": "0123456789ab", "schema": "3"}
    # Its settings are unreadable too: the schema is checked first.
    write_log(tmp_path, enveloped([Start(0, {"about": old, "key": "of another time"})]))
    with pytest.raises(Refused) as refused:
        replay(tmp_path, [], about())
    assert str(refused.value) == (
        f"{tmp_path} was recorded by rig 0.1.0, commit 0123456789ab with message schema 3, and "
        f"this version replays only schema {SCHEMA}; replay it with that version: git switch "
        "--detach 0123456789ab"
    )


@pytest.mark.parametrize(("flags", "browser"), [([], True), (["--no-browser"], False)])
def test_monitor_serves_the_recorded_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], browser: bool
) -> None:
    recorded(tmp_path, trials=1, end_s=1.0)
    served: list[tuple[Path, bool]] = []
    monkeypatch.setattr(
        replay_command, "serve_replay", lambda folder, browser: served.append((folder, browser))
    )
    monkeypatch.setattr(sys, "argv", ["rig", "replay", str(tmp_path), "--monitor", *flags])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 0
    assert served == [(tmp_path.resolve(), browser)]


def test_monitor_does_not_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(tmp_path, trials=1, end_s=1.0)
    monkeypatch.setattr(sys, "argv", ["rig", "replay", str(tmp_path), "--monitor", "--verify"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    assert "--verify compares decisions; omit" in capsys.readouterr().err


def test_a_wrong_set_option_is_not_attributed_to_the_version(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        replay(recorded(tmp_path, trials=1, end_s=1.0), ["task.corridor_cm_s='fast'"], about())
    assert "recorded by" not in str(refused.value)


def test_a_damaged_log_is_reported_first_and_fails_verification(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = recorded(tmp_path, trials=4) / LOG_FILE
    third_chunk = [found.end() for found in re.finditer(b"zstd", log.read_bytes())][2]
    flip(log, log, 8 * (third_chunk + 100))
    monkeypatch.setattr(sys, "argv", ["rig", "replay", str(tmp_path), "--verify"])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"the log is not whole; missing: \d+ of \d+ messages of log\.mcap", lines[0])
    assert lines[-1].startswith("identical as far as the log can be read: ")
