"""The wall pictures by name: from the disk if they were drawn before, swapped as the study says."""

import hashlib
import os
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np

from stimuli.textures.names import SHAPE, STIMULI, Picture, swapped, whole_of
from stimuli.textures.photographs import wall_photographs
from stimuli.textures.synthesis import draw

_DRAWN_BY = ("names", "dead_leaves", "elements", "luminance_matching", "synthesis")
_DIGEST_BYTES = hashlib.sha256().digest_size


def pictures(names: Iterable[str] = STIMULI, photographs: str = "") -> dict[str, Picture]:
    """Return the pictures of these names: uint8, 256 rows by 4096 columns.

    Those that a folder of photographs has are cut from there, the rest are drawn. What was drawn
    before by the same program is read from the person's cache folder. Raises Refused if a
    photograph cannot be used.
    """
    names = list(names)
    own = wall_photographs(Path(photographs), names) if photographs else {}
    return {name: own[name] if name in own else _picture(name) for name in names}


def sha256(picture: Picture) -> str:
    """Return the SHA-256 of a picture's pixels, row by row from the floor."""
    return hashlib.sha256(picture.tobytes()).hexdigest()


def _picture(name: str) -> Picture:
    whole = whole_of(name)
    if whole != name:
        return swapped(_picture(whole), name)
    path = folder() / f"{name}-{version()}.picture"
    kept = _read(path)
    if kept is None:
        kept = draw(name)
        _keep(path, kept)
    return kept


def folder() -> Path:
    """Return where drawn pictures are kept from one session to the next."""
    cached = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(cached) if cached else Path.home() / ".cache") / "rig" / "pictures"


@cache
def version() -> str:
    """Return a name for all that decides the pixels: the program's text and numpy's version."""
    text = hashlib.sha256(np.__version__.encode())
    for module in _DRAWN_BY:
        text.update(Path(str(import_module(f"stimuli.textures.{module}").__file__)).read_bytes())
    return text.hexdigest()[:16]


def _read(path: Path) -> Picture | None:
    """Return a kept picture; None if there is none, or if it is not what was kept."""
    try:
        held = path.read_bytes()
    except OSError:
        return None
    digest, pixels = held[:_DIGEST_BYTES], held[_DIGEST_BYTES:]
    if hashlib.sha256(pixels).digest() != digest or len(pixels) != SHAPE[0] * SHAPE[1]:
        return None
    return np.frombuffer(pixels, np.uint8).reshape(SHAPE)


def _keep(path: Path, picture: Picture) -> None:
    """Keep a picture whole or not at all, and no older one of its name; a full disk keeps none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(picture.tobytes()).digest() + picture.tobytes())
        Path(file.name).replace(path)
        for other in path.parent.glob(f"{path.name.partition('-')[0]}-*"):
            if other != path:
                other.unlink(missing_ok=True)
    except OSError:
        return
