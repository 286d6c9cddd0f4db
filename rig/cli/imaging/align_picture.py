"""The picture of rig align: today over another day, as it lies and as it would lie moved back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_INK, _PAPER, _DIM = (238, 241, 245), (15, 19, 26), (150, 160, 172)
_RED, _GREEN, _YELLOW = (255, 70, 60), (60, 220, 80), (240, 220, 60)
_PANEL_PX, _EDGE_PX, _LINE_PX = 640, 24, 26
_TEXT_PX, _SMALL_PX = 20, 16


def overlay(
    lies: NDArray[np.uint8], moved_back: NDArray[np.uint8], found: str, day: str
) -> NDArray[np.uint8]:
    """Return the picture (height_px, width_px, 3): both overlays side by side, and what they say.

    lies and moved_back are red and green (height_px, width_px, 3), found says where today lies,
    day which session is green.
    """
    from PIL import Image, ImageDraw, ImageFont

    height, width = lies.shape[:2]
    scale = _PANEL_PX / width
    size = (_PANEL_PX, max(1, round(height * scale)))
    top = _EDGE_PX + 2 * _LINE_PX + 12
    whole = (3 * _EDGE_PX + 2 * _PANEL_PX, top + _LINE_PX + size[1] + _EDGE_PX)
    canvas = Image.new("RGB", whole, _PAPER)
    draw = ImageDraw.Draw(canvas)
    large, small = (ImageFont.load_default(px) for px in (_TEXT_PX, _SMALL_PX))
    draw.text((_EDGE_PX, _EDGE_PX - 4), found, _INK, large)
    key = (("red: today   ", _RED), (f"green: {day}   ", _GREEN), ("yellow: both", _YELLOW))
    _write(draw, (_EDGE_PX, _EDGE_PX + _LINE_PX + 2), key, small)
    panels = ((lies, "as it lies now"), (moved_back, "as it would lie, moved back"))
    for number, (picture, caption) in enumerate(panels):
        left = _EDGE_PX + number * (_PANEL_PX + _EDGE_PX)
        draw.text((left, top), caption, _DIM, small)
        shown = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
        canvas.paste(shown, (left, top + _LINE_PX))
    return np.asarray(canvas, np.uint8)


def _write(
    draw: Any,
    at: tuple[float, float],
    messages: Sequence[tuple[str, tuple[int, int, int]]],
    font: Any,
) -> None:
    """Write words of several colours in one line."""
    for text, colour in messages:
        draw.text(at, text, colour, font)
        at = (at[0] + draw.textlength(text, font), at[1])
