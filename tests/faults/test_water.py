"""Whatever is killed, the ledger has at least the water given, and at most one reward more."""

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import pytest
import typer

from rig.cli.chaos.session_process import behavior_alone
from rig.cli.data.recover import recover
from rig.messages import Stop, Valve
from rig.subjects.begun_water import read_begun
from rig.subjects.booking import water_of_day
from rig.subjects.session_identity import session_of
from rig.subjects.water_reserve import read_reserved
from rig.transport.log import JOURNAL_FOLDER, read
from tests.faults.test_death import BRIEF, NODES, wait_until_gone
from tests.live import Live

WATER = (
    *BRIEF,
    "task.reward_mode='passive'",
    "task.reward_delay_ms=0",
    "task.stimuli=['leaf1']",
    "task.shares=[1.0]",
    "task.signals={}",
    "task.cue_to_m=0.6",
)
REWARD_UL, BLOCK_UL = 3.001, 15.001


def watered(folder: Path) -> Live:
    """Return a session in which water comes soon."""
    return Live(folder, *WATER, setup=behavior_alone(folder))


def published_ul(path: Path) -> float:
    return sum(message.volume_ul for _, message in read(path) if isinstance(message, Valve))


def in_ledger(data: Path) -> tuple[float, float]:
    water = water_of_day(data, "test")
    return water.at_least_ul, water.at_most_ul


@pytest.mark.parametrize("order", [("launch", "hardware"), ("hardware", "launch")])
def test_after_kill_9_of_launch_and_driver_the_water_is_known_to_one_reward(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    with watered(tmp_path) as live:
        _, valve = live.until(Valve)
        # stopped first, so that neither can act on the other's death
        pids = {"launch": live.process.pid, "hardware": live.pid(NODES["hardware"])}
        others = [live.pid(NODES[name]) for name in ("task", "referee", "recorder")]
        for name in order:
            live.signal(name if name == "launch" else NODES[name], signal.SIGSTOP)
        for name in order:
            os.kill(pids[name], signal.SIGKILL)
        live.end()
        for pid in others:
            wait_until_gone(pid)
        folder = live.folder
    given_ul = published_ul(folder / JOURNAL_FOLDER / "hardware.mcap")
    begun_ul, reserved_ul = read_begun(session_of(folder).id), read_reserved(folder)
    assert begun_ul is not None and reserved_ul is not None and given_ul >= valve.volume_ul
    bounds = pytest.approx((given_ul, begun_ul), abs=0.01)
    assert given_ul <= begun_ul <= given_ul + REWARD_UL
    assert begun_ul <= reserved_ul <= given_ul + BLOCK_UL
    assert in_ledger(tmp_path) == bounds
    assert water_of_day(tmp_path, "test").open_folders == (folder,)
    with suppress(typer.Exit):  # if a journal was torn, its log is not whole
        recover(folder)
    assert in_ledger(tmp_path) == bounds
    assert not water_of_day(tmp_path, "test").open_folders
    # the journal of a killed process is kept
    kept = sorted(path.stem for path in (folder / JOURNAL_FOLDER).iterdir())
    assert kept == ["hardware", "launch"]
    folder.rename(tmp_path / "elsewhere")
    assert in_ledger(tmp_path) == bounds


def test_killed_and_removed_before_it_was_closed_counts_as_the_rest_of_the_day(
    tmp_path: Path,
) -> None:
    with watered(tmp_path) as live:
        live.until(Valve)
        live.signal("launch", signal.SIGKILL)
        live.end()
        shutil.rmtree(live.folder)
    assert in_ledger(tmp_path) == (0.0, 1000.0)


def test_after_kill_9_of_the_driver_alone_the_water_is_known_to_one_reward(tmp_path: Path) -> None:
    with watered(tmp_path) as live:
        live.until(Valve)
        live.signal(NODES["hardware"], signal.SIGKILL)
        live.until(Stop)
        code, output = live.end()
        assert code == 1, output
        folder = live.folder
    given_ul = published_ul(folder / "log.mcap")
    least_ul, most_ul = in_ledger(tmp_path)
    assert least_ul == pytest.approx(given_ul) and given_ul > 0
    assert least_ul <= most_ul <= given_ul + REWARD_UL
    assert (folder / JOURNAL_FOLDER / "hardware.mcap").exists()


@pytest.mark.parametrize("act", ["removed", "moved"])
def test_a_folder_that_is_taken_away_ends_the_session_and_its_water_is_kept(
    tmp_path: Path, act: str
) -> None:
    data = tmp_path / "data"
    with Live(data, *WATER, setup=behavior_alone(tmp_path)) as live:
        live.until(Valve)
        folder = live.folder
        if act == "moved":
            folder.rename(tmp_path / "elsewhere")
        else:
            shutil.rmtree(folder, ignore_errors=True)
        _, stop = live.until(Stop)
        code, output = live.end()
    assert code == 1, output
    assert f"the session folder {folder} was {act}" in stop.reason
    water = water_of_day(data, "test")
    assert water.at_least_ul == water.at_most_ul > 0
    if act == "moved":
        log = tmp_path / "elsewhere" / "log.mcap"
        assert published_ul(log) == pytest.approx(water.at_most_ul)
