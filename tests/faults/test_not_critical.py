"""A node that is not critical may hang, die or fail: the session continues without it."""

import signal
from pathlib import Path

from rig.messages import Fault, Position
from tests.faults.test_death import BRIEF, NODES, QUICK, with_node
from tests.live import Live


def test_a_session_continues_without_its_analysis(tmp_path: Path) -> None:
    with Live(tmp_path, *QUICK) as live:
        check_it_continues(live, "online", NODES["online"], signal.SIGKILL)


def test_a_session_continues_without_a_node_that_hangs(tmp_path: Path) -> None:
    setup, env = with_node(tmp_path, "optional")
    with Live(tmp_path / "data", *BRIEF, setup=setup, env=env) as live:
        check_it_continues(live, "optional", "tests.faults.optional", signal.SIGSTOP)


def check_it_continues(live: Live, name: str, module: str, number: signal.Signals) -> None:
    """Send a signal to a node; assert that the session continues without it and reports this."""
    _, before = live.until(Position, phase="corridor")
    live.signal(module, number)
    _, fault = live.until(Fault)
    while fault.text.find(f"continues without {name}") < 0:
        _, fault = live.until(Fault)
    _, after = live.until(Position)
    assert after.t >= before.t
    while after.t < fault.t + 1_000_000_000:
        _, after = live.until(Position)
    live.signal("launch", signal.SIGINT)
    code, output = live.end()
    assert code == 0, output
    assert f"the session continues without {name}" in output
    summary = live.summary()
    assert summary["end_reason"] == "Ctrl-C"
    assert any(f"continues without {name}" in str(fault) for fault in summary["faults"])
