"""A lab's own photographs as wall pictures and open-loop images; the only file that knows Pillow.

Luminance is linear: an image file's levels are taken as sRGB. Rows run up, as in every picture.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from rig.errors import Refused
from stimuli.textures.dead_leaves import Field
from stimuli.textures.luminance_matching import SHADOWS, matched
from stimuli.textures.names import SHAPE, STIMULI, Picture, swapped, whole_of

IMAGE_WIDTH_PX = 1024
"""Of an open-loop image; three screens of 270 degrees then have four pixels a degree."""
LEAST_WIDTH_PX = 2048
"""Of a photograph from which a wall is cut: half the pictures' own sharpness."""
_BLEND = 1 / 16
"""How much of a photograph's end is blended into its beginning, so that it closes on itself."""
_FLAT = 1e-3
"""Standard deviation of luminance below which an image shows nothing."""


def wall_photographs(folder: Path, names: Iterable[str]) -> dict[str, Picture]:
    """Return those of the named wall pictures that a folder has photographs for.

    `leaf1.jpg` is leaf1; `leaf.jpg` is every leaf, each another strip of it. Swaps are cut from
    the photograph, too. Raises Refused if a file is no photograph, too small, or no stimulus's.
    """
    photographs = {name: path for path in _files(folder) for name in _exemplars(path)}
    cut: dict[str, Picture] = {}
    for name in names:
        whole = whole_of(name)
        if whole in photographs and whole not in cut:
            cut[whole] = _wall(photographs[whole], whole)
    wholes = {name: whole_of(name) for name in names if whole_of(name) in cut}
    return {n: cut[w] if n == w else swapped(cut[w], n) for n, w in wholes.items()}


def images(folders: Mapping[str, str], width_over_height: float) -> dict[str, Picture]:
    """Return open-loop images by name (their files' names without ending), cut to one shape.

    `folders` says in which folder each lies. Uint8, mean and contrast those of all pictures.
    Raises Refused if one is not there, is no image, or is all of one grey.
    """
    shape = round(IMAGE_WIDTH_PX / width_over_height), IMAGE_WIDTH_PX
    files = {folder: {p.stem: p for p in _files(Path(folder))} for folder in set(folders.values())}
    shown = {}
    for name, folder in folders.items():
        path = files[folder].get(name)
        if path is None:
            raise Refused(f"{folder} has no image {name!r}; correct stimuli, or put it there")
        luminance = _luminance(path)
        if luminance.std() < _FLAT:
            raise Refused(f"{path} is all of one grey; take another image")
        cut = _cut(luminance, width_over_height, 0.5)
        shown[name] = matched(_resized(cut, shape), spectrum=False)
    return shown


def _files(folder: Path) -> list[Path]:
    """Return a folder's files by name. Raises Refused if there are none, or two of one name."""
    try:
        files = sorted(p for p in folder.iterdir() if p.is_file() and p.name[0] != ".")
    except OSError as error:
        raise Refused(f"{folder} cannot be read ({error.strerror}); correct the path") from error
    if not files:
        raise Refused(f"{folder} holds no images; put them there, or name another folder")
    stems = [path.stem for path in files]
    for path in files:
        if stems.count(path.stem) > 1:
            raise Refused(f"{folder} has two files named {path.stem}; rename one of them")
    return files


def _exemplars(path: Path) -> list[str]:
    """Return the stimuli that a photograph's name stands for. Raises Refused if there are none."""
    own = [name for name in STIMULI if "_" not in name]
    names = [name for name in own if path.stem in (name, _kind(name))]
    if not names:
        raise Refused(
            f"{path} is named after no stimulus; name it after one (leaf1{path.suffix}) or "
            f"after a kind (leaf{path.suffix}); there are: {', '.join(own)}"
        )
    return names


def _wall(path: Path, name: str) -> Picture:
    """Cut a wall picture out of a photograph: the middle strip, or one of as many as exemplars."""
    of_all = [name] if path.stem == name else _exemplars(path)
    at = (of_all.index(name) + 0.5) / len(of_all)
    strip = np.log(_strip(_luminance(path), at, path) + SHADOWS)
    return matched(_closed(_closed(strip, 1), 0))


def _kind(name: str) -> str:
    return name.rstrip("0123456789")


def _luminance(path: Path) -> Field:
    """Read an image as linear luminance, 0 to 1. Raises Refused if it is none."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            sixteen_bit = image.mode.startswith("I")
            levels = np.asarray(image if sixteen_bit else image.convert("RGB"), np.float32)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Refused(f"{path} is not an image ({error}); take it out of the folder") from error
    encoded = levels / (65535 if sixteen_bit else 255)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    if linear.ndim == 3:
        linear = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return linear[::-1].astype(np.float32)


def _strip(photograph: Field, at: float, path: Path) -> Field:
    """Cut a wall's strip out of a photograph: its whole width, at a share of its height."""
    high, wide = SHAPE[0] * (1 + _BLEND), SHAPE[1] * (1 + _BLEND)
    least = round(LEAST_WIDTH_PX * (1 + _BLEND)), round(LEAST_WIDTH_PX * high / SHAPE[1])
    if photograph.shape[1] < least[0] or photograph.shape[0] < least[1]:
        size = f"{photograph.shape[1]} by {photograph.shape[0]}"
        raise Refused(
            f"{path} has {size} pixels, too few for a wall; take one of at least "
            f"{least[0]} by {least[1]}"
        )
    return _resized(_cut(photograph, wide / high, at), (round(high), round(wide)))


def _cut(luminance: Field, width_over_height: float, at: float) -> Field:
    """Cut the largest piece of that shape, its middle at a share of the height that is left."""
    high, wide = luminance.shape
    rows, columns = (
        round(min(high, wide / width_over_height)),
        round(min(wide, high * width_over_height)),
    )
    row, column = round((high - rows) * at), (wide - columns) // 2
    return luminance[row : row + rows, column : column + columns]


def _resized(luminance: Field, shape: tuple[int, int]) -> Field:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(luminance))
    size = (shape[1], shape[0])
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC), np.float32)


def _closed(level: Field, axis: int) -> Field:
    """Blend the end beyond a picture into its beginning; contrast stays, as they are unlike."""
    level = np.moveaxis(level - level.mean(), axis, 0)
    size = SHAPE[axis]
    blend = len(level) - size
    share = ((np.arange(blend) + 0.5) / blend).astype(np.float32)[:, None]
    closed = level[:size].copy()
    closed[:blend] = np.sqrt(share) * level[:blend] + np.sqrt(1 - share) * level[size:]
    return np.moveaxis(closed, 0, axis)


def contact_sheet(pictures: dict[str, Picture], path: Path, width: int = 1200) -> None:
    """Write all pictures, named, one below the other, as an eye would see them."""
    from PIL import Image, ImageDraw

    height, caption = width * SHAPE[0] // SHAPE[1], 18
    sheet = Image.new("L", (width, len(pictures) * (height + caption)), 255)
    for number, (name, picture) in enumerate(pictures.items()):
        linear = _resized(picture[::-1].astype(np.float32) / 255, (height, width))
        seen = np.rint(255 * np.clip(linear, 0, 1) ** (1 / 2.2)).astype(np.uint8)
        top = number * (height + caption)
        ImageDraw.Draw(sheet).text((4, top + 2), name, fill=0, font_size=13)
        sheet.paste(Image.fromarray(seen), (0, top + caption))
    sheet.save(path)
