"""Read image files as linear luminance, and write overview images of textures.

The levels of an image file are interpreted as sRGB. Transparent parts show the grey of the walls.
Arrays are rows x columns, with row 0 at the bottom.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from stimuli.textures.dead_leaves import Field
from stimuli.textures.names import GREY, Texture

_LUMINANCE_WEIGHTS = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Share of linear red, green and blue in luminance (ITU-R BT.709)."""
_DISPLAY_GAMMA = 2.2
_CAPTION_PX, _FONT_PX = 20, 14


def read_luminance(path: Path) -> Field:
    """Return an image file as linear luminance, 0 to 1, rows x columns.

    Raises:
        Refused: The file is not an image of 8 or 16 bits.
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
    """Return an image resampled (bicubic) to a shape of (rows, columns)."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(luminance))
    size = (shape[1], shape[0])
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC), np.float32)


def write_contact_sheet(textures: Mapping[str, Texture], path: Path) -> None:
    """Write all textures with their names, one below the other, with the gamma of a usual monitor.

    Raises:
        Refused: The file cannot be written.
    """
    rows = {}
    for name, texture in textures.items():
        luminance = texture[::-1].astype(np.float32) / 255
        rows[name] = np.rint(255 * luminance ** (1 / _DISPLAY_GAMMA)).astype(np.uint8)
    write_sheet(rows, path)


def write_sheet(images: Mapping[str, NDArray[np.uint8]], path: Path, width: int = 1200) -> None:
    """Write images one below the other, each below its caption.

    Args:
        images: The images by caption: rows x columns (x 3), row 0 at the top.
        path: The image file to write; its suffix chooses the format.
        width: Width of the sheet in pixels. Wider images are reduced to it.

    Raises:
        Refused: The file cannot be written.
    """
    from PIL import Image, ImageDraw

    rows = [(caption, Image.fromarray(image)) for caption, image in images.items()]
    for _, image in rows:
        image.thumbnail((width, image.height), Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", (width, sum(i.height + _CAPTION_PX for _, i in rows)), "white")
    draw, top = ImageDraw.Draw(sheet), 0
    for caption, image in rows:
        draw.text((4, top + 2), caption, fill="black", font_size=_FONT_PX)
        sheet.paste(image, (0, top + _CAPTION_PX))
        top += image.height + _CAPTION_PX
    try:
        sheet.save(path)
    except (OSError, ValueError) as error:  # ValueError: no image format has this suffix
        raise Refused(
            f"{path} cannot be written ({error}); choose another file that ends in .png"
        ) from error


def _decode(image: Any) -> tuple[Field, Field]:
    """Return the levels (0 to 1; grey, or red, green and blue) and the opacity of each pixel.

    Pillow has separate modes for 16-bit grey, with at most one transparent level, and for
    floating-point pixels, which have no defined white. All other modes can be converted to RGBA.
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
