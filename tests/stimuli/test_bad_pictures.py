"""A session whose pictures cannot be had is refused in one sentence, before a window opens."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.live import NO_SCREEN, SETUP, TASK
from tests.ports import free_port

RETINOTOPY = TASK.with_name("retinotopy.toml")
IMAGES = ("task.picture=image", "task.stimuli=[]")


def no_image(folder: Path) -> None:
    (folder / "shore.png").write_text("not an image")


def small(folder: Path) -> None:
    Image.new("L", (640, 480), 90).save(folder / "leaf1.png")


def nothing(folder: Path) -> None:
    (folder / ".hidden").write_text("")


@pytest.mark.parametrize(
    ("task", "make", "sets", "sentence"),
    [
        (RETINOTOPY, no_image, IMAGES, "shore.png is not an image"),
        (RETINOTOPY, nothing, IMAGES, "there is no file in"),
        (TASK, small, (), "leaf1.png has 640 by 480 pixels, too few for a wall"),
        (RETINOTOPY, no_image, ("task.stimuli=['bar_10']",), 'did you mean "bar_180"?'),
    ],
)
def test_it_is_refused(
    tmp_path: Path, task: Path, make: object, sets: tuple[str, ...], sentence: str
) -> None:
    pictures, data = tmp_path / "pictures", tmp_path / "data"
    pictures.mkdir()
    assert callable(make)
    make(pictures)
    command = [sys.executable, "-c", "from rig.cli.main import main; main()", "run", str(SETUP)]
    command += [str(task), "--subject", "test", "--data", str(data)]
    for text in (f"rig.hub_port={free_port()}", f"task.images_folder={pictures}", NO_SCREEN, *sets):
        command += ["--set", text]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    said = " ".join(run.stderr.split())
    assert run.returncode == 2, said
    assert sentence in said
    assert not data.exists()
