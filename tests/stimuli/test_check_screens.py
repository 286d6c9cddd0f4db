"""rig check screens and rig calibrate screen."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from rig.cli.main import app
from rig.errors import Refused
from rig.settings.config import read_setup
from stimuli.screens.calibration_pattern import pattern
from stimuli.screens.gamma import read_gamma
from stimuli.screens.screen_geometry import THREE_VIEWS, load_screens
from stimuli.screens.window_layout import compute_layout
from tests.live import SETUP


@pytest.fixture
def setup(tmp_path: Path) -> Path:
    """Return a copy of a shipped setup, because calibrations are written beside it."""
    for path in (SETUP, SETUP.with_name("simulated_cells.csv")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / SETUP.name


def with_simulated_screen(setup: Path) -> Path:
    text = setup.read_text().replace("window:PsychopyScreen", "window:SimulatedScreen")
    text = text.replace("patch_px", "# patch_px")
    setup.write_text(text)
    return setup


def test_the_lines_of_the_pattern_are_at_their_angles() -> None:
    shown = load_screens(THREE_VIEWS, {})
    row = pattern(shown, compute_layout(shown, (400, 300)))[120, :, 0]
    bold = np.flatnonzero((row == 200) & (np.r_[0, row[:-1]] != 200))
    front = 600 + 200 * np.tan(np.radians([-30, 0, 30]))
    side = 1000 + 200 * np.tan(np.radians([-30, 0, 30]))
    for column in (*front, *side):
        assert np.abs(bold - column).min() <= 2
    assert (
        pattern(shown, compute_layout(shown, (400, 300)))[200, 10:100, 0] == 200
    ).all()  # the horizon


@pytest.mark.usefixtures("window")
def test_check_screens_saves_what_it_shows(setup: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["check", "screens", str(setup), "--seconds", "0.5", "--png", str(tmp_path / "p.png")]
    )
    assert result.exit_code == 0, result.output
    assert "-135 to -45" in result.output
    picture = np.array(Image.open(tmp_path / "p.png"))
    shown = load_screens(THREE_VIEWS, {})
    wanted = pattern(shown, compute_layout(shown, (400, 300)))
    assert (picture[:270] == wanted[:270]).all()
    assert (picture[-24:, :24] == picture[-1, 0]).all()


def test_a_calibration_is_stored_with_its_date_and_used_from_then_on(setup: Path) -> None:
    setup = with_simulated_screen(setup)
    typed = "".join(f"{0.3 + 100 * (k / 4) ** 2.2}\n" for k in range(5))
    command = ["calibrate", "screen", str(setup), "--screen", "left", "--levels", "5"]
    result = CliRunner().invoke(app, command, input=typed)
    assert result.exit_code == 0, result.output
    name = read_setup(setup)["nodes"]["display"]["views"]["left"]["gamma_file"]
    table = read_gamma(setup.parent / name, "left")
    assert table[:, 0] == pytest.approx(np.linspace(0, 1, 5), abs=0.01)
    assert table[-1, 1] == pytest.approx(100.3)
    again = CliRunner().invoke(app, command, input=typed)
    assert isinstance(again.exception, Refused)
    assert "exists already" in str(again.exception)
    checked = CliRunner().invoke(app, ["check", "screens", str(setup), "--seconds", "0.5"])
    assert "measured" in checked.output


@pytest.mark.parametrize(
    ("screen", "typed", "sentence"),
    [
        ("top", "", "choose one of left, front, right"),
        ("left", "1\n3\n2\n4\n", "the luminance does not rise with the level"),
    ],
)
def test_an_impossible_calibration_writes_nothing(
    screen: str, typed: str, sentence: str, setup: Path
) -> None:
    command = [
        "calibrate",
        "screen",
        str(with_simulated_screen(setup)),
        "--screen",
        screen,
        "--levels",
        "4",
    ]
    result = CliRunner().invoke(app, command, input=typed)
    assert isinstance(result.exception, Refused)
    assert sentence in str(result.exception)
    assert not [*setup.parent.glob("*gamma*"), *setup.parent.glob("*.measured.toml")]


@pytest.mark.skipif(sys.platform != "linux", reason="there is a backdrop on Linux alone")
@pytest.mark.parametrize("display", [":7777", "nowhere:0", "nonsense"])
def test_the_backdrop_cannot_be_removed_without_an_x_server(setup: Path, display: str) -> None:
    """In a separate process, because this was once a segmentation fault."""
    code = "from rig.cli.main import main; main()"
    command = [sys.executable, "-c", code, "check", "screens", str(setup), "--desktop"]
    environment = {**os.environ, "DISPLAY": display}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    assert f"no X server answers at DISPLAY = {display}" in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_without_a_display_there_is_no_backdrop(
    setup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    result = CliRunner().invoke(app, ["check", "screens", str(setup), "--desktop"])
    assert result.exit_code == 0
    assert "there is no backdrop to remove" in result.output
