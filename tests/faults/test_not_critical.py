"""The analysis may hang, die or fail: the animal's session goes on without it."""

import json
import signal
from pathlib import Path

import pytest

from rig.cli.sessions.end_summary import SUMMARY_FILE
from rig.messages import Fault, Position, Start
from tests.faults.test_death import NODES, QUICK
from tests.live import Live


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_session_goes_on_without_its_analysis(tmp_path: Path, number: signal.Signals) -> None:
    with Live(tmp_path, *QUICK) as live:
        live.until(Start)
        _, before = live.until(Position, phase="corridor")
        live.signal(NODES["online"], number)
        _, fault = live.until(Fault)
        while fault.text.find("goes on without online") < 0:
            _, fault = live.until(Fault)
        _, after = live.until(Position)
        assert after.t >= before.t
        while after.t < fault.t + 1_000_000_000:
            _, after = live.until(Position)
        live.signal("launch", signal.SIGINT)
        code, output = live.end()
    assert code == 0, output
    assert "the session goes on without online" in output
    summary = json.loads((live.folder / SUMMARY_FILE).read_text())
    assert summary["end_reason"] == "Ctrl-C"
    assert any("goes on without online" in str(fault) for fault in summary["faults"])
