"""The commands check, calibrate and flush on every simulated board, and how they end."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from behavior.devices.harp import connection
from behavior.manual.manual_control import open_devices
from rig.cli.bringup import device_walkthrough
from rig.cli.bringup.setup_argument import setup_session
from rig.cli.main import app
from rig.settings.calibration_overlay import measured_file
from rig.settings.toml import read_toml
from tests.behavior.manual.shipped_setups import BENCHES, Bench, moved

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
Make = Callable[..., Bench]
OTHERS = tuple(f"[nodes.hardware.{kind}" for kind in ("wheel", "lick", "lines", "cameras"))
_PATIENCE_S = 60.0
boards = pytest.mark.parametrize("board", BENCHES)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Return a function that makes a board by its name; all are closed at the end."""
    monkeypatch.setattr(connection, "_ONCE_TIMEOUT_S", 10.0)  # emulated, on a busy machine
    made: list[Bench] = []

    def one(name: str, looped: bool = False) -> Bench:
        made.append(BENCHES[name](tmp_path, looped))
        return made[-1]

    yield one
    for bench in made:
        bench.close()


def _rig(typed: str, *arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments), input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@boards
def test_the_walkthrough_passes_on_a_working_board(board: str, make: Make) -> None:
    bench = make(board)
    with moved(bench):
        done = _rig("y\n" * 9, "check", str(bench.setup))
    kept = read_toml(bench.setup.with_name(f"{bench.setup.stem}.checked.toml"))["results"]
    assert done.exit_code == 0, done.output
    expected = {"wheel", "lick centre", "valve centre", "line frame_clock", "output trial_sync"}
    assert expected <= set(kept)
    assert board == "behavior" or kept["camera face"] == "pass: exposures were counted"
    assert {found.partition(":")[0] for found in kept.values()} == {"pass"}
    assert bench.openings_ms() == pytest.approx([30.0] * 3, abs=0.01)
    assert not bench.is_up()


@boards
def test_the_loopback_is_measured_on_a_board(
    board: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_walkthrough, "_LOOPS", 10)
    monkeypatch.setattr(device_walkthrough, "_LOOP_LATE_MS", 60.0)  # on a busy machine
    monkeypatch.setattr(device_walkthrough, "_LOOP_EARLY_MS", 60.0)
    bench = make(board, looped=True)
    done = _rig("y\n", "check", str(bench.setup), "--loopback")
    kept = read_toml(bench.setup.with_name(f"{bench.setup.stem}.checked.toml"))["results"]
    assert kept["loop centre"].startswith("pass: 10 of 10 came back"), done.output
    assert bench.openings_ms() == pytest.approx([10.0] * 10, abs=0.01)


@boards
def test_a_valve_is_calibrated_on_a_board(board: str, make: Make) -> None:
    bench = make(board)
    lengths = [text for ms in ("4", "5", "6") for text in ("--open-ms", ms)]
    typed = "y\n" + "".join(f"\n{mass}\n" for mass in (1.0, 1.5, 2.0))
    done = _rig(typed, "calibrate", "valve", str(bench.setup), "--pulses", "10", *lengths)
    assert "0.0500 ul/ms after a dead time of 2.0 ms" in done.output
    found = read_toml(measured_file(bench.setup))["nodes"]["hardware"]["valve"]["centre"]
    assert found["ul_per_ms"] == pytest.approx(0.05)
    opened = bench.openings_ms()
    assert opened == pytest.approx([4.0] * 10 + [5.0] * 10 + [6.0] * 10, abs=0.01)


@boards
@pytest.mark.parametrize("verb", ["check", "calibrate", "flush"])
def test_no_valve_opens_if_an_animal_is_present(board: str, verb: str, make: Make) -> None:
    bench = make(board)
    part = ["valve"] if verb == "calibrate" else []
    assert _rig("n\n", verb, *part, str(bench.setup)).exit_code == 1
    assert bench.openings_ms() == []
    assert not bench.is_open()


@pytest.mark.parametrize(
    ("board", "how"),
    [
        *itertools.product(BENCHES, [signal.SIGTERM, signal.SIGKILL]),
        ("behavior", signal.SIGHUP),
    ],
)
def test_a_calibration_ended_in_mid_pulse_leaves_the_valve_shut(
    board: str, how: signal.Signals, make: Make
) -> None:
    bench = make(board)
    verb = ["calibrate", "valve", str(bench.setup), "--open-ms", "140", "--yes"]
    command = [sys.executable, "-c", "from rig.cli.main import main; main()", *verb]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=ROOT) as process:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        try:
            _until(lambda: bench.is_open() or process.poll() is not None)
            assert process.poll() is None
            os.kill(process.pid, how)
            code = process.wait(_PATIENCE_S)
        finally:
            process.kill()
    was_asked = how is not signal.SIGKILL
    assert code == (128 + how if was_asked else -how)
    if was_asked:
        assert not bench.is_open()
    _until(lambda: not bench.is_open())
    opened = bench.openings_ms()
    assert opened[-1] < 139.0 if was_asked else opened[-1] == pytest.approx(140.0, abs=0.01)
    seen = len(opened)
    time.sleep(0.3)
    assert len(bench.openings_ms()) == seen


def _until(seen: Callable[[], bool]) -> None:
    patience = time.monotonic() + _PATIENCE_S
    while not seen():
        assert time.monotonic() < patience, "it never came"
        time.sleep(0.005)


def test_the_watchdog_is_reset_while_a_person_answers(make: Make) -> None:
    bench = make("nidaq")
    text = bench.setup.read_text().replace("watchdog_s = 1.0 ", "watchdog_s = 0.3 ")
    kept = [part for part in text.split("\n\n") if not part.startswith(OTHERS)]
    wheel = '[nodes.hardware.wheel]\nis = "tests.behavior.scripted:Wheel"\nboard = "other"'
    other = '[nodes.hardware.boards.other]\nis = "tests.behavior.scripted:Board"'
    bench.setup.write_text("\n\n".join([*kept, wheel, other]))
    with open_devices(setup_session(bench.setup)) as control:
        control.poll_for(0.7)
        control.poll_during(lambda: time.sleep(0.7))
        assert list(control.pulses("centre", 30.0, 2))
    assert bench.openings_ms() == pytest.approx([30.0] * 2, abs=0.01)
