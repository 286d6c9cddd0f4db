"""Files that grow as a microscope's do, for the tests of this room."""

import re
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.follow.file_follower import FileFollower
from acquisition.scanimage.page import Page
from acquisition.simulation.scanimage_encoding import Recording
from acquisition.simulation.scanimage_writer import Link, Writer

RATE_HZ = 10.0
SHAPE = (6, 10)
BEGAN = datetime(2025, 3, 4, 9, 30, 5, 250_000, UTC)

Pictures = Sequence[NDArray[Any]]


def pictures(count: int, shape: tuple[int, int] = SHAPE, seed: int = 0) -> list[NDArray[np.int16]]:
    """Return frames of every possible count, no two alike."""
    rng = np.random.default_rng(seed)
    return [rng.integers(-32768, 32768, shape, np.int16) for _ in range(count)]


def start(path: Path, link: Link = "pre", shape: tuple[int, int] = SHAPE) -> Writer:
    """Begin a file."""
    return Writer(path, Recording(shape=shape, rate_hz=RATE_HZ), BEGAN, link)


def save(path: Path, frames: Pictures, link: Link = "pre") -> Path:
    """Write a whole file and close it."""
    writer = start(path, link, frames[0].shape if frames else SHAPE)
    for index, frame in enumerate(frames):
        writer.append(frame, index / RATE_HZ)
    writer.close()
    return path


def states(path: Path, frames: Pictures, link: Link) -> list[bytes]:
    """Write a file and return its bytes: begun, after each frame, closed."""
    writer = start(path, link, frames[0].shape)
    seen = [path.read_bytes()]
    for index, frame in enumerate(frames):
        writer.append(frame, index / RATE_HZ)
        seen.append(path.read_bytes())
    writer.close()
    return [*seen, path.read_bytes()]


def numbered(path: Path, numbers: list[int]) -> None:
    """Save a file whose frames have those numbers, each below 10."""
    raw = save(path, pictures(len(numbers))).read_bytes()
    texts = iter(f"frameNumbers = {number}\n".encode() for number in numbers)
    path.write_bytes(re.sub(rb"frameNumbers = \d\n", lambda _: next(texts), raw))


def read_all(path: Path) -> list[Page]:
    """Return the pages that are whole. Raises Refused as the follower does."""
    with closing(FileFollower(path)) as follower:
        return list(follower.poll())
