"""The display with the real window: the image after each message."""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from rig.clock import SetClock
from rig.messages import Message, Position, TrialEnd, TrialStart
from stimuli.display import Display
from stimuli.photodiode.patch_code import encode
from stimuli.textures.names import GREY


@pytest.fixture(scope="module")
def node(window: None) -> Iterator[Display]:
    published: list[Message] = []
    table = {"screen": {"is": "stimuli.window:PsychopyScreen", "patch_px": 20}}
    node = Display(msgspec.convert(table, Display.Settings), published.append)
    node.clock = SetClock()
    node.check({"stimuli": ["leaf1", "circle1", "leaf2"]})
    node.open()
    yield node
    node.close()


def after(node: Display, *messages: Message) -> NDArray[Any]:
    """Handle messages, tick, and return the image without the rows of the patch."""
    for message in messages:
        node.handle(message)
    node.tick(0)
    return node.screen.read_pixels()[:-20].astype(float)


def start(trial: int, stimulus: str, following: str) -> TrialStart:
    return TrialStart(0, trial, stimulus, following, False, 4.0, 2.0, 2.0, "none", 0.0)


def at(trial: int, position_m: float) -> Position:
    return Position(0, trial, position_m, 60.0, True, "corridor")


def test_nothing_jumps_where_one_trial_becomes_the_next(node: Display) -> None:
    moved = after(node, start(0, "leaf1", "circle1"), at(0, 5.98))
    before = after(node, at(0, 5.99999))
    ended = after(node, TrialEnd(0, 0, "done"))
    begun = after(node, start(1, "circle1", "leaf2"), at(1, 0.00001))
    assert np.array_equal(before, ended)
    assert np.abs(before - begun).mean() < 0.05 * np.abs(before - moved).mean()
    assert before.std() > 10


def test_a_pause_is_grey_all_over(node: Display) -> None:
    assert after(node, start(2, "leaf2", "leaf1"), at(2, 1.0)).std() > 10
    paused = Position(0, -1, 0.0, 0.0, False, "paused")
    assert (after(node, TrialEnd(0, 2, "aborted"), paused) == GREY).all()


def test_the_patch_toggles_and_stays_in_its_corner(node: Display) -> None:
    node.handle(Position(0, -1, 0.0, 0.0, False, "paused"))
    levels = []
    first = node._flip_number
    for _ in range(4):
        node.tick(0)
        picture = node.screen.read_pixels()
        assert np.ptp(picture[-20:, :20]) == 0
        assert (picture[-20:, 20:] == GREY).all()
        levels.append(int(picture[-1, 0, 0]))
    assert levels == [255 * encode(number) for number in range(first, first + 4)]
