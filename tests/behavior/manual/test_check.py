"""The walkthrough of a rig, with typed answers and scripted devices."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rig.cli.bringup import check, device_walkthrough
from rig.cli.chaos.session_process import free_port
from rig.cli.main import app
from rig.settings.toml import read_toml

pytestmark = pytest.mark.usefixtures("own_locks")
SCRIPTED = "tests.behavior.scripted"
SIMULATED = "behavior.devices.simulated.devices"


def make_setup(tmp_path: Path, wired: str) -> Path:
    setup = tmp_path / "bench.toml"
    setup.write_text(f"""
[rig]
name = "bench"
hub_port = {free_port()}
disk_mb_s = 0.1
[nodes.hardware]
run = "behavior.hardware"
boards.b = {{ is = "{SCRIPTED}:Board"{wired} }}
wheel = {{ is = "{SCRIPTED}:Wheel", board = "b" }}
lick.centre = {{ is = "{SCRIPTED}:Lick", board = "b" }}
valve.centre = {{ is = "{SCRIPTED}:Valve", board = "b" }}
""")
    return setup


def checked(setup: Path, *options: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["check", str(setup), *options], input=typed)


def test_the_loopback_of_valve_and_lick_line_is_measured_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = make_setup(tmp_path, ", wired_ms = 1.5")
    monkeypatch.setattr(device_walkthrough, "_LOOPS", 10)
    result = checked(setup, "--loopback", typed="y\n")
    assert result.exit_code == 0, result.output
    kept = read_toml(tmp_path / "bench.checked.toml")
    assert kept["rig"] == "bench"
    assert kept["results"]["loop centre"].startswith("pass: 10 of 10 came back, p50 1.50 ms")


@pytest.mark.parametrize("wired", ["", ", wired_ms = 12.0"])
def test_an_open_or_late_loopback_fails(
    tmp_path: Path, wired: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_walkthrough, "_LOOPS", 5)
    result = checked(make_setup(tmp_path, wired), "--loopback", "--yes")
    assert result.exit_code == 1
    assert "fail" in read_toml(tmp_path / "bench.checked.toml")["results"]["loop centre"]


def test_missing_signals_and_answers_of_no_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_walkthrough, "_WAIT_S", 0.05)
    result = checked(make_setup(tmp_path, ""), typed="y\nn\n")
    assert result.exit_code == 1
    results = read_toml(tmp_path / "bench.checked.toml")["results"]
    assert results["wheel"] == "fail: it did not move; check the encoder's plug"
    assert results["lick centre"].startswith("fail: nothing was seen")
    assert results["valve centre"] == "fail: denied by the operator"


def test_a_working_rig_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = tmp_path / "simulated.toml"
    on = 'board = "bench"'
    setup.write_text(f"""
[rig]
name = "simulated"
hub_port = {free_port()}
disk_mb_s = 0.1
[nodes.hardware]
run = "behavior.hardware"
boards.bench = {{ is = "{SIMULATED}:Board", mouse = {{ is = "behavior.animals:SimulatedMouse", \
idle_bursts_per_min = 60.0 }} }}
wheel = {{ is = "{SIMULATED}:Wheel", cm_per_count = 0.0135, {on} }}
lick.centre = {{ is = "{SIMULATED}:Lick", {on} }}
valve.centre = {{ is = "{SIMULATED}:Valve", ul_per_ms = 0.05, {on} }}
outputs.sync = {{ is = "{SIMULATED}:Output", on = "trial", {on} }}
cameras.face = {{ is = "{SIMULATED}:Camera", {on} }}
[nodes.display]
run = "stimuli.display"
refresh_hz = 60.0
screen = {{ is = "stimuli.window:SimulatedScreen", size_px = [400, 300] }}
""")
    monkeypatch.setattr(check, "_PATTERN_S", 0.5)
    result = checked(setup, typed="y\n" * 7)
    assert result.exit_code == 0, result.output
    results = read_toml(tmp_path / "simulated.checked.toml")["results"]
    assert {text.split(":")[0] for text in results.values()} == {"pass"}
    devices = {"wheel", "lick centre", "valve centre", "camera face", "output sync"}
    assert set(results) == {*devices, "screens"}
    (tmp_path / "simulated.checked.toml").unlink()
    stopped = checked(setup, typed="y\n" * 3)  # no answer to whether the pattern is to be shown
    assert stopped.output.rstrip().endswith("Aborted."), stopped.output
    assert set(read_toml(tmp_path / "simulated.checked.toml")["results"]) == devices


def test_a_ball_mounted_the_other_way_round_passes_if_its_calibration_is_negative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_walkthrough, "_WAIT_S", 0.05)
    setup = make_setup(tmp_path, ", turning = -40")
    text = setup.read_text().replace(f"{SCRIPTED}:Wheel", f"{SCRIPTED}:Ball")
    results = []
    for sign in ("-", ""):
        on = f"wheel = {{ side_cm_per_count = {sign}0.5, cm_per_count = {sign}0.5, is"
        setup.write_text(text.replace("wheel = { is", on))
        checked(setup, typed="y\nn\n")
        kept = read_toml(tmp_path / "bench.checked.toml")["results"]
        results.append([kept[what].partition(":")[0] for what in ("wheel", "ball")])
    assert results == [["pass", "pass"], ["fail", "fail"]]
