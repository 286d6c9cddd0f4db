"""Files that are removed under a session are noticed, and the operator or launch decides."""

import shutil
import time
from pathlib import Path

import pytest

from rig.cli.chaos.session_process import behavior_alone
from rig.errors import Refused
from rig.messages import Fault, Frame, OperatorRequest, Stop, TrialStart, Valve
from rig.replay.replay import replay
from rig.session.provenance import about
from rig.settings.config import read_session
from rig.subjects.booking import water_of_day
from rig.transport.log import JOURNAL_FOLDER, LOG_FILE
from tests.faults.test_death import QUICK, SLACK
from tests.faults.test_water import WATER, published_ul
from tests.live import Live

NOTICED_WITHIN_S = 2.0 * SLACK


def remove_growing_file(live: Live, keep: Path) -> float:
    """Move the TIFF that the microscope writes away; return when, s of the session clock."""
    _, frame = live.until(Frame)
    while frame.index < 5:
        _, frame = live.until(Frame)
    (live.folder / frame.file).rename(keep)
    return time.monotonic() - read_session(live.folder).t0_ns / 1e9


def until_lost(live: Live) -> Fault:
    while True:
        _, fault = live.until(Fault)
        if fault.finding == "file lost":
            return fault


def test_a_growing_tiff_that_is_deleted_pauses_the_session_until_the_operator_decides(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "kept.tif"
    with Live(tmp_path / "data", *QUICK, keys=True) as live:
        live.until(TrialStart)
        removed_s = remove_growing_file(live, kept)
        fault = until_lost(live)
        assert fault.t / 1e9 - removed_s < NOTICED_WITHIN_S
        _, request = live.until(OperatorRequest, verb="pause")
        assert "was deleted during the session" in request.text
        live.press("p")  # this resumes the task, although launch has not seen its pause yet
        _, answer = live.until(OperatorRequest)
        assert answer.verb == "resume"
        _, again = live.until(TrialStart)
        assert again.t > request.t
        live.press("q")
        code, output = live.end()
        assert code == 0, output
        assert "press p to resume without it, s or q to stop" in output
        assert "NOT SOUND" in output
        found = live.summary()
        assert found["integrity"]["findings"]["file lost"] == 1
        assert not found["integrity"]["sound"]
        with pytest.raises(Refused, match="the pixels of frame 0 are missing; restore imaging/"):
            replay(live.folder, [], about())
        kept.rename(live.folder / fault.text.split()[0])
        assert replay(live.folder, [], about()).first is None


def test_a_growing_tiff_that_is_deleted_ends_a_session_without_an_operator(tmp_path: Path) -> None:
    with Live(tmp_path / "data", *QUICK) as live:
        live.until(TrialStart)
        removed_s = remove_growing_file(live, tmp_path / "kept.tif")
        _, stop = live.until(Stop)
        assert stop.t / 1e9 - removed_s < NOTICED_WITHIN_S
        code, output = live.end()
        assert code == 1, output
        reason = live.summary()["end_reason"]
        assert reason.startswith("stream: imaging/")
        assert "was deleted during the session" in reason


@pytest.mark.parametrize("what", ["log", "journals", "everything"])
def test_files_that_are_removed_from_a_session_folder_end_the_session(
    tmp_path: Path, what: str
) -> None:
    data = tmp_path / "data"
    with Live(data, *WATER, setup=behavior_alone(tmp_path)) as live:
        live.until(Valve)
        folder = live.folder
        if what == "log":
            (folder / LOG_FILE).unlink()
        if what in ("journals", "everything"):
            shutil.rmtree(folder / JOURNAL_FOLDER)
        if what == "everything":
            for path in folder.iterdir():
                # launch may remove files, too, once it has noticed
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        _, stop = live.until(Stop)
        code, output = live.end()
    assert code == 1, output
    assert "Traceback" not in output
    assert f"in the session folder {folder} was removed" in stop.reason
    water = water_of_day(data, "test")
    assert water.at_least_ul == water.at_most_ul > 0
    if what != "everything":
        assert published_ul(folder / LOG_FILE) == pytest.approx(water.at_most_ul)
