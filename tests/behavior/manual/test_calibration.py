"""Valve calibration: fitted to weighed water, saved beside the setup, required before a session."""

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from behavior.devices.protocols import ValveSettings, Weighing
from behavior.hardware import Hardware
from behavior.manual import safe_exit
from behavior.manual.manual_control import ManualControl, open_devices
from behavior.water.valve_calibration import fit
from rig.cli.bringup import device_walkthrough
from rig.cli.bringup.setup_argument import setup_session
from rig.cli.chaos.session_process import free_port
from rig.cli.main import app
from rig.errors import Refused
from rig.session.locks import RigLock
from rig.settings.calibration_overlay import measure, measured_file
from rig.settings.config import read_setup, resolve
from rig.settings.toml import read_toml
from tests.live import SETUP, TASK

LENGTHS_MS = [20.0, 40.0, 60.0, 80.0]


def weighed(ul_per_ms: float, dead_ms: float, off: float = 0.0) -> list[Weighing]:
    signs = [1, -1, 1, -1]
    return [
        Weighing(ms, 100, 100 * ul_per_ms * (ms - dead_ms) * (1 + sign * off))
        for ms, sign in zip(LENGTHS_MS, signs, strict=True)
    ]


@given(st.floats(0.005, 1.0), st.floats(0.0, 15.0))
def test_the_calibration_is_recovered(ul_per_ms: float, dead_ms: float) -> None:
    found = fit(weighed(ul_per_ms, dead_ms))
    assert found.ul_per_ms == pytest.approx(ul_per_ms, rel=1e-6)
    assert found.dead_ms == pytest.approx(dead_ms, abs=1e-6)
    assert found.residuals == pytest.approx([0.0] * 4, abs=1e-6)


@given(st.floats(0.005, 1.0), st.floats(0.0, 15.0), st.floats(0.1, 20.0))
def test_a_pulse_for_a_volume_delivers_that_volume(
    ul_per_ms: float, dead_ms: float, volume_ul: float
) -> None:
    valve = ValveSettings(ul_per_ms=ul_per_ms, dead_ms=dead_ms)
    assert ul_per_ms * (valve.open_ms(volume_ul) - dead_ms) == pytest.approx(volume_ul)


def test_a_valve_does_not_flow_before_it_opens() -> None:
    found = fit([Weighing(ms, 100, 5 * ms + 10) for ms in LENGTHS_MS])
    assert found.dead_ms == 0.0


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (weighed(0.05, 2.0)[:2], "at least 3 different pulse lengths"),
        (weighed(0.05, 2.0, off=0.4), "off the fitted line"),
        ([Weighing(ms, 100, 1000 - 5 * ms) for ms in LENGTHS_MS], "delivered less water"),
        ([Weighing(20.0, 100, 0.0), *weighed(0.05, 2.0)[1:]], "delivered no water"),
    ],
)
def test_series_that_do_not_fit_a_line_are_refused(series: list[Weighing], expected: str) -> None:
    with pytest.raises(Refused, match=expected):
        fit(series)


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Path]:
    """A copy of the simulated setup, with a free port and a name that no session has."""
    path = tmp_path / "mine.toml"
    port = free_port()
    text = SETUP.read_text().replace("hub_port = 5571", f"hub_port = {port}")
    path.write_text(text.replace('name = "simulated"', f'name = "mine {port}"'))
    for beside in SETUP.parent.glob("*.csv"):
        shutil.copy(beside, tmp_path)
    yield path


