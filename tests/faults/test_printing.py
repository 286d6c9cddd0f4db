"""A session and its water do not depend on what is typed, who reads the output, or a slow disk."""

import os
from pathlib import Path

from rig.cli.chaos.session_process import behavior_alone
from rig.messages import OperatorRequest, Valve
from rig.subjects.booking import water_of_day
from rig.transport.log import LOG_FILE, read_completeness
from tests.faults.test_water import WATER, published_ul
from tests.live import Live

NOTE = "licks [/left] side [bold] :smile: [red"
SLOW_FSYNC = """
import os, time
fsync = os.fsync
def slow(file):
    path = os.readlink(f"/proc/self/fd/{file}")
    if path.endswith(".mcap"):
        time.sleep(2.5)
        with open(os.environ["SYNCED"], "a") as synced:
            print(os.path.basename(path), file=synced)
    fsync(file)
os.fsync = slow
"""
"""A sitecustomize.py: to sync a journal or log takes longer than a node may take to end."""


def check_water_and_log(live: Live) -> None:
    folder = live.folder
    completeness = read_completeness(folder / LOG_FILE)
    assert completeness is not None and completeness.whole
    water = water_of_day(live.data, live.subject)
    given_ul = published_ul(folder / LOG_FILE)
    assert water.at_least_ul == water.at_most_ul and abs(water.at_most_ul - given_ul) < 0.01
    assert given_ul > 0


def test_a_note_with_brackets_is_kept_and_shown_also_on_a_slow_disk(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW_FSYNC)
    synced = tmp_path / "synced.txt"
    env = {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])]),
        "SYNCED": str(synced),
    }
    setup = behavior_alone(tmp_path)
    with Live(tmp_path / "data", *WATER, setup=setup, keys=True, env=env) as live:
        live.until(Valve)
        live.press(f"n{NOTE}\r")
        live.until(OperatorRequest, verb="note", text=NOTE)
        live.press("q")
        code, output = live.end()
        assert code == 0, output
        assert f"note at {output.partition('note at ')[2].split(' s: ')[0]} s: {NOTE}" in output
        summary = live.summary()
        assert [note["text"] for note in summary["notes"]] == [NOTE]
        assert summary["end_reason"] == "stopped by the operator"
        check_water_and_log(live)
    journals = {"hardware.mcap", "task.mcap", "referee.mcap", "recorder.mcap", "log.mcap"}
    assert set(synced.read_text().split()) >= journals  # no process was killed while it waited


def test_a_pipe_that_is_closed_during_a_session_changes_nothing(tmp_path: Path) -> None:
    setup = behavior_alone(tmp_path)
    with Live(tmp_path / "data", *WATER, setup=setup, keys=True) as live:
        live.until(Valve)
        assert live.process.stdout is not None
        live.process.stdout.close()
        live.press(f"n{NOTE}\r")  # prints
        live.press("q")
        assert live.process.wait(240) == 0
        summary = live.summary()
        assert [note["text"] for note in summary["notes"]] == [NOTE]
        assert summary["end_reason"] == "stopped by the operator"
        check_water_and_log(live)
