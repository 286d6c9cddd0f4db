"""A session with impossible screens or stimuli is refused in one sentence before it starts."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from rig.cli.chaos.session_process import free_port
from rig.settings.config import resolve
from tests.live import NO_SCREEN, SETUP, TASK

RETINOTOPY = TASK.with_name("retinotopy.toml")
IMAGES = ("task.picture=image", "task.stimuli=[]")


def no_image(folder: Path) -> None:
    (folder / "shore.png").write_text("not an image")


def small(folder: Path) -> None:
    Image.linear_gradient("L").resize((640, 480)).save(folder / "leaf1.png")


def nothing(folder: Path) -> None:
    (folder / ".hidden").write_text("")


@pytest.mark.parametrize(
    ("task", "make", "sets", "sentence"),
    [
        (RETINOTOPY, no_image, IMAGES, "shore.png is not an image"),
        (RETINOTOPY, nothing, IMAGES, "there is no file in"),
        (TASK, small, (), "leaf1.png is 640 x 480 pixels, too small for a wall"),
        (RETINOTOPY, no_image, ("task.stimuli=['bar_10']",), 'did you mean "bar_180"?'),
    ],
)
def test_bad_images_are_refused(
    tmp_path: Path, task: Path, make: object, sets: tuple[str, ...], sentence: str
) -> None:
    pictures, data = tmp_path / "pictures", tmp_path / "data"
    pictures.mkdir()
    assert callable(make)
    make(pictures)
    refused(data, task, f"task.images_folder={pictures}", *sets, sentence=sentence)


LEFT = "nodes.display.views.left={lower_left=[-20,-10,%s], lower_right=%s, upper_left=[-20,20,%s]}"


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        ((LEFT % (20, [-20, -10, -20], 10),), "screen left: its corners do not form a right angle"),
        ((LEFT % (0, [0, -10, -20], 0),), "screens left and front overlap as seen from the eye"),
        (
            ("task.stimuli=['leaf1','fern1']", "task.signals={}"),
            'stimuli of the task: "fern1" is not defined',
        ),
    ],
)
def test_impossible_screens_and_unknown_stimuli_are_refused(
    tmp_path: Path, sets: tuple[str, ...], sentence: str
) -> None:
    refused(tmp_path / "data", TASK, *sets, sentence=sentence)


def refused(data: Path, task: Path, *sets: str, sentence: str) -> None:
    """Run a session, which must be refused with that sentence and leave no folder."""
    command = [sys.executable, "-c", "from rig.cli.main import main; main()", "run", str(SETUP)]
    command += [str(task), "--subject", "test", "--data", str(data)]
    for text in (f"rig.hub_port={free_port()}", NO_SCREEN, *sets):
        command += ["--set", text]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    output = " ".join(run.stderr.split())
    assert run.returncode == 2, output
    assert sentence in output
    assert not data.exists()


def test_files_of_the_operating_system_do_not_become_stimuli(tmp_path: Path) -> None:
    for name in ("moss1.png", "Thumbs.db", "desktop.ini", ".DS_Store"):
        (tmp_path / name).write_text("")
    sets = [f"task.images_folder={tmp_path}", "task.picture=image", "task.stimuli=[]"]
    session = resolve(SETUP, RETINOTOPY, "test", 1, sets).session
    assert session.task["images_files"] == ["moss1.png"]
