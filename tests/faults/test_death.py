"""A process that dies or hangs ends the session with a reason; no published message is lost."""

import signal
import time
from pathlib import Path

import pytest

from rig.cli.chaos.session_process import behavior_alone
from rig.messages import Ended, Heartbeat, Position, Start, Stop, kind
from rig.replay.replay import Report, replay
from rig.session.provenance import about
from rig.session.recover import complete_log
from rig.settings.config import read_session
from rig.transport.log import LOG_FILE, read, read_completeness, read_kinds
from tests.faults.failing import LAST
from tests.live import NO_SCREEN, Live

WITHIN_S = 1.5
SLACK = 4
BRIEF = ("task.grey_before_s=0.2", "task.minutes=2")
QUICK = (NO_SCREEN, *BRIEF)
BEHAVING = {
    "hardware": "behavior.hardware",
    "task": "behavior.task",
    "referee": "behavior.referee",
    "recorder": "rig.recorder",
}
NODES = {
    **BEHAVING,
    "integrity": "acquisition.integrity",
    "display": "stimuli.display",
    "mesoscope": "acquisition.mesoscope",
    "stream": "acquisition.stream",
    "online": "analysis.online",
}
CRITICAL = [name for name in NODES if name != "online"]
"""A session goes on without the analysis: see test_not_critical."""


def behaving(folder: Path) -> Live:
    """Return a session without display and imaging."""
    return Live(folder, *BRIEF, setup=behavior_alone(folder))


def stopped_after_s(live: Live, struck_s: float) -> float:
    """Return how long after a kill launch published Stop, by its time stamp."""
    _, stop = live.until(Stop)
    return read_session(live.folder).t0_ns / 1e9 + stop.t / 1e9 - struck_s


def get_under_way(live: Live) -> None:
    """Wait until the mouse has run in a corridor for some time."""
    _, first = live.until(Position, phase="corridor", moving=True)
    last = first
    while last.t < first.t + 300_000_000:
        _, last = live.until(Position)


def with_node(folder: Path, name: str) -> tuple[Path, dict[str, str]]:
    """Write a setup with a node of tests.faults; return the setup and the node's Python path."""
    setup = behavior_alone(folder, f'[nodes.{name}]\nrun = "tests.faults.{name}"\n')
    return setup, {"PYTHONPATH": str(Path(__file__).parents[2])}


def check_all_is_kept(live: Live) -> None:
    """Assert that all received messages are in the log, and that it is complete."""
    kept = {(e.sender, kind(w), e.seq) for e, w in read(live.folder / LOG_FILE)}
    assert live.received <= kept
    verdict = read_completeness(live.folder / LOG_FILE)
    assert verdict is not None
    assert verdict.whole


def check_nothing_is_lost(live: Live) -> Report:
    """Also assert that the session replays; return the result of the replay."""
    check_all_is_kept(live)
    report = replay(live.folder, [], about())
    assert report.first is None
    assert report.compared["task"] > 0
    return report


@pytest.mark.parametrize("name", CRITICAL)
def test_a_killed_process_ends_the_session(name: str, tmp_path: Path) -> None:
    with behaving(tmp_path) if name in BEHAVING else Live(tmp_path, *QUICK) as live:
        get_under_way(live)
        struck_s = live.signal(NODES[name], signal.SIGKILL)
        assert stopped_after_s(live, struck_s) < WITHIN_S * SLACK
        code, output = live.end()
        assert code == 1, output
        assert f"{name} died: SIGKILL" in output
        summary = live.summary()
        assert summary["end_reason"] == f"{name} died: SIGKILL"
        assert summary["gaps"] == 0
        check_nothing_is_lost(live)


@pytest.mark.parametrize("name", ["hardware", "task"])
def test_a_hanging_process_ends_the_session(name: str, tmp_path: Path) -> None:
    with behaving(tmp_path) as live:
        get_under_way(live)
        struck_s = live.signal(NODES[name], signal.SIGSTOP)
        assert stopped_after_s(live, struck_s) < WITHIN_S * SLACK
        code, output = live.end()
        assert code == 1, output
        assert f"{name} hung" in output
        check_nothing_is_lost(live)


def test_after_the_launching_process_is_killed_all_end_and_the_log_is_recovered(
    tmp_path: Path,
) -> None:
    with Live(tmp_path, *QUICK) as live:
        get_under_way(live)
        pids = [live.pid(module) for module in NODES.values()]
        live.signal("launch", signal.SIGKILL)
        live.end()
        for pid in pids:
            wait_until_gone(pid)
        ended = {
            envelope.sender
            for journal in (live.folder / "journal").glob("*.mcap")
            for envelope, message in read(journal)
            if isinstance(message, Ended)
        }
        assert ended == set(NODES)
        complete_log(live.folder)
        check_nothing_is_lost(live)


