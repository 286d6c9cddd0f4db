"""Compute the area of each screen in the window, and that of the photodiode patch."""

from itertools import combinations
from typing import NamedTuple

from rig.errors import Refused
from stimuli.screens.screen_geometry import PhysicalScreen

Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels, from the window's upper left corner."""


class Area(NamedTuple):
    """A part of the window in pixels, from its lower left corner (as in OpenGL)."""

    x: int
    y: int
    width: int
    height: int


class WindowLayout(NamedTuple):
    """The window's size, the area of each screen in it, and that of the patch, if there is one."""

    size_px: tuple[int, int]
    areas: tuple[Area, ...]
    patch: Area | None


def compute_layout(
    screens: tuple[PhysicalScreen, ...],
    size_px: tuple[int, int],
    patch_px: int = 0,
    patch_at_px: tuple[int, int] | None = None,
) -> WindowLayout:
    """Place all screens and the patch in a window of the smallest size that contains them.

    Args:
        screens: The screens; if none has an area_px they are side by side, from left to right.
        size_px: Width and height of one screen, where the screens have no area_px.
        patch_px: Side of the photodiode patch; 0 for none.
        patch_at_px: Left and top of the patch in the window; None for the lower left corner.

    Raises:
        Refused: Two screens overlap in the window, or the patch hides more than a screen's corner.
    """
    boxes = _screen_boxes(screens, size_px)
    width = max(left + wide for left, _, wide, _ in boxes)
    height = max(top + high for _, top, _, high in boxes)
    patch = None
    if patch_px:
        left, top = (0, height - patch_px) if patch_at_px is None else patch_at_px
        patch = (left, top, patch_px, patch_px)
        width, height = max(width, left + patch_px), max(height, top + patch_px)
    for (one, box), (other, other_box) in combinations(zip(screens, boxes, strict=True), 2):
        if _intersect(box, other_box):
            raise Refused(
                f"screens {one.name} and {other.name} overlap in the window; correct area_px"
            )
    if patch is not None:
        _check_patch(patch, screens, boxes)
    areas = tuple(_from_lower_left(box, height) for box in boxes)
    return WindowLayout(
        (width, height), areas, None if patch is None else _from_lower_left(patch, height)
    )


def from_top_left(area: Area, height: int) -> Box:
    """Return an area as left, top, width and height, in a window of the given height (px)."""
    return area.x, height - area.y - area.height, area.width, area.height


def _from_lower_left(box: Box, height: int) -> Area:
    left, top, wide, high = box
    return Area(left, height - top - high, wide, high)


def _screen_boxes(screens: tuple[PhysicalScreen, ...], size_px: tuple[int, int]) -> list[Box]:
    given = [screen.settings.area_px for screen in screens]
    if all(box is None for box in given):
        width, height = size_px
        return [(number * width, 0, width, height) for number in range(len(screens))]
    boxes = [box for box in given if box is not None]
    if len(boxes) < len(given):
        without = next(screen.name for screen in screens if screen.settings.area_px is None)
        raise Refused(
            f"screen {without} has no area_px but another screen has; give one to all or to none"
        )
    return boxes


def _intersect(one: Box, other: Box) -> bool:
    return all(
        one[side] < other[side] + other[side + 2] and other[side] < one[side] + one[side + 2]
        for side in (0, 1)
    )


def _check_patch(patch: Box, screens: tuple[PhysicalScreen, ...], boxes: list[Box]) -> None:
    """Raise Refused if the patch covers a part of a screen that is not one of its corners.

    A patch across the edge of a screen is refused too, because its other half would be on another
    monitor, which has its own timing.
    """
    for screen, box in zip(screens, boxes, strict=True):
        edges = [
            {patch[side] - box[side], patch[side] + patch[side + 2] - box[side] - box[side + 2]}
            for side in (0, 1)
        ]
        if _intersect(patch, box) and not all(0 in edge for edge in edges):
            raise Refused(
                f"the photodiode patch covers a part of screen {screen.name} that is not a corner; "
                "set patch_at_px to a corner of it, or outside all screens"
            )
