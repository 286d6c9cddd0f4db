"""rig doctor finds the problems of a machine."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rig.cli.main import app
from rig.session.system_checks import CheckResult, SystemChecks

FILES = {
    "processor": (
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        "performance",
        "powersave",
    ),
    "USB": ("sys/bus/usb/devices/1-1/power/control", "on", "auto"),
    "compositor": ("proc/77/comm", "python3", "picom"),
}


def found(data: Path, root: Path) -> dict[str, CheckResult]:
    return {one.what: one for one in SystemChecks(data, root).look()}


@pytest.mark.parametrize("what", FILES)
def test_each_problem_is_found_with_its_remedy(what: str, tmp_path: Path) -> None:
    name, good, bad = FILES[what]
    path = tmp_path / "root" / name
    path.parent.mkdir(parents=True)
    path.write_text(f"{good}\n")
    assert found(tmp_path, tmp_path / "root")[what].good
    path.write_text(f"{bad}\n")
    lack = found(tmp_path, tmp_path / "root")[what]
    assert not lack.good
    assert lack.remedy


def test_a_folder_that_is_not_there_yet_is_measured_above_it_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    disk = found(tmp_path / "data" / "deep", tmp_path)["disk"]
    assert "MB/s" in disk.found
    assert not list(tmp_path.iterdir())


def test_the_command_prints_every_check_and_exits_with_1_if_one_is_bad(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--data", str(tmp_path)], env={"COLUMNS": "200"})
    assert ("BAD" in result.output) == (result.exit_code == 1)
    for what in ("timer", "priority", "disk", "NI driver", *FILES):
        assert what in result.output
