"""Load wall textures by name, and cache synthesized textures on disk."""

import hashlib
import os
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np

from stimuli.textures.names import SHAPE, STIMULI, Texture, apply_swap, base_name
from stimuli.textures.photographs import load_photographs
from stimuli.textures.synthesis import synthesize

_SOURCE_MODULES = ("names", "dead_leaves", "elements", "luminance_matching", "synthesis")
"""The modules whose code determines the pixels of a synthesized texture."""
_DIGEST_BYTES = hashlib.sha256().digest_size


def load_textures(names: Iterable[str] = STIMULI, photographs: str = "") -> dict[str, Texture]:
    """Return wall textures by name.

    Args:
        names: The stimuli to load.
        photographs: A folder of photographs. A stimulus with a photograph is cut from it; others
            are synthesized (or read from the cache).

    Returns:
        A texture for each name: uint8, 256 rows by 4096 columns.

    Raises:
        Refused: A photograph cannot be used.
    """
    names = list(names)
    cut = load_photographs(Path(photographs), names) if photographs else {}
    return {name: cut[name] if name in cut else _load_synthesized(name) for name in names}


def sha256(texture: Texture) -> str:
    """Return the SHA-256 of a texture's pixels, row by row from the floor."""
    return hashlib.sha256(texture.tobytes()).hexdigest()


def cache_folder() -> Path:
    """Return the folder of the cached textures."""
    cached = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(cached) if cached else Path.home() / ".cache") / "rig" / "textures"


@cache
def version() -> str:
    """Return a hash of everything that determines the pixels: our source code and NumPy's version.

    A texture in the cache is used only if its file name contains the current version.
    """
    text = hashlib.sha256(np.__version__.encode())
    for module in _SOURCE_MODULES:
        text.update(Path(str(import_module(f"stimuli.textures.{module}").__file__)).read_bytes())
    return text.hexdigest()[:16]


def _load_synthesized(name: str) -> Texture:
    base = base_name(name)
    if base != name:
        return apply_swap(_load_synthesized(base), name)
    path = cache_folder() / f"{name}-{version()}.texture"
    texture = _read(path)
    if texture is None:
        texture = synthesize(name)
        _write(path, texture)
    return texture


def _read(path: Path) -> Texture | None:
    """Return a cached texture, or None if it is missing or its checksum does not match."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, pixels = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if hashlib.sha256(pixels).digest() != digest or len(pixels) != SHAPE[0] * SHAPE[1]:
        return None
    return np.frombuffer(pixels, np.uint8).reshape(SHAPE)


def _write(path: Path, texture: Texture) -> None:
    """Write a texture to the cache in one step, and delete its older versions.

    The cache only saves time, so a full or read-only disk is not an error.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(texture.tobytes()).digest() + texture.tobytes())
        Path(file.name).replace(path)
        for other in path.parent.glob(f"{path.name.partition('-')[0]}-*"):
            if other != path:
                other.unlink(missing_ok=True)
    except OSError:
        return
