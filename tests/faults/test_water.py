"""Whatever is killed, the day's water is known: to a reward, once the session was recovered."""

import os
import signal
from pathlib import Path

import pytest

from rig.cli.sessions.recover import recover
from rig.messages import Stop, Valve
from rig.session.water_reserve import read_reserved
from rig.session.water_totals import given, is_open
from rig.transport.log import JOURNAL_FOLDER, read
from tests.faults.test_death import BRIEF, NODES
from tests.live import Live, behavior_alone

WATER = (
    *BRIEF,
    "task.reward_mode='passive'",
    "task.reward_delay_ms=0",
    "task.stimuli=['leaf1']",
    "task.shares=[1.0]",
    "task.signals={}",
    "task.cue_to_m=0.6",
)


def watered(folder: Path) -> Live:
    """Return a session in which water comes soon."""
    return Live(folder, *WATER, setup=behavior_alone(folder))


def said_ul(folder: Path) -> float:
    journal = folder / JOURNAL_FOLDER / "hardware.mcap"
    return sum(message.volume_ul for _, message in read(journal) if isinstance(message, Valve))


@pytest.mark.parametrize("order", [("launch", "hardware"), ("hardware", "launch")])
def test_after_kill_9_of_both_it_is_never_less_and_recovered_to_a_reward(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    with watered(tmp_path) as live:
        _, valve = live.until(Valve)
        # stopped first, so that neither can act on the other's death
        pids = {"launch": live.process.pid, "hardware": live.pid(NODES["hardware"])}
        for name in order:
            live.signal(name if name == "launch" else NODES[name], signal.SIGSTOP)
        for name in order:
            os.kill(pids[name], signal.SIGKILL)
        live.end()
        folder = live.folder
    spoken_ul = said_ul(folder)
    reserved = read_reserved(folder)
    assert reserved is not None
    assert spoken_ul >= valve.volume_ul
    assert is_open(folder)
    assert spoken_ul <= given(folder).water_ul == reserved.total_ul <= spoken_ul + 15.001
    recover(folder)
    expected_ul = min(reserved.total_ul, spoken_ul + valve.volume_ul)
    assert given(folder).water_ul == pytest.approx(expected_ul)
    assert not is_open(folder)


def test_after_kill_9_of_the_driver_alone_it_is_known_to_a_reward(tmp_path: Path) -> None:
    with watered(tmp_path) as live:
        _, valve = live.until(Valve)
        live.signal(NODES["hardware"], signal.SIGKILL)
        live.until(Stop)
        code, output = live.end()
        assert code == 1, output
        folder = live.folder
    spoken_ul = sum(w.volume_ul for _, w in read(folder / "log.mcap") if isinstance(w, Valve))
    assert spoken_ul > 0
    assert given(folder).water_ul == pytest.approx(spoken_ul + valve.volume_ul)
