"""Draw a pattern of angles on all screens, to check with a protractor at the eye's position."""

import numpy as np
from numpy.typing import NDArray

from stimuli.screens.screen_geometry import PhysicalScreen, azimuth_elevation
from stimuli.screens.window_layout import WindowLayout, from_top_left

Pixels = NDArray[np.uint8]
_BACKGROUND, _THIN, _BOLD = 60, 110, 200
"""Levels of the background, of the lines every 10 degrees and of those every 30 degrees."""
_FONT_PX = 15


def pattern(screens: tuple[PhysicalScreen, ...], layout: WindowLayout) -> Pixels:
    """Return an image of the whole window: height x width x 3, row 0 at the top.

    There is a line every 10 degrees of azimuth (0 is straight ahead, positive to the right) and of
    elevation (0 is the height of the eye). Every third line is bold and labelled. The edge of each
    screen is white.
    """
    width, height = layout.size_px
    image = np.zeros((height, width, 3), np.uint8)
    for screen, area in zip(screens, layout.areas, strict=True):
        left, top, wide, high = from_top_left(area, height)
        image[top : top + high, left : left + wide] = _draw_angles(screen, wide, high)[..., None]
    return image


def _draw_angles(screen: PhysicalScreen, width: int, height: int) -> Pixels:
    azimuth, elevation = azimuth_elevation(screen, width, height)
    image = np.full((height, width), _BACKGROUND, np.uint8)
    for angle in (azimuth, elevation):
        image[_on_line(angle, 10, 0.6)] = _THIN
    for angle in (azimuth, elevation):
        image[_on_line(angle, 30, 1.2)] = _BOLD
    for degrees in range(-150, 181, 30):
        _label(image, np.hypot(azimuth - degrees, elevation), f"{degrees}°")
    middle = azimuth[height // 2, width // 2]
    for degrees in (-60, -30, 30, 60):
        _label(image, np.hypot(azimuth - middle, elevation - degrees), f"{degrees}°")
    image[[0, -1]] = image[:, [0, -1]] = 255
    return image


def _on_line(angle: NDArray[np.float64], step: float, reach_px: float) -> NDArray[np.bool_]:
    """Return True for pixels that are within reach_px of a multiple of `step` degrees."""
    distance = np.abs(angle - step * np.round(angle / step))
    down, across = np.gradient(angle)
    degrees_per_px = np.hypot(down, across)
    # No line is drawn where it would cover everything (straight above the eye), nor at the jump of
    # the azimuth from 180 to -180 degrees.
    near: NDArray[np.bool_] = (distance < reach_px * degrees_per_px) & (degrees_per_px < step / 2)
    return near


def _label(image: Pixels, distance: NDArray[np.float64], text: str) -> None:
    """Write a text beside the pixel with the smallest distance, if that is below 1 degree."""
    from PIL import Image, ImageDraw

    distance = np.where(np.isnan(distance), np.inf, distance)
    row, column = np.unravel_index(int(np.argmin(distance)), distance.shape)
    if distance[row, column] > 1.0:
        return
    measure = ImageDraw.Draw(Image.new("L", (1, 1)))
    _, _, wide, high = measure.textbbox((0, 0), text, font_size=_FONT_PX)
    label = Image.new("L", (round(wide) + 4, round(high) + 4))
    ImageDraw.Draw(label).text((2, 1), text, fill=255, font_size=_FONT_PX)
    pixels = np.asarray(label)
    top = min(int(row) + 3, image.shape[0] - pixels.shape[0] - 1)
    left = min(int(column) + 3, image.shape[1] - pixels.shape[1] - 1)
    if top > 0 and left > 0:
        image[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
