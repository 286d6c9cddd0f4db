"""The hardware process dies while our board is armed or its valve open; missing boards."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.messages import Arm, DeviceTime, TrialStart, Valve, Wheel
from rig.settings.config import read_session
from tests.behavior.devices.harp.pty_board import PtyBoard
from tests.behavior.devices.harp.simavr.avr import Avr
from tests.behavior.devices.harp.simavr.needed import need_tools
from tests.behavior.devices.harp.test_avr_session import SHORT, behavior_session
from tests.live import Live

HARDWARE = "behavior.hardware"
PASSIVE = (*SHORT, "task.reward_mode=passive", "task.reward_delay_ms=0", "task.reward_ul=7.4")
"""Water at the cue, for 148 ms: longer than it takes to be killed."""


@pytest.fixture
def avr() -> Iterator[Avr]:
    need_tools()
    made = Avr()
    yield made
    made.close()


def _until_open(session: Live) -> None:
    """Wait for a pulse of which less than half has passed."""
    while True:
        _, valve = session.until(Valve, refused="")
        now_ns = time.monotonic_ns() - read_session(session.folder).t0_ns
        if now_ns < valve.t + valve.open_ms * 0.5e6:
            return


def _killed(session: Live, pid: int) -> int:
    """Kill the hardware process; return when (ns, monotonic), once the session has ended."""
    os.kill(pid, signal.SIGKILL)
    struck_ns = time.monotonic_ns()
    code, output = session.end()
    assert code == 1, output
    summary = session.summary()
    assert summary["end_reason"] == "hardware died: SIGKILL"
    return struck_ns


def test_an_armed_reward_is_void_half_a_second_after_the_driver_was_killed(
    avr: Avr, tmp_path: Path
) -> None:
    with behavior_session(tmp_path, avr, "--trials", "20", "--seed", "5", sets=SHORT) as session:
        session.until(Wheel)  # it runs
        avr.command("wheel 3000000")  # it runs until the end
        _, arm = session.until(Arm, on="lick")
        while session.until(Wheel)[1].t < arm.t + 50_000_000:
            pass
        _killed(session, session.pid(HARDWARE))
        avr.pulse("C0", "line1", 600_000)
        avr.pulse("B0", "lick", 5000)
        avr.pulse("C0", "line1", 200_000)
        assert avr.openings() == []
        assert not avr.seen("output0")[-1][0], "the trial's line is down, too"


def test_an_open_valve_shuts_in_time_after_the_driver_was_killed(avr: Avr, tmp_path: Path) -> None:
    with behavior_session(tmp_path, avr, "--trials", "20", "--seed", "5", sets=PASSIVE) as session:
        session.receive_only(DeviceTime, Valve)
        session.until(DeviceTime)  # it runs: one comes each second
        avr.command("wheel 3000000")
        pid = session.pid(HARDWARE)  # looked up before the pulse, because the pulse is short
        _until_open(session)
        struck = _killed(session, pid)
        avr.pulse("C0", "line1", 200_000)
        openings = avr.openings()
        cycle, _ = openings[-1]
        assert [ms for _, ms in openings] == pytest.approx([148.0] * len(openings), abs=0.01)
        assert avr.ns(cycle) < struck < avr.ns(cycle) + 148_000_000, "it was not killed meanwhile"


def test_a_board_lost_during_a_session_ends_it_with_one_sentence(avr: Avr, tmp_path: Path) -> None:
    with behavior_session(tmp_path, avr, "--seed", "5") as session:
        session.until(Wheel)  # it runs
        avr.command("wheel 3000000")
        session.until(TrialStart)
        avr.close()
        code, output = session.end()
        assert code == 1, output
        summary = session.summary()
        assert "board avr is lost: its port is gone" in summary["end_reason"]


def test_a_board_that_is_not_there_refuses_the_session(avr: Avr, tmp_path: Path) -> None:
    port = "nodes.hardware.boards.avr.port=/dev/nowhere"
    with behavior_session(tmp_path, avr, sets=(*SHORT, port)) as session:
        code, output = session.end()
    assert code == 2, output
    assert "serial port /dev/nowhere cannot be opened" in output


def test_another_board_refuses_the_session(avr: Avr, tmp_path: Path) -> None:
    there = PtyBoard()
    port = f"nodes.hardware.boards.avr.port={there.port}"
    with behavior_session(tmp_path, avr, sets=(*SHORT, port)) as session:
        code, output = session.end()
    there.close()
    assert code == 2, output
    assert "board avr: its WhoAmI is 1216, but the setup expects 0" in output
