"""A file that another process lengthens, read by position."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_WINDOW_BYTES = 1024
"""Holds the tags and the description of a page of a file of 2016 or later."""


class GrowingFile:
    """Reads what is there, with no need of a positional read, which some systems lack.

    A network share keeps what it knows of a file; the length is asked of the open file.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. Raises OSError."""
        self._file = path.open("rb", buffering=0)
        self._size = 0
        self._window = (0, b"")

    def size(self) -> int:
        """Return how long the file is now."""
        self._size = os.fstat(self._file.fileno()).st_size
        return self._size

    @property
    def identity(self) -> tuple[int, int]:
        """What tells this file from any other, whatever its name is by now."""
        stat = os.fstat(self._file.fileno())
        return stat.st_dev, stat.st_ino

    def reaches(self, end: int) -> bool:
        """Whether the file is that long."""
        return end <= self._size or end <= self.size()

    def read(self, offset: int, count: int) -> bytes | None:
        """Read bytes; None where the file does not reach so far.

        Some more are read ahead, and given out until they are forgotten.
        """
        start, ahead = self._window
        if start <= offset and offset + count <= start + len(ahead):
            return ahead[offset - start : offset - start + count]
        raw = self._bytes(offset, count, max(count, _WINDOW_BYTES))
        if raw is None:
            return None
        self._window = (offset, raw)
        return raw[:count]

    def read_anew(self, offset: int, count: int) -> bytes | None:
        """Read bytes as they are now; None where the file does not reach so far."""
        return self._bytes(offset, count, count)

    def read_into(self, offset: int, body: NDArray[np.uint8]) -> bool:
        """Fill `body`; return whether there was enough. Raises OSError."""
        left = body.data
        self._file.seek(offset)
        while left and (count := self._file.readinto(left)):
            left = left[count:]
        return not left

    def forget(self) -> None:
        """Forget what was read ahead: the file may be another by now."""
        self._window = (0, b"")

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _bytes(self, offset: int, count: int, at_most: int) -> bytes | None:
        if not self.reaches(offset + count):
            return None
        self._file.seek(offset)
        raw = self._file.read(at_most)
        return raw if raw is not None and len(raw) >= count else None
