"""What a task wants shown: known names only, and no name with two pictures."""

from typing import Any

import pytest

from rig.errors import Refused
from stimuli.scene.task_stimuli import Wanted, wanted

IMAGES = {"picture": "image", "images_folder": "files/a", "images_files": ["y.png", "x.jpg"]}


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({}, Wanted()),
        ({"stimuli": ["leaf1", "rock2"]}, Wanted(("leaf1", "rock2"))),
        ({"stimuli": ["leaf1"], "images_folder": "files/own"}, Wanted(("leaf1",), "files/own")),
        ({**IMAGES}, Wanted(images={"x": "files/a", "y": "files/a"})),
        ({**IMAGES, "stimuli": ["y"]}, Wanted(images={"y": "files/a"})),
        ({"picture": "bar", "stimuli": ["bar_0", "bar_270"]}, Wanted(bars=True)),
        ({"picture": "grey"}, Wanted()),
        (
            {
                "stimuli": ["leaf1"],
                "blocks": [{}, {**IMAGES, "stimuli": []}, {"stimuli": ["leaf2"]}],
            },
            Wanted(("leaf1", "leaf2"), images={"x": "files/a", "y": "files/a"}),
        ),
    ],
)
def test_every_block_gets_what_it_shows(task: dict[str, Any], expected: Wanted) -> None:
    assert wanted(task) == expected


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ({"stimuli": ["laef1"]}, r'stimuli without a picture: "laef1"; did you mean "leaf1"\?'),
        (
            {"picture": "bar", "stimuli": ["bar_45"]},
            r'bars without a picture: "bar_45"; did .*bar_',
        ),
        ({**IMAGES, "stimuli": ["z"]}, r'images of files/a without a picture: "z".*are: x, y'),
        ({"blocks": [{"stimuli": ["leaf1"]}, {"stimuli": ["fern"]}]}, '"fern"'),
        (
            {"blocks": [{**IMAGES}, {**IMAGES, "images_folder": "files/b"}]},
            "x comes from files/a in one block and from files/b in another",
        ),
        (
            {"blocks": [{"stimuli": [f"leaf{n}"], "images_folder": f"files/{n}"} for n in (1, 2)]},
            "photographs come from files/1 and files/2; put them into one folder",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused(task: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        wanted(task)
