"""A session with impossible screens or stimuli is refused in one sentence before it starts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from rig.cli.chaos.session_process import free_port
from rig.settings.config import resolve
from tests.live import NO_SCREEN, SETUP, TASK, Live
from tests.refusals import Try

RETINOTOPY = TASK.with_name("retinotopy.toml")
Make = Callable[[Path], None]
IMAGES = ("task.picture=image", "task.stimuli=[]")


def images(folder: Path, make: Make) -> str:
    """Make a folder of images; return the setting that names it."""
    pictures = folder / "pictures"
    pictures.mkdir()
    make(pictures)
    return f"task.images_folder={pictures}"


def no_image(folder: Path) -> None:
    (folder / "shore.png").write_text("not an image")


def small(folder: Path) -> None:
    Image.linear_gradient("L").resize((640, 480)).save(folder / "leaf1.png")


def nothing(folder: Path) -> None:
    (folder / ".hidden").write_text("")


@pytest.mark.parametrize(
    ("make", "sets", "sentence"),
    [
        (nothing, IMAGES, "there is no file in"),
        (no_image, ("task.stimuli=['bar_10']",), 'did you mean "bar_180"?'),
    ],
)
def test_a_folder_without_the_stimuli_of_the_task_is_refused(
    attempt: Try, tmp_path: Path, make: Make, sets: tuple[str, ...], sentence: str
) -> None:
    assert sentence in attempt(*options(images(tmp_path, make), *sets), task=RETINOTOPY)


@pytest.mark.session
@pytest.mark.parametrize(
    ("task", "make", "sets", "sentence"),
    [
        (RETINOTOPY, no_image, IMAGES, "shore.png is not an image"),
        (TASK, small, (), "leaf1.png is 640 x 480 pixels, too small for a wall"),
    ],
)
def test_images_that_the_display_cannot_show_are_refused(
    tmp_path: Path, task: Path, make: Make, sets: tuple[str, ...], sentence: str
) -> None:
    data = tmp_path / "data"
    with Live(data, NO_SCREEN, images(tmp_path, make), *sets, task=task) as live:
        code, output = live.end()
    assert code == 2, output
    assert sentence in " ".join(output.split())
    assert not data.exists()


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
    attempt: Try, sets: tuple[str, ...], sentence: str
) -> None:
    assert sentence in attempt(*options(*sets))


def options(*sets: str) -> list[str]:
    """Return the options of `rig run` that change these settings."""
    sets = (f"rig.hub_port={free_port()}", *sets)
    return [option for text in sets for option in ("--set", text)]


def test_files_of_the_operating_system_do_not_become_stimuli(tmp_path: Path) -> None:
    for name in ("moss1.png", "Thumbs.db", "desktop.ini", ".DS_Store"):
        (tmp_path / name).write_text("")
    sets = [f"task.images_folder={tmp_path}", "task.picture=image", "task.stimuli=[]"]
    session = resolve(SETUP, RETINOTOPY, "test", 1, sets).session
    assert session.task["images_files"] == ["moss1.png"]
