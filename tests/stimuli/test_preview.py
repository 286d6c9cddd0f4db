"""rig preview: every stimulus of a task in a PNG and in a window, or one error sentence."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from rig.cli.main import app
from rig.errors import Refused
from tests.live import SETUP, TASK
from tests.stimuli.test_photographs import photograph
from tests.stimuli.xserver import on_screen, xvfb

CAPTION_PX = 20
GREY_ON_AN_ORDINARY_MONITOR = 255 * (128 / 255) ** (1 / 2.2)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["preview", *map(str, arguments)])


def rows(path: Path) -> NDArray[np.uint8]:
    """Return the images in a preview on the simulated rig: stimuli x 300 x 1200 x 3."""
    sheet = np.asarray(Image.open(path))
    assert sheet.shape[1:] == (1200, 3)
    return sheet.reshape(-1, 300 + CAPTION_PX, 1200, 3)[:, CAPTION_PX:]


@pytest.mark.usefixtures("window")
def test_every_corridor_is_shown_as_on_an_ordinary_monitor(tmp_path: Path) -> None:
    result = run(TASK, "--png", tmp_path / "p.png")
    assert result.exit_code == 0, result.output
    leaf, circle = rows(tmp_path / "p.png")
    for image in (leaf, circle):
        ahead = image[10:40, 560:640]  # above the far end of the walls
        assert ahead == pytest.approx(np.full_like(ahead, 186), abs=2)
        assert image[:, :400].std() > 20
    assert np.abs(leaf.astype(int) - circle).mean() > 10
    assert pytest.approx(GREY_ON_AN_ORDINARY_MONITOR, abs=1) == 186


@pytest.mark.usefixtures("window")
def test_the_position_is_chosen(tmp_path: Path) -> None:
    for name, at in (("a", 1.0), ("b", 5.0)):
        run(TASK, "--png", tmp_path / f"{name}.png", "--at", at)
    near, gone = rows(tmp_path / "a.png")[0], rows(tmp_path / "b.png")[0]
    assert near[:, :400].std() > 20
    assert gone[:, :400].std() < 1  # beyond the texture there is grey


@pytest.mark.usefixtures("window")
def test_a_photograph_is_shown_as_a_stimulus_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    photograph(tmp_path / "photos" / "moss1.png", (2400, 400))
    (tmp_path / "photos" / "Thumbs.db").write_text("")
    task = tmp_path / "own.toml"
    text = TASK.read_text().replace("circle1", "moss1")
    task.write_text('images_folder = "photos"\n' + text)
    result = run(task, "--png", tmp_path / "p.png")
    assert result.exit_code == 0, result.exception
    leaf, moss = rows(tmp_path / "p.png")
    assert moss[:, :400].std() > 20
    assert np.abs(leaf.astype(int) - moss).mean() > 10


@pytest.mark.usefixtures("window")
def test_bars_images_and_grey_are_shown(tmp_path: Path) -> None:
    retinotopy, spontaneous = (TASK.with_name(f"{n}.toml") for n in ("retinotopy", "spontaneous"))
    assert run(retinotopy, "--png", tmp_path / "bars.png").exit_code == 0
    bars = rows(tmp_path / "bars.png")
    assert len(bars) == 4
    assert {0, 255} < set(np.unique(bars[0]).tolist())
    assert run(spontaneous, "--png", tmp_path / "grey.png").exit_code == 0
    assert rows(tmp_path / "grey.png").std() < 1
    (tmp_path / "images").mkdir()
    photograph(tmp_path / "images" / "shore.png", (900, 700))
    sets = [f"task.images_folder={tmp_path / 'images'}", "task.picture=image", "task.stimuli=[]"]
    options = [argument for text in sets for argument in ("--set", text)]
    assert run(retinotopy, "--png", tmp_path / "image.png", *options).exit_code == 0
    (shore,) = rows(tmp_path / "image.png")
    assert shore.std() > 20


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing.toml"], r"nothing\.toml cannot be read"),
        ([SETUP], "name the setup first|is a setup"),
        ([TASK, "--at", "6"], r"--at 6: the corridor of leaf1 is 6 m long"),
        ([TASK, "--set", "task.stimuli=['laef1','circle1']"], "laef1"),
        ([TASK, "--set", "task.images_folder=nowhere"], "nowhere"),
        ([TASK, "--set", "nodes.display.refresh_hz=fast"], "refresh_hz"),
        ([TASK, "--setup", TASK], r"train1\.toml"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(
    arguments: list[object], sentence: str, tmp_path: Path
) -> None:
    result = run(*arguments, "--png", tmp_path / "p.png")
    assert isinstance(result.exception, Refused), result.output
    assert re.search(sentence, str(result.exception))
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "p.png").exists()


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("name", ["p.docx", "no folder/p.png"])
def test_a_file_that_cannot_be_written_is_refused(name: str, tmp_path: Path) -> None:
    result = run(TASK, "--png", tmp_path / name)
    assert isinstance(result.exception, Refused), result.output
    assert "cannot be written" in str(result.exception)


@pytest.mark.parametrize("text", ["one", "1,5", "-1"])
def test_a_position_that_is_not_a_number_is_refused(text: str) -> None:
    result = run(TASK, "--at", text)
    assert result.exit_code == 2
    assert "--at" in result.output


@pytest.mark.usefixtures("window")
def test_where_there_is_a_screen_the_corridor_runs_in_a_window(tmp_path: Path) -> None:
    if shutil.which("Xvfb") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Xvfb is missing: apt-get install xvfb")
        pytest.skip("Xvfb is missing: apt-get install xvfb")
    command = [sys.executable, "-c", "from rig.cli.main import main; main()", "preview", str(TASK)]
    command += ["--png", str(tmp_path / "p.png"), "--seconds", "120"]
    with xvfb(tmp_path, 1280, 320) as display:
        environment = {**os.environ, "DISPLAY": display}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as shown:
            assert shown.stdout is not None
            assert "saved to" in shown.stdout.readline()
            first = on_screen(tmp_path)[:300, :400].astype(int)
            while np.abs(on_screen(tmp_path)[:300, :400] - first).mean() < 1:
                assert shown.poll() is None
            assert on_screen(tmp_path)[:300, :400].std() > 20
            shown.kill()
