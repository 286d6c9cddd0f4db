"""Triggers in real sessions: decided in one process, raised in another, proved by a replay."""

import json
import signal
from pathlib import Path

import pytest

from analysis.session.session import Session
from rig.cli.chaos.session_process import behavior_alone
from rig.cli.sessions.end_summary import SUMMARY_FILE
from rig.messages import Edge, Fault, Message, Position, TriggerOutput
from rig.replay.replay import replay
from rig.session.provenance import about
from tests.live import SHORT, Live

RULES = (
    'task.triggers=[{name="place", when="position_m >= 0.5", line="laser", pulse_ms=20.0, '
    'sham_fraction=0.5}, {name="zone", when="position_m > 1.0 and in texture", line="laser", '
    "hold_ms=2000.0}]"
)


def test_lines_rise_in_a_real_session_and_a_replay_decides_the_same(tmp_path: Path) -> None:
    setup = behavior_alone(tmp_path)
    args = ("--trials", "6", "--seed", "3")
    sets = (*SHORT, "task.corridor_cm_s=120", RULES)
    with Live(tmp_path / "data", *sets, setup=setup, args=args) as live:
        code, output = live.end()
        assert code == 0, output
        folder = live.folder
    table = Session(folder).triggers
    assert sorted(zip(table.trial, table.rule, strict=True)) == [
        (trial, name) for trial in range(6) for name in ("place", "zone")
    ]
    assert list(table.refused) == [""] * 12
    pulses, held = table[(table.rule == "place") & ~table.sham], table[table.rule == "zone"]
    assert 0 < len(pulses) < 6
    assert pulses.up_ms.to_numpy() == pytest.approx(20.0)
    assert all(300 < up_ms < 2000 for up_ms in held.up_ms), "up from 1.0 to 1.5 m, at 120 cm/s"
    summary = json.loads((folder / SUMMARY_FILE).read_text())
    assert summary["triggers"]["zone"] == {"lines": 6, "shams": 0, "refused": 0}
    assert summary["latency_ms"]["position_to_line"]["n"] == 12
    assert "position to line" in output
    assert "trigger place" in output
    report = replay(folder, [], about())
    assert (report.first, report.unproven) == (None, {})
    assert report.compared["closed_loop"] == 12 + 6


def test_a_session_continues_without_its_closed_loop_and_its_line_is_lowered(
    tmp_path: Path,
) -> None:
    setup = behavior_alone(tmp_path)
    rule = 'task.triggers=[{name="on", when="in texture", line="laser", hold_ms=1500.0}]'
    with Live(tmp_path / "data", *SHORT, rule, setup=setup, args=("--seed", "3")) as live:
        _, answer = live.until(TriggerOutput)
        live.signal("analysis.closed_loop", signal.SIGKILL)
        fell: Edge | None = None
        fault: Fault | None = None
        while fell is None or fault is None:
            _, message = live.until(Message)
            if isinstance(message, Edge) and message.line == "laser" and not message.up:
                fell = fell or message
            elif isinstance(message, Fault) and "continues without closed_loop" in message.text:
                fault = message
        assert fell.t == answer.t + 1_500_000_000
        _, after = live.until(Position)
        while after.t < fault.t + 1_000_000_000:
            _, after = live.until(Position)
        live.signal("launch", signal.SIGINT)
        code, output = live.end()
    assert code == 0, output
