"""Make wall textures and open-loop images from a lab's own photographs.

Luminance is linear. Rows go up from the floor, as in every texture.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from rig.errors import Refused
from rig.settings.user_files import list_user_files
from stimuli.textures.dead_leaves import Field
from stimuli.textures.image_files import read_luminance, resize
from stimuli.textures.luminance_matching import SHADOWS, match_luminance
from stimuli.textures.names import SHAPE, STIMULI, Texture, apply_swap, base_name, exemplars

IMAGE_WIDTH_PX = 1024
"""Width of an open-loop image: about four pixels per degree on three screens (270 degrees)."""
LEAST_WIDTH_PX = 2048
"""Smallest width of a wall strip in a photograph: half the resolution of a texture."""
_BLEND = 1 / 16
"""Fraction of a texture's length over which its end is blended into its start."""
_FLAT = 1e-3
"""Standard deviation of luminance below which an image counts as uniform."""


def load_photographs(folder: Path, names: Iterable[str]) -> dict[str, Texture]:
    """Return the textures of the given names for which a folder contains photographs.

    `leaf1.jpg` is used for leaf1. `leaf.jpg` is used for every leaf without its own photograph;
    each gets a different strip of it. `moss1.jpg` defines a new stimulus moss1. Swapped stimuli are
    made from the same photographs.

    Raises:
        Refused: A file is not a photograph, is uniform, or is too small.
    """
    files = sorted(_list_files(folder), key=lambda path: path.stem in STIMULI)
    photographs = {name: path for path in files for name in exemplars(path.stem)}
    bases = {name: name if name in photographs else base_name(name) for name in names}
    bases = {name: base for name, base in bases.items() if base in photographs}
    cut = {base: _cut_texture(photographs[base], base) for base in dict.fromkeys(bases.values())}
    return {n: cut[base] if n == base else apply_swap(cut[base], n) for n, base in bases.items()}


def load_images(folders: Mapping[str, str], width_over_height: float) -> dict[str, Texture]:
    """Return open-loop images by name, with the common mean and contrast.

    Args:
        folders: The folder of each image, by its name: the file name without the suffix.
        width_over_height: Aspect ratio to which every image is cropped around its centre.

    Raises:
        Refused: An image is missing, cannot be read or is uniform.
    """
    shape = round(IMAGE_WIDTH_PX / width_over_height), IMAGE_WIDTH_PX
    files = {
        folder: {path.stem: path for path in _list_files(Path(folder))}
        for folder in set(folders.values())
    }
    images = {}
    for name, folder in folders.items():
        path = files[folder].get(name)
        if path is None:
            raise Refused(f'{folder} has no image "{name}"; correct stimuli, or add the image')
        cropped = _crop(_read(path), width_over_height, 0.5)
        images[name] = match_luminance(resize(cropped, shape), spectrum=False)
    return images


def _list_files(folder: Path) -> list[Path]:
    """Return a folder's files by name. Raises Refused if it is empty or two have the same name."""
    try:
        files = list_user_files(folder)
    except OSError as error:
        raise Refused(f"{folder} cannot be read ({error.strerror}); correct the path") from error
    if not files:
        raise Refused(f"{folder} contains no images; add them, or name another folder")
    by_name: dict[str, Path] = {}
    for path in files:
        same = by_name.setdefault(path.stem.casefold(), path)  # some file systems ignore the case
        if same != path:
            raise Refused(f"{same} and {path.name} have the same name; rename one of them")
    return files


def _read(path: Path) -> Field:
    """Return an image file as linear luminance. Raises Refused if it is uniform."""
    luminance = read_luminance(path)
    if luminance.std() < _FLAT:
        raise Refused(f"{path} is uniform: it shows nothing; use another image")
    return luminance


def _cut_texture(path: Path, name: str) -> Texture:
    """Cut a wall texture out of a photograph.

    From a photograph of one stimulus, the middle strip is used; from a photograph of a category,
    one strip for each exemplar, evenly spaced.
    """
    names = exemplars(path.stem)
    at = (names.index(name) + 0.5) / len(names)
    strip = np.log(_wall_strip(_read(path), at, path) + SHADOWS)
    return match_luminance(_make_periodic(_make_periodic(strip, 1), 0))


def _wall_strip(photograph: Field, at: float, path: Path) -> Field:
    """Cut a strip of the photograph's whole width, at a fraction (0 to 1) of its height.

    The strip is larger than a texture by the parts that are blended. Raises Refused if the
    photograph is too small.
    """
    height, width = SHAPE[0] * (1 + _BLEND), SHAPE[1] * (1 + _BLEND)
    least = round(LEAST_WIDTH_PX * (1 + _BLEND)), round(LEAST_WIDTH_PX * height / SHAPE[1])
    if photograph.shape[1] < least[0] or photograph.shape[0] < least[1]:
        raise Refused(
            f"{path} is {photograph.shape[1]} x {photograph.shape[0]} pixels, too small for a "
            f"wall; use a photograph of at least {least[0]} x {least[1]}"
        )
    return resize(_crop(photograph, width / height, at), (round(height), round(width)))


def _crop(luminance: Field, width_over_height: float, at: float) -> Field:
    """Return the largest part with an aspect ratio, at a fraction (0 to 1) of the free height."""
    height, width = luminance.shape
    rows = round(min(height, width / width_over_height))
    columns = round(min(width, height * width_over_height))
    row, column = round((height - rows) * at), (width - columns) // 2
    return luminance[row : row + rows, column : column + columns]


def _make_periodic(level: Field, axis: int) -> Field:
    """Shorten an image to a texture's size by blending its end into its start.

    The weights are square roots, so that the sum of two uncorrelated parts keeps their contrast.
    """
    level = np.moveaxis(level - level.mean(), axis, 0)
    size = SHAPE[axis]
    blend = len(level) - size
    share = ((np.arange(blend) + 0.5) / blend).astype(np.float32)[:, None]
    periodic = level[:size].copy()
    periodic[:blend] = np.sqrt(share) * level[:blend] + np.sqrt(1 - share) * level[size:]
    return np.moveaxis(periodic, 0, axis)
