"""Which part of the window each screen has, and where the photodiode's patch stands."""

from itertools import combinations
from typing import NamedTuple

from rig.errors import Refused
from stimuli.screens.screen_geometry import Pane


class Area(NamedTuple):
    """A part of the window in pixels, from its lower left."""

    x: int
    y: int
    width: int
    height: int


class WindowLayout(NamedTuple):
    """The window: its size, each screen's area in it, and the photodiode's patch, if any."""

    size_px: tuple[int, int]
    areas: tuple[Area, ...]
    patch: Area | None


def laid_out(
    shown: tuple[Pane, ...],
    size_px: tuple[int, int],
    patch_px: int = 0,
    patch_at_px: tuple[int, int] | None = None,
) -> WindowLayout:
    """Say where in the window each screen and the patch are. Raises Refused if two collide.

    size_px is one screen's where none has an area of its own; patch_at_px is the patch's left and
    top (None: the window's lower left corner). The window is as large as all of them need.
    """
    boxes = _boxes(shown, size_px)
    width = max(left + wide for left, _, wide, _ in boxes)
    height = max(top + high for _, top, _, high in boxes)
    patch = None
    if patch_px:
        left, top = (0, height - patch_px) if patch_at_px is None else patch_at_px
        patch = (left, top, patch_px, patch_px)
        width, height = max(width, left + patch_px), max(height, top + patch_px)
    for (one, box), (other, beside) in combinations(zip(shown, boxes, strict=True), 2):
        if _meet(box, beside):
            raise Refused(
                f"screens {one.name} and {other.name} have one part of the window; correct area_px"
            )
    if patch is not None:
        _check_patch(patch, shown, boxes)
    areas = tuple(Area(x, height - top - high, wide, high) for x, top, wide, high in boxes)
    at = None if patch is None else Area(patch[0], height - patch[1] - patch_px, *patch[2:])
    return WindowLayout((width, height), areas, at)


def upside_down(area: Area, height: int) -> tuple[int, int, int, int]:
    """Return an area as left, top, width and height in a window of that height."""
    return area.x, height - area.y - area.height, area.width, area.height


def _boxes(shown: tuple[Pane, ...], size_px: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    given = [pane.look.area_px for pane in shown]
    if all(box is None for box in given):
        width, height = size_px
        return [(number * width, 0, width, height) for number in range(len(shown))]
    boxes = [box for box in given if box is not None]
    if len(boxes) < len(given):
        without = next(pane.name for pane in shown if pane.look.area_px is None)
        raise Refused(f"screen {without} has no area_px and others have; give it to all or to none")
    return boxes


def _meet(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(
        one[side] < other[side] + other[side + 2] and other[side] < one[side] + one[side + 2]
        for side in (0, 1)
    )


def _check_patch(
    patch: tuple[int, ...], shown: tuple[Pane, ...], boxes: list[tuple[int, int, int, int]]
) -> None:
    """Raise Refused if the patch stands in a screen's picture, but not in a corner of it.

    So too if it reaches over an edge: half of it would be another monitor's, with its own timing.
    """
    for pane, box in zip(shown, boxes, strict=True):
        edges = [
            {patch[side] - box[side], patch[side] + patch[side + 2] - box[side] - box[side + 2]}
            for side in (0, 1)
        ]
        if _meet(patch, box) and not all(0 in edge for edge in edges):
            raise Refused(
                f"the photodiode's patch reaches into screen {pane.name} elsewhere than in a "
                "corner; put patch_at_px into a corner of it, or outside of all screens"
            )
