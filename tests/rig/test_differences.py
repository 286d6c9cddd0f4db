"""A replay with other settings lists the differing fields, with number and size."""

import sys
from pathlib import Path

import numpy as np
import pytest

from rig.cli.main import main
from rig.messages import Integrity, LearningSignals, Lick, Message, TrialEnd
from rig.replay.differences import Differences, FieldDifference
from rig.replay.replay import replay
from rig.session.provenance import about
from tests.rig.test_replay import recorded

pytestmark = pytest.mark.slow


def signals(t: int, *d_prime: float) -> Message:
    values = np.array(d_prime, "<f4").tobytes()
    return LearningSignals(t, 1, 1, False, (("a", "b"),), values, b"", (), ())


def rows(old: list[Message], new: list[Message]) -> dict[str, FieldDifference]:
    differences = Differences()
    for side, messages in ((0, old), (1, new)):
        for message in messages:
            differences.add(side, message)
    return {f"{row.type}.{row.field}": row for row in differences.rows()}


def test_the_cells_that_differ_are_counted_with_the_largest_difference() -> None:
    nan = float("nan")
    old = [signals(1, 0.5, 1.0, nan), signals(2, 0.5, 1.0, 2.0)]
    new = [signals(1, 0.5, 1.25, nan), signals(2, 0.5, 1.0, 2.0)]
    found = rows(old, new)
    assert list(found) == ["LearningSignals.d_prime"]
    row = found["LearningSignals.d_prime"]
    assert (row.differing, row.messages, row.differing_values, row.values) == (1, 2, 1, 6)
    assert row.largest == pytest.approx(0.25)
    assert row.text() == "1 of 2 messages, 1 of 6 values, largest difference 0.25"


def test_messages_are_paired_by_time_and_order_not_by_number() -> None:
    extra = Lick(2, "left")
    assert (
        rows([Lick(1, "a"), Lick(3, "b")], [Lick(1, "a"), extra, Lick(3, "b")])[
            "Lick.missing messages"
        ].text()
        == "1 have no counterpart"
    )
    twice: list[Message] = [Integrity(5, n, None, True, (), True, n, n) for n in (1, 2)]
    assert rows(twice, twice) == {}


def test_a_text_that_differs_has_no_size() -> None:
    found = rows([TrialEnd(1, 0, "done")], [TrialEnd(1, 0, "aborted")])
    assert found["TrialEnd.outcome"].text() == "1 of 1 messages"


def test_a_replay_with_other_settings_names_fields_and_idle_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorded(tmp_path, trials=2)
    idle = "nodes.hardware.realtime=true"
    report = replay(folder, ["task.reward_ul=2.0", idle], about())
    (row,) = [r for r in report.differences["task"] if (r.type, r.field) == ("Arm", "volume_ul")]
    assert row.differing == row.messages > 0
    assert row.largest == pytest.approx(1.0)
    assert report.unreached == [idle]
    command = ["rig", "replay", str(folder), "--set", "task.reward_ul=2.0", "--set", idle]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit):
        main()
    output = capsys.readouterr().out
    assert f"--set {idle} has no effect" in output
    assert "Arm.volume_ul: recorded 3.0, replayed 2.0" in output
    assert "volume_ul" in output.partition("messages")[2]
    assert "\\x" not in output
