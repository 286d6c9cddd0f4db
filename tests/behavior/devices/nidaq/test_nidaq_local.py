"""The local NI driver through a fake C library that can hang; the benchmarks of the devices."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.behavior.devices.bench import host_loop, nidaq, serial_board
from tests.behavior.manual.shipped_setups import shipped
from tests.live import Live

ROOT = Path(__file__).parents[4]
SESSION = """
from rig.messages import Arm, Lick, Valve, Wheel
from tests.behavior.devices.nidaq.simulated_card.rigs import card_table, tick_for, start_hardware
from tests.behavior.sessions import S, of
class Here: address = ""
table = card_table(Here())
output = {"is": "behavior.devices.nidaq:Output", "line": "port1/line3", "on": "session"}
table["outputs"] = {"sync": {**output, "board": "card"}}
published, node, clock = start_hardware(table)
tick_for(node, clock, 20)
node.handle(Arm(clock.now(), 1, clock.now() + 60 * S, "centre", "lick", 3.0))
tick_for(node, clock, 900)
node.handle(Arm(clock.now(), 1, clock.now() + 60 * S, "centre", "lick", 3.0))
tick_for(node, clock, 900)
node.close()
(lick,) = of(Lick, published)
(valve,) = of(Valve, published)
assert (valve.refused, valve.lick_t, valve.open_ms) == ("", lick.t, 60.0), valve
assert 0 <= valve.t - lick.t < 0.5 * S, valve
assert {word.counts for word in of(Wheel, published)} == {0}
print("sound")
"""


NOT_HERE = (["lick"], ["trigger"], ["sense"])
HANGS_S = "1.5"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment in which the fake driver is found."""
    if shutil.which("gcc") is None and "CI" not in os.environ:
        pytest.skip("gcc is not installed, and builds the fake driver library")
    folder = tmp_path_factory.mktemp("driver")
    library = folder / "libnidaqmx.so"
    source = ROOT / "tests" / "behavior" / "devices" / "nidaq" / "simulated_card" / "driver.c"
    flags = ["-shared", "-fPIC", "-O1", "-Wl,-soname,libnidaqmx.so"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(source)], check=True)
    return {"LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(ROOT)}


@pytest.fixture
def setup(tmp_path: Path) -> Path:
    """The shipped setup, reduced to the features of the fake driver."""
    made = shipped(
        tmp_path, "pcie63xx", ("watchdog_lines = [", "# ["), ("nidaq:ArmedValve", "nidaq:Valve")
    )
    lines = [line for line in made.read_text().splitlines() if line.split()[:1] not in NOT_HERE]
    made.write_text("\n".join(lines))
    return made


def test_a_session_with_a_local_driver(there: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SESSION],
        env={**os.environ, **there},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert ran.stdout == "sound\n", ran.stderr
    acts = ran.stderr.splitlines()
    assert acts.count("open 60.0 ms") == 1
    lines = [act for act in acts if act.startswith(("up", "down"))]
    assert lines[:2] == ["down Dev1/port1/line3", "up Dev1/port1/line3"]
    assert set(lines[2:]) == {"down Dev1/port1/line3"}
    created = sorted(act.removeprefix("create ") for act in acts if act.startswith("create"))
    cleared = sorted(act.removeprefix("clear ") for act in acts if act.startswith("clear"))
    assert created == cleared != []


def test_a_hung_call_ends_the_session_after_missed_heartbeats(
    there: dict[str, str], setup: Path, tmp_path: Path
) -> None:
    """A call of a local driver cannot be aborted; the card's counter ends the pulse."""
    env = {**there, "FAKE_HANGS_S": HANGS_S}
    calibrated = 'nodes.hardware.valve.centre.calibrated="2026-11-24"'
    by = ("--override", "a fake driver")
    with Live(tmp_path / "data", calibrated, setup=setup, args=by, env=env) as live:
        code, output = live.end()
        summary = live.summary()
    assert code == 1, output
    assert summary["end_reason"].startswith("hardware hung: no heartbeat for")


def test_a_hung_call_ends_a_calibration_with_one_sentence(
    there: dict[str, str], setup: Path
) -> None:
    verb = ["calibrate", "valve", str(setup), "--yes"]
    begun = subprocess.run(
        [sys.executable, "-c", "from rig.cli.main import main; main()", *verb],
        env={**os.environ, **there, "FAKE_HANGS_AFTER_PULSE": "1"},
        input="\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert begun.returncode == 1
    assert "a device has not answered for 5 s" in begun.stderr
    assert "open 20.0 ms" in begun.stderr


@pytest.mark.parametrize("bench", [nidaq, serial_board])
def test_the_benchmark_times_each_lick_from_its_touch(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_loop, "_LICKS", 5)
    lick_to_valve, *others = [values_ms for _, values_ms in bench.measure()]
    assert len(lick_to_valve) == 5
    assert min(lick_to_valve) > 0
    assert others
