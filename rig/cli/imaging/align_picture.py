"""Draw the image of rig align: today's field over another day's, before and after alignment."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]

_INK, _PAPER, _DIM = (238, 241, 245), (15, 19, 26), (150, 160, 172)
_MAGENTA, _GREEN, _WHITE = (255, 80, 255), (70, 225, 90), (255, 255, 255)
_PANEL_PX, _EDGE_PX, _LINE_PX, _BAR_PX = 640, 24, 26, 5
_TEXT_PX, _SMALL_PX = 20, 16
_BAR_SHARE = 0.3
"""Longest scale bar, as a fraction of the panel's width."""


def overlay(
    today: Image,
    moved_back: Image,
    reference: Image,
    found: str,
    day: str,
    um_per_px: float | None = None,
) -> NDArray[np.uint8]:
    """Draw both overlays side by side, with a legend and a scale bar.

    Args:
        today: Today's mean image, (height_px, width_px).
        moved_back: Today's mean image, moved back onto the reference.
        reference: The other day's mean image.
        found: A sentence on the shift and rotation of today's image.
        day: The session of the reference.
        um_per_px: Width of a pixel, um; None if it is not known; the bar is then in pixels.

    Returns:
        RGB image, (height_px, width_px, 3).
    """
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    height, width = today.shape
    size = (_PANEL_PX, max(1, round(height * _PANEL_PX / width)))
    top = _EDGE_PX + 2 * _LINE_PX + 12
    whole = (3 * _EDGE_PX + 2 * _PANEL_PX, top + _LINE_PX + size[1] + _EDGE_PX)
    canvas = Pillow.new("RGB", whole, _PAPER)
    draw = ImageDraw.Draw(canvas)
    large, small = (ImageFont.load_default(px) for px in (_TEXT_PX, _SMALL_PX))
    draw.text((_EDGE_PX, _EDGE_PX - 4), found, _INK, large)
    legend = (
        ("magenta: today   ", _MAGENTA),
        (f"green: {day}   ", _GREEN),
        ("white: both", _WHITE),
    )
    _write(draw, (_EDGE_PX, _EDGE_PX + _LINE_PX + 2), legend, small)
    length, label = scale_bar(width, um_per_px)
    for number, (image, caption) in enumerate(((today, "as it is"), (moved_back, "moved back"))):
        left = _EDGE_PX + number * (_PANEL_PX + _EDGE_PX)
        draw.text((left, top), caption, _DIM, small)
        panel = Pillow.fromarray(magenta_over_green(image, reference))
        canvas.paste(panel.resize(size, Pillow.Resampling.BICUBIC), (left, top + _LINE_PX))
        corner = (left + 12, top + _LINE_PX + size[1] - 12)
        _draw_bar(draw, corner, round(length * _PANEL_PX / width), label, small)
    return np.asarray(canvas, np.uint8)


def magenta_over_green(today: Image, reference: Image) -> NDArray[np.uint8]:
    """Return today in magenta over the reference in green: (height_px, width_px, 3).

    Pixels that are bright in both are white. Colour-blind people can distinguish these colours.
    """
    picture = np.zeros((*reference.shape, 3), np.uint8)
    for channels, image in (((0, 2), today), ((1,), reference)):
        low, high = np.percentile(image, [1.0, 99.7])
        scaled = (np.asarray(image, np.float64) - low) / max(high - low, 1e-9)
        for channel in channels:
            picture[..., channel] = np.rint(255 * np.clip(scaled, 0.0, 1.0))
    return picture


def scale_bar(width_px: int, um_per_px: float | None) -> tuple[float, str]:
    """Return the length of a scale bar in pixels of the image, and its label.

    The length is the largest of 1, 2 or 5 times a power of ten within 30 % of the width.
    """
    unit, per_px = ("px", 1.0) if um_per_px is None else ("um", um_per_px)
    longest = _BAR_SHARE * width_px * per_px
    power = 10.0 ** np.floor(np.log10(longest))
    length = max(factor * power for factor in (1.0, 2.0, 5.0) if factor * power <= longest)
    return length / per_px, f"{length:g} {unit}"


def _draw_bar(draw: Any, corner: tuple[int, int], length: int, label: str, font: Any) -> None:
    """Draw a scale bar at its lower left corner, with its label above it."""
    left, bottom = corner
    draw.rectangle((left, bottom - _BAR_PX, left + length, bottom), _WHITE)
    draw.text((left, bottom - _BAR_PX - _LINE_PX + 2), label, _WHITE, font)


def _write(
    draw: Any, at: tuple[float, float], texts: Sequence[tuple[str, tuple[int, int, int]]], font: Any
) -> None:
    """Write texts of several colours in one line."""
    for text, colour in texts:
        draw.text(at, text, colour, font)
        at = (at[0] + draw.textlength(text, font), at[1])
