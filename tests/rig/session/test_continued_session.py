"""`rig run --continue`: a killed session is continued in a second part, as one session."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis.session import Session
from rig.cli.chaos.session_process import behavior_alone
from rig.cli.data.manifest import check_manifest
from rig.messages import Start, TrialEnd, TrialStart, Valve
from rig.settings.config import read_session
from rig.subjects.booking import water_of_day
from rig.transport.log import LOG_FILE, read_kinds
from tests.analysis.logs import enveloped, write_log
from tests.command import refusal, rig
from tests.live import PACKAGE, Live

QUICK = (
    "task.corridor_cm_s=200",
    "task.grey_m=1",
    "task.cue_to_m=2.5",
    "task.grey_before_s=0.5",
    "task.grey_after_s=0.5",
    "task.reward_mode='passive'",
)


def given_ul(folder: Path) -> float:
    valves = (message for _, message in read_kinds(folder / LOG_FILE, {Valve}))
    return sum(v.volume_ul for v in valves if isinstance(v, Valve) and not v.refused)


def test_a_killed_session_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    data = tmp_path / "data"
    setup = behavior_alone(tmp_path)
    with Live(data, *QUICK, setup=setup, args=("--trials", "6", "--seed", "4")) as live:
        live.until(TrialEnd, trial=1)
        live.until(TrialStart, trial=2)
        first = live.folder
        assert "is not closed" in refusal("run", "--continue", first)
        live.signal("launch", signal.SIGKILL)
        live.process.wait()
        assert rig("recover", first).exit_code == 0  # waits for the processes that are left
        check_manifest(first)

    command = [sys.executable, "-c", "from rig.cli.main import main; main()", "run"]
    done = subprocess.run(
        [*command, "--continue", str(first), "--no-page"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    second = first.with_name(first.name[:-1] + "2")
    session = read_session(second)
    assert session.continues == read_session(first).id
    assert session.seed == 4

    day = water_of_day(data, "test")
    assert session.given_today_ul >= given_ul(first)
    assert day.at_least_ul == pytest.approx(given_ul(first) + given_ul(second))
    trials = Session(second).trials
    assert list(trials.trial) == list(range(len(trials)))
    assert (trials.outcome == "done").sum() == 6
    assert set(Session(second).rewards.trial) <= set(trials.trial[trials.rewarded])
    assert not any(Session(second).verdicts.violations)

    verified = rig("replay", second, "--verify")
    assert verified.exit_code == 0, verified.output
    assert rig("report", second).exit_code == 0
    assert rig("export", second, "csv").exit_code == 0
    rows = (second / "export" / "csv" / "trials.csv").read_text().splitlines()
    assert len(rows) == 1 + len(trials)
    exported = rig("export", "csv", "--subject", "test", "--data", data, "--to", tmp_path / "all")
    assert exported.exit_code == 0, exported.output
    assert [path.name for path in (tmp_path / "all").iterdir()] == [second.name]
    assert f"continues {first.name}" in rig("ls", "--data", data).output

    assert f"continue its next part: {second}" in refusal("run", "--continue", first)
    assert "nothing of the session is left: all trials done" in refusal("run", "--continue", second)
    _refusals(first, second, data)


def _refusals(first: Path, second: Path, data: Path) -> None:
    shutil.move(second, data.parent / "kept")
    go_on = ("run", "--continue", first)
    assert "keeps its task" in refusal(*go_on, "--set", "task.reward_ul=9")
    assert "takes setup, task" in refusal(*go_on, "--trials", "3")
    assert "is not in the data folder" in refusal("run", "--continue", data.parent / "kept")
    setup = Path(read_session(first).setup)
    measured = setup.with_name(f"{setup.stem}.measured.toml")
    measured.write_text("")
    assert "was calibrated again" in refusal(*go_on)
    measured.unlink()
    newer = first.with_name(f"ses-{time.strftime('%Y%m%d')}_9")
    newer.mkdir()
    start = Start(0, {"about": {"schema": "1000"}, "a key": "of another time"})
    write_log(newer, enveloped([start]))
    assert "with message schema 1000; continue it with that" in refusal("run", "--continue", newer)
    shutil.rmtree(newer)
    log = (first / LOG_FILE).read_bytes()
    (first / LOG_FILE).write_bytes(log[: len(log) // 2])
    assert "is not closed; unless it still runs, run: rig recover" in refusal(*go_on)
    (first / LOG_FILE).write_bytes(log)
    assert "does not exist" in refusal("run", "--continue", data / "nothing")
    tomorrow = time.time() + 86_400
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: tomorrow)
        assert "only a session of the same day" in refusal(*go_on)
