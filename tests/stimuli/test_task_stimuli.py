"""The stimuli of a task: only defined ones, and only one source for each name."""

from typing import Any

import pytest

from rig.errors import Refused
from stimuli.scene.task_stimuli import TaskStimuli, task_stimuli

IMAGES = {"picture": "image", "images_folder": "files/a", "images_files": ["y.png", "x.jpg"]}
PHOTOS = {"images_folder": "files/own", "images_files": ["moss1.jpg", "Rock.1.jpg"]}
SWAP = ("moss1_swap1", "leaf2")


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({}, TaskStimuli()),
        ({"stimuli": ["leaf1", "rock2"]}, TaskStimuli(("leaf1", "rock2"))),
        (
            {"stimuli": ["leaf1"], "images_folder": "files/own"},
            TaskStimuli(("leaf1",), "files/own"),
        ),
        ({**IMAGES}, TaskStimuli(images={"x": "files/a", "y": "files/a"})),
        ({**IMAGES, "stimuli": ["y"]}, TaskStimuli(images={"y": "files/a"})),
        ({"picture": "bar", "stimuli": ["bar_0", "bar_270"]}, TaskStimuli(bars=True)),
        ({"picture": "grey"}, TaskStimuli()),
        ({"stimuli": ["moss1"], **PHOTOS}, TaskStimuli(("moss1",), "files/own")),
        ({"stimuli": ["moss1_swap1", "leaf2"], **PHOTOS}, TaskStimuli(SWAP, "files/own")),
        (
            {
                "stimuli": ["leaf1"],
                "blocks": [{}, {**IMAGES, "stimuli": []}, {"stimuli": ["leaf2"]}],
            },
            TaskStimuli(("leaf1", "leaf2"), images={"x": "files/a", "y": "files/a"}),
        ),
    ],
)
def test_the_stimuli_of_all_blocks_are_collected(
    task: dict[str, Any], expected: TaskStimuli
) -> None:
    assert task_stimuli(task) == expected


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (
            {"stimuli": ["laef1"]},
            r'of the task: "laef1" is not defined; did you mean "leaf1"\?',
        ),
        (
            {"picture": "bar", "stimuli": ["bar_45"]},
            r'bars of the task: "bar_45" is not defined; did .*bar_',
        ),
        (
            {**IMAGES, "stimuli": ["z"]},
            r'in files/a: "z" is not defined; choose from: x, y',
        ),
        ({"blocks": [{"stimuli": ["leaf1"]}, {"stimuli": ["fern"]}]}, '"fern"'),
        ({"stimuli": ["moss2"], **PHOTOS}, 'did you mean "moss1"'),
        ({"stimuli": ["leaf1"], **PHOTOS}, r"none of the photographs in files/own \(Rock.1, moss1"),
        ({"stimuli": ["rock1", "moss1"], **PHOTOS}, 'photograph "Rock.1" .*rename it to "rock1"'),
        (
            {"blocks": [{**IMAGES}, {**IMAGES, "images_folder": "files/b"}]},
            '"x" comes from files/a in one block and from files/b in another',
        ),
        (
            {"blocks": [{"stimuli": [f"leaf{n}"], "images_folder": f"files/{n}"} for n in (1, 2)]},
            r"several folders \(files/1 and files/2\); put them into one folder",
        ),
    ],
)
def test_undefined_and_ambiguous_stimuli_are_refused(task: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        task_stimuli(task)
