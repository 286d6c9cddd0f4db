"""Read image files as linear luminance, and write overview images of textures.

Levels of an image file are taken as sRGB. Transparent parts are composed onto the grey of the
walls. Arrays are rows x columns with row 0 at the bottom.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rig.errors import Refused
from stimuli.textures.dead_leaves import Field
from stimuli.textures.names import GREY, SHAPE, Texture

_LUMINANCE_WEIGHTS = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Share of linear red, green and blue in luminance (ITU-R BT.709)."""
_DISPLAY_GAMMA = 2.2
_CAPTION_PX = 18


def read_luminance(path: Path) -> Field:
    """Return an image file as linear luminance, 0 to 1, rows x columns.

    Raises:
        Refused: If the file is not an image of 8 or 16 bits.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            encoded, alpha = _decode(ImageOps.exif_transpose(opened))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Refused(f"{path} is not an image ({error}); remove it from the folder") from error
    if encoded.min() < 0 or encoded.max() > 1:
        raise Refused(f"{path} has pixels of more than 16 bits; save it with 8 or 16 bits")
    luminance = _srgb_to_linear(encoded)
    if luminance.ndim == 3:
        luminance = luminance @ _LUMINANCE_WEIGHTS
    luminance = alpha * luminance + (1 - alpha) * (GREY / 255)
    return luminance[::-1].astype(np.float32)


def resize(luminance: Field, shape: tuple[int, int]) -> Field:
    """Return an image resampled to that many rows and columns (bicubic)."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(luminance))
    size = (shape[1], shape[0])
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC), np.float32)


def write_contact_sheet(textures: Mapping[str, Texture], path: Path, width: int = 1200) -> None:
    """Write all textures, with their names, one below the other, as an ordinary monitor shows them.

    Args:
        textures: The textures by name.
        path: The image file to write; its suffix chooses the format.
        width: Its width in pixels.
    """
    from PIL import Image, ImageDraw

    height = width * SHAPE[0] // SHAPE[1]
    sheet = Image.new("L", (width, len(textures) * (height + _CAPTION_PX)), 255)
    for number, (name, texture) in enumerate(textures.items()):
        linear = resize(texture[::-1].astype(np.float32) / 255, (height, width))
        level = np.rint(255 * np.clip(linear, 0, 1) ** (1 / _DISPLAY_GAMMA)).astype(np.uint8)
        top = number * (height + _CAPTION_PX)
        ImageDraw.Draw(sheet).text((4, top + 2), name, fill=0, font_size=13)
        sheet.paste(Image.fromarray(level), (0, top + _CAPTION_PX))
    sheet.save(path)


def _decode(image: Any) -> tuple[Field, Field]:
    """Return the levels (0 to 1; grey, or red, green and blue) and the opacity of each pixel.

    Pillow has modes of its own for grey of 16 bits, with one transparent level at most, and for
    floating-point pixels, which have no defined white. Everything else converts to RGBA.
    """
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers")
    if image.mode.startswith("I"):
        levels = np.asarray(image, np.float32)
        transparent = image.info.get("transparency")
        opaque = np.ones_like(levels) if transparent is None else levels != transparent
        return levels / 65535, opaque.astype(np.float32)
    rgba = np.asarray(image.convert("RGBA"), np.float32) / 255
    return rgba[..., :3], rgba[..., 3]


def _srgb_to_linear(encoded: Field) -> Field:
    """Return linear levels of sRGB levels, both 0 to 1 (IEC 61966-2-1)."""
    linear: Field = np.where(
        encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4
    )
    return linear