def calibrated(setup: Path, *masses_mg: float) -> str:
    typed = "y\n" + "".join(f"\n{mass}\n" for mass in masses_mg)
    given_ = ["calibrate", "valve", str(setup), "--pulses", "10"]
    lengths = [text for ms in ("5", "6", "7") for text in ("--open-ms", ms)]
    result = CliRunner().invoke(app, [*given_, *lengths], input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_a_calibration_is_written_next_to_the_setup_and_used(setup: Path) -> None:
    output = calibrated(setup, 1.5, 2.0, 2.5)
    assert "0.0500 ul/ms after a dead time of 2.0 ms" in output
    page = setup.with_name("mine.valve.centre.html").read_text("utf-8")
    assert "Calibration of valve centre of rig mine " in page
    assert "0.0500 µl/ms" in page
    assert '"y":[0.15,0.2,0.25]' in page
    valve = resolve(setup, TASK, "x", 1, []).session.nodes["hardware"]["valve"]["centre"]
    assert valve["ul_per_ms"] == pytest.approx(0.05)
    assert valve["dead_ms"] == pytest.approx(2.0)
    assert valve["calibrated"] == date.today().isoformat()
    assert len(valve["weighed"]) == 3
    assert valve["board"] == "bench"  # the rest of the setup is unchanged


def test_a_failed_calibration_keeps_the_old_one(setup: Path) -> None:
    calibrated(setup, 1.5, 2.0, 2.5)
    before = measured_file(setup).read_bytes()
    with pytest.raises(Refused, match="off the fitted line"):
        calibrated(setup, 1.5, 9.0, 2.5)
    assert measured_file(setup).read_bytes() == before


def test_the_calibration_is_kept_if_its_page_cannot_be_written(setup: Path) -> None:
    setup.with_name("mine.valve.centre.html").mkdir()
    with pytest.raises(Refused, match="cannot be written"):
        calibrated(setup, 1.5, 2.0, 2.5)
    found = read_toml(measured_file(setup))["nodes"]["hardware"]["valve"]["centre"]
    assert found["ul_per_ms"] == pytest.approx(0.05)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt, as in a foreground job: a background job inherits it as ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("again", safe_exit._ENDING)
def test_no_second_signal_interrupts_the_closing(
    again: signal.Signals, setup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, close = [], Hardware.close

    def closing(hardware: Hardware) -> None:
        signal.raise_signal(again)
        close(hardware)
        closed.append(hardware)

    monkeypatch.setattr(Hardware, "close", closing)
    before = signal.getsignal(again)
    with pytest.raises(KeyboardInterrupt), open_devices(setup_session(setup)):
        signal.raise_signal(signal.SIGINT)
    assert len(closed) == 1
    assert signal.getsignal(again) == before


@pytest.mark.parametrize("call", ["open", "handle"])
def test_a_device_that_hangs_while_it_is_opened_ends_the_process(call: str, setup: Path) -> None:
    hung = f"""
import threading
from behavior.manual import safe_exit
from behavior.devices.simulated import devices
from behavior.manual.manual_control import open_devices
from rig.cli.bringup.setup_argument import setup_session
safe_exit._HUNG_S = 0.3
devices.Board.{call} = lambda *_: threading.Event().wait()
with open_devices(setup_session(__import__("pathlib").Path({str(setup)!r}))):
    pass
"""
    run = [sys.executable, "-c", hung]
    ended = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "a device has not answered for 0.3 s" in ended.stderr


@pytest.mark.parametrize("asking", ["prompt", "confirm"])
def test_devices_are_polled_during_prompts(
    asking: str, setup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, look, ask = threading.Event(), ManualControl._poll, getattr(typer, asking)

    def looking(control: ManualControl, now: int) -> None:
        look(control, now)
        looked.set()

    def slow(*args: Any, **keys: Any) -> Any:
        if args[0].startswith("Show the calibration pattern"):  # the devices are closed by then
            return False
        looked.clear()
        assert looked.wait(20.0), "nobody looks at the devices"
        return ask(*args, **keys)

    monkeypatch.setattr(ManualControl, "_poll", looking)
    monkeypatch.setattr(typer, asking, slow)
    if asking == "prompt":
        assert calibrated(setup, 1.5, 2.0, 2.5).count("tare the dish again") == 3
    else:
        monkeypatch.setattr(device_walkthrough, "_WAIT_S", 0.01)
        result = CliRunner().invoke(app, ["check", str(setup), "--yes"], input="y\n" * 9)
        assert isinstance(result.exception, SystemExit), result.exception
        assert "Did it click" in result.output


def test_a_device_error_during_a_prompt_is_raised(
    setup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def failing(control: ManualControl, now: int) -> None:
        failed.set()
        raise OSError("the card is gone")

    with open_devices(setup_session(setup)) as control:
        monkeypatch.setattr(ManualControl, "_poll", failing)
        with pytest.raises(OSError, match="the card is gone"):
            control.poll_during(lambda: failed.wait(20.0))


@pytest.mark.parametrize("other_port", [False, True])
def test_no_valve_is_operated_by_hand_during_a_session(setup: Path, other_port: bool) -> None:
    session = setup_session(setup)
    if other_port:
        session = msgspec.structs.replace(
            session, rig=msgspec.structs.replace(session.rig, hub_port=free_port())
        )
    with RigLock(session, "a session of subject VR2"):
        with pytest.raises(Refused, match="is in use by a session of subject VR2, process"):
            calibrated(setup, 1.5)
        for command in (["flush", str(setup), "--yes"], ["check", str(setup), "--yes"]):
            assert isinstance(CliRunner().invoke(app, command).exception, Refused)
    assert (
        CliRunner().invoke(app, ["flush", str(setup), "--seconds", "0.1", "--yes"]).exit_code == 0
    )
    with open_devices(setup_session(setup)), pytest.raises(Refused, match="in use by flush"):
        RigLock(session)


def test_flushing_asks_whether_an_animal_is_present_and_shuts_the_valve(setup: Path) -> None:
    command = ["flush", str(setup), "--seconds", "0.2"]
    assert CliRunner().invoke(app, command, input="n\n").exit_code == 1
    done = CliRunner().invoke(app, command, input="y\n")
    assert "was open for 0.2 s in 2 pulses; it is closed" in done.output
    unknown = CliRunner().invoke(app, [*command, "--valve", "left"], input="y\n")
    assert "the setup has no valve left" in str(unknown.exception)


def test_calibrations_of_another_rig_or_valve_are_refused(setup: Path) -> None:
    measure(setup, setup_session(setup).rig.name, "nodes.hardware.valve.left", {"ul_per_ms": 0.1})
    with pytest.raises(Refused, match=r"has no \[nodes.hardware.valve.left\]"):
        read_setup(setup)
    measured_file(setup).unlink()
    measure(setup, "another", "nodes.hardware.valve.centre", {"ul_per_ms": 0.1})
    with pytest.raises(Refused, match="contains the calibration of rig 'another'"):
        read_setup(setup)
