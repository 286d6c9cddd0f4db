"""Corridors of any length in the real window: nothing jumps, pops in or shows a seam."""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from rig.clock import SetClock
from rig.messages import Message, Position, TrialEnd, TrialStart
from stimuli.display import Display

ORDER = ("leaf1", "circle1", "leaf2")
LENGTHS = [(4.0, 2.0), (1.0, 0.5), (9.5, 0.5), (1.5, 12.0), (4.0, 0.5)]


@pytest.fixture(scope="module")
def node(window: None) -> Iterator[Display]:
    published: list[Message] = []
    table = {
        "screen": {
            "is": "stimuli.window:PsychopyScreen",
            "size_px": [160, 120],
            "patch_px": 0,
        },
        "corridor": {"floor": "rock1", "ceiling": "brick1"},
    }
    node = Display(msgspec.convert(table, Display.Settings), published.append)
    node.clock = SetClock()
    node.check({"stimuli": list(ORDER)})
    node.open()
    yield node
    node.close()


class Mouse:
    """Runs through corridors of one length."""

    def __init__(self, node: Display, texture_m: float, grey_m: float) -> None:
        self._node, self._lengths = node, (texture_m, grey_m)
        self._lap_m = texture_m + grey_m
        self._trial = -1
        node.handle(Position(0, -1, 0.0, 0.0, False, "grey"))
        self._begin()

    def image_at(self, at_m: float) -> NDArray[Any]:
        """Run to that distance from the start of the first corridor (m); return the image."""
        while at_m >= (self._trial + 1) * self._lap_m:
            self._node.handle(TrialEnd(0, self._trial, "done"))
            self._begin()
        within_m = at_m - self._trial * self._lap_m
        self._node.handle(Position(0, self._trial, within_m, 60.0, True, "corridor"))
        self._node.tick(0)
        return self._node.screen.read_pixels()[..., 0].astype(float)

    def _begin(self) -> None:
        self._trial += 1
        here, ahead = (ORDER[(self._trial + n) % 3] for n in (0, 1))
        cue: Any = None
        start = TrialStart(0, self._trial, here, ahead, False, *self._lengths, cue, "none", 0.0)
        # trial numbers continue, as in a session
        self._node.handle(start)


@pytest.mark.parametrize(("texture_m", "grey_m"), LENGTHS)
def test_no_pixel_changes_where_one_corridor_becomes_the_next(
    node: Display, texture_m: float, grey_m: float
) -> None:
    """Within a micrometre nothing moves: a difference means that something appeared or vanished."""
    lap_m = texture_m + grey_m
    mouse = Mouse(node, texture_m, grey_m)
    for border_m in (lap_m, 2 * lap_m):
        before, after = (mouse.image_at(border_m + side * 1e-6) for side in (-1, 1))
        assert np.abs(after - before).max() <= 3
        assert before.std() > 10
        moved = mouse.image_at(border_m + 0.01)
        assert np.abs(moved - after).max() > 30


def test_a_wall_longer_than_its_texture_shows_no_seam(node: Display) -> None:
    """Columns of a side screen are evenly spaced on the wall, so none may differ much more."""
    mouse = Mouse(node, 9.5, 0.5)
    for seam_m in (4.0, 8.0):
        changes = np.zeros(159)
        for shift_m in np.linspace(-0.15, 0.15, 13):
            left = mouse.image_at(seam_m + float(shift_m))[40:80, :160]
            changes = np.maximum(changes, np.abs(np.diff(left, axis=1)).mean(axis=0))
        assert changes.max() < 3 * np.median(changes)