def wait_until_gone(pid: int) -> None:
    """Return once a process that launch left behind has ended."""
    while Path(f"/proc/{pid}").exists() and _state(pid) != "Z":
        time.sleep(0.01)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def test_ctrl_c_ends_the_session_in_order(tmp_path: Path) -> None:
    with Live(tmp_path, *QUICK) as live:
        get_under_way(live)
        live.signal("launch", signal.SIGINT)
        code, output = live.end()
        assert code == 0, output
        ends = {e.sender: w for e, w in read(live.folder / LOG_FILE) if isinstance(w, Ended)}
        assert set(ends) >= set(NODES) - {"recorder"}
        assert {w.reason for w in ends.values()} == {"Ctrl-C"}
        check_nothing_is_lost(live)


def test_ctrl_c_does_not_hide_that_the_hub_was_killed(tmp_path: Path) -> None:
    with behaving(tmp_path) as live:
        get_under_way(live)
        live.signal("rig.transport.hub_process", signal.SIGKILL)
        live.signal("launch", signal.SIGINT)  # before launch itself finds the hub silent
        code, output = live.end()
        assert code == 1, output
        assert "Ctrl-C; " in output


def test_ctrl_c_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Live(data, *QUICK) as live:
        live.until(Heartbeat)
        live.signal("launch", signal.SIGINT)
        code, output = live.end()
        assert code == 2, output
        assert "ended before it began: Ctrl-C" in output
        assert not data.exists()


def test_a_hub_that_is_killed_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Live(data, *BRIEF, setup=behavior_alone(tmp_path)) as live:
        live.until(Heartbeat)
        live.signal("rig.transport.hub_process", signal.SIGKILL)
        code, output = live.end()
        assert code == 2, output
        assert "hub is silent" in output
        assert not data.exists()


def test_ctrl_c_again_while_it_ends_changes_nothing(tmp_path: Path) -> None:
    with behaving(tmp_path) as live:
        get_under_way(live)
        live.signal("launch", signal.SIGINT)
        live.until(Stop)
        live.signal("launch", signal.SIGINT)
        code, output = live.end()
        assert code == 0, output
        check_nothing_is_lost(live)


def test_a_node_that_falls_behind_ends_the_session(tmp_path: Path) -> None:
    setup, env = with_node(tmp_path, "slow")
    with Live(tmp_path / "data", *BRIEF, setup=setup, env=env) as live:
        _, stop = live.until(Stop)
        assert stop.reason.startswith(("slow: fell behind", "slow hung"))
        code, output = live.end()
        assert code == 1, output
        (start,) = (m for _, m in read_kinds(live.folder / LOG_FILE, {Start}))
        assert (stop.t - start.t) / 1e9 < WITHIN_S * SLACK
        check_all_is_kept(live)  # its replay would be as slow


def test_a_closed_terminal_ends_the_session_in_order(tmp_path: Path) -> None:
    with behaving(tmp_path) as live:
        get_under_way(live)
        live.signal("launch", signal.SIGHUP)
        live.end()
        summary = live.summary()
        assert summary["end_reason"] == "SIGHUP"
        check_nothing_is_lost(live)


def test_a_recorder_that_stalls_for_two_seconds_catches_up(tmp_path: Path) -> None:
    with behaving(tmp_path) as live:
        _, before = live.until(Position, phase="corridor", moving=True)
        live.signal(NODES["recorder"], signal.SIGSTOP)
        after = before
        while after.t < before.t + 2_000_000_000:
            _, after = live.until(Position)
        live.signal(NODES["recorder"], signal.SIGCONT)
        while after.t < before.t + 3_000_000_000:
            _, after = live.until(Position)
        live.signal("launch", signal.SIGINT)
        code, output = live.end()
        assert code == 0, output
        check_nothing_is_lost(live)


def test_a_driver_that_cannot_close_fails_the_session(tmp_path: Path) -> None:
    setup, env = with_node(tmp_path, "stuck")
    with Live(tmp_path / "data", *BRIEF, setup=setup, env=env) as live:
        get_under_way(live)
        live.signal("launch", signal.SIGINT)
        code, output = live.end()
        assert code == 1, output
        assert "stuck: closing failed: the valve would not shut" in output


def test_a_decider_with_a_bug_ends_the_session_and_fails_again_in_replay(
    tmp_path: Path,
) -> None:
    setup, env = with_node(tmp_path, "failing")
    with Live(tmp_path / "data", *BRIEF, setup=setup, env=env) as live:
        code, output = live.end()
        assert code == 1, output
        assert "failing: KeyError: 'leaf9'" in output
        assert f"its traceback is in {live.folder / 'failing.err.txt'}" in output
        report = check_nothing_is_lost(live)
        assert report.failed == {"failing": "KeyError: 'leaf9'"}
        assert report.compared["failing"] == LAST + 1
        assert (report.unproven, report.ended_outside) == ({}, {})
