"""A pattern of angles for all screens: what a person checks with a protractor at the eye."""

import numpy as np
from numpy.typing import NDArray

from stimuli.screens.screen_geometry import Pane, directions
from stimuli.screens.window_layout import WindowLayout, upside_down

Image = NDArray[np.uint8]
_GROUND, _THIN, _BOLD = 60, 110, 200
_FONT = {
    "0": "111101101101111", "1": "010110010010111", "2": "111001111100111",
    "3": "111001111001111", "4": "101101111001001", "5": "111100111001111",
    "6": "111100111101111", "7": "111001001001001", "8": "111101111101111",
    "9": "111101111001111", "-": "000000111000000",
}  # fmt: skip
_SCALE = 2


def pattern(panes: tuple[Pane, ...], layout: WindowLayout) -> Image:
    """Return an image of the whole window: height x width x 3, row 0 on top.

    Lines every 10 degrees of azimuth (0 ahead, right is more) and elevation (0 is the eye's
    height), bold and with their number every 30; the edge of each screen in white.
    """
    width, height = layout.size_px
    image = np.zeros((height, width, 3), np.uint8)
    for pane, area in zip(panes, layout.areas, strict=True):
        left, top, wide, high = upside_down(area, height)
        image[top : top + high, left : left + wide] = _angles(pane, wide, high)[..., None]
    return image


def azimuth_elevation(pane: Pane, width: int, height: int) -> tuple[NDArray[np.float64], ...]:
    """Return where each pixel is seen, degrees: two arrays, height x width."""
    x, y, z = np.moveaxis(directions(pane, width, height), -1, 0)
    return np.degrees(np.arctan2(x, -z)), np.degrees(np.arcsin(np.clip(y, -1, 1)))


def _angles(pane: Pane, width: int, height: int) -> Image:
    azimuth, elevation = azimuth_elevation(pane, width, height)
    drawn = np.full((height, width), _GROUND, np.uint8)
    for angle in (azimuth, elevation):
        drawn[_on_line(angle, 10, 0.6)] = _THIN
    for angle in (azimuth, elevation):
        drawn[_on_line(angle, 30, 1.2)] = _BOLD
    for number in range(-150, 181, 30):
        _label(drawn, np.hypot(azimuth - number, elevation), str(number))
    middle = azimuth[height // 2, width // 2]
    for number in (-60, -30, 30, 60):
        _label(drawn, np.hypot(azimuth - middle, elevation - number), str(number))
    drawn[[0, -1]] = drawn[:, [0, -1]] = 255
    return drawn


def _on_line(angle: NDArray[np.float64], step: float, reach_px: float) -> NDArray[np.bool_]:
    """Return the pixels within so many pixels of a multiple of `step` degrees."""
    off = np.abs(angle - step * np.round(angle / step))
    down, along = np.gradient(angle)
    a_pixel = np.hypot(down, along)
    near: NDArray[np.bool_] = (off < reach_px * a_pixel) & (a_pixel < step / 2)
    return near


def _label(drawn: Image, far: NDArray[np.float64], text: str) -> None:
    """Write a number beside the pixel that is nearest to a place, if there is one (degrees)."""
    far = np.where(np.isnan(far), np.inf, far)
    row, column = np.unravel_index(int(np.argmin(far)), far.shape)
    if far[row, column] > 1.0:
        return
    glyphs = [np.array(list(_FONT[sign]), int).reshape(5, 3) for sign in text]
    spaced = np.hstack([np.pad(glyph, ((1, 1), (1, 0))) for glyph in glyphs])
    mark = np.kron(np.pad(spaced, ((0, 0), (0, 1))), np.ones((_SCALE, _SCALE), int))
    top = min(int(row) + 3, drawn.shape[0] - mark.shape[0] - 1)
    left = min(int(column) + 3, drawn.shape[1] - mark.shape[1] - 1)
    if top > 0 and left > 0:
        box = np.s_[top : top + mark.shape[0], left : left + mark.shape[1]]
        drawn[box] = np.where(mark == 1, 255, 0)
