"""Missing and old calibrations; calibrating a wheel or ball by whole turns."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from behavior.devices.simulated import devices
from behavior.water.calibration_age import stale_calibrations
from behavior.water.water_checks import WaterChecks
from rig.cli.chaos.session_process import free_port
from rig.cli.main import app
from rig.errors import Refused
from rig.messages import Fault, Message, Start
from rig.settings.config import read_setup
from tests.behavior import scripted
from tests.behavior.sessions import hardware, of

MOUSE = {"is": "tests.behavior.scripted:Mouse"}
WATER = {"cohort": "task", "water_for": ["task"], "spout": "centre", "reward_ul": 3.0}


def _valve(calibrated: str) -> scripted.Valve:
    return scripted.Valve(scripted.Valve.Settings(calibrated=calibrated), "centre", None)


def _wheel(calibrated: str) -> scripted.Wheel:
    return scripted.Wheel(scripted.Wheel.Settings(calibrated=calibrated), "wheel", None)


def test_a_real_valve_needs_a_calibration() -> None:
    lick = scripted.Lick(scripted.Lick.Settings(), "centre", None)

    def checks(calibrated: str) -> WaterChecks:
        return WaterChecks({"centre": lick}, {"centre": _valve(calibrated)}, 150.0)

    with pytest.raises(Refused, match="valve centre was never calibrated"):
        checks("").check(WATER)
    with pytest.raises(Refused, match="is not a date"):
        checks("yesterday").check(WATER)
    checks("2026-11-01").check(WATER)


def test_old_calibrations_of_valve_and_wheel_cause_warnings() -> None:
    today = date(2026, 11, 24)
    fresh, old = (today - timedelta(30)).isoformat(), (today - timedelta(31)).isoformat()
    assert stale_calibrations(_wheel(fresh), {"centre": _valve(fresh)}, today) == []
    valve, wheel = stale_calibrations(_wheel(old), {"centre": _valve(old)}, today)
    assert "valve centre was calibrated 31 days ago" in valve
    assert "rig calibrate valve SETUP --valve centre" in valve
    assert "the wheel was calibrated 31 days ago" in wheel
    assert "rig calibrate wheel SETUP" in wheel
    (never,) = stale_calibrations(_wheel(""), {}, today)
    assert "the wheel was never calibrated" in never
    settings = devices.Wheel.Settings(cm_per_count=0.1)
    bench = devices.Board(devices.Board.Settings(mouse=MOUSE), "bench")
    assert stale_calibrations(devices.Wheel(settings, "wheel", bench), {}, today) == []


def test_the_driver_warns_of_old_calibrations_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a session that has begun reserves water in the current folder
    published: list[Message] = []
    on = {"board": "b"}
    table = {
        "boards": {"b": {"is": "tests.behavior.scripted:Board"}},
        "wheel": {"is": "tests.behavior.scripted:Wheel", "calibrated": "2026-01-01", **on},
    }
    node, _ = hardware(table, published.append)
    node.handle(Start(7, {"began": "2026-11-24T10:00:00", "task": {}, "seed": 1}))
    node.close()
    (fault,) = of(Fault, published)
    assert "the wheel was calibrated 327 days ago" in fault.text


@pytest.mark.parametrize("mounted", [1, -1])
def test_a_ball_is_calibrated_in_both_directions(
    mounted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = tmp_path / "ball.toml"
    setup.write_text(f"""
[rig]
name = "ball"
hub_port = {free_port()}
disk_mb_s = 0.1
[nodes.hardware]
run = "behavior.hardware"
boards.b = {{ is = "tests.behavior.scripted:Board" }}
wheel = {{ is = "tests.behavior.scripted:Ball", cm_per_count = 0.5, side_cm_per_count = 0.5, \
board = "b" }}
""")
    command = ["calibrate", "wheel", str(setup), "--around-cm", "50", "--turns", "2"]
    still = CliRunner().invoke(app, command, input="\n" * 4)
    assert "2 turns gave 0 counts" in str(still.exception)
    assert read_setup(setup)["nodes"]["hardware"]["wheel"]["cm_per_count"] == 0.5
    turned = {"FORWARD": 0, "RIGHT": 0}

    def by_hand(text: str, **keys: Any) -> str:
        turned["FORWARD"] += 400 * mounted * ("FORWARD by 2 turns" in text)
        turned["RIGHT"] += 200 * mounted * ("RIGHT by 2 turns" in text)
        return ""

    monkeypatch.setattr(typer, "prompt", by_hand)
    monkeypatch.setattr(scripted.Ball, "counts", lambda *_: turned["FORWARD"])
    monkeypatch.setattr(scripted.Ball, "side_counts", lambda *_: turned["RIGHT"])
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    found = read_setup(setup)["nodes"]["hardware"]["wheel"]
    assert found["cm_per_count"] == pytest.approx(mounted * 100 / 400)
    assert found["side_cm_per_count"] == pytest.approx(mounted * 100 / 200)
    assert found["calibrated"] == date.today().isoformat()
