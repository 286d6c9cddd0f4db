"""A file that another process is appending to, read by position."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_WINDOW_BYTES = 1024
"""Enough for the tags and the description of a page of 2016 or later."""


class GrowingFile:
    """Read what is there so far.

    It seeks before it reads, because not every system has a positional read. The size is asked of
    the open file, because a network share caches what it knows by name.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. Raises OSError."""
        self._file = path.open("rb", buffering=0)
        self._size = 0
        self._window = (0, b"")

    def size(self) -> int:
        """Return the size of the file now, in bytes."""
        self._size = os.fstat(self._file.fileno()).st_size
        return self._size

    @property
    def identity(self) -> tuple[int, int]:
        """Identifies this file, even after it was renamed."""
        stat = os.fstat(self._file.fileno())
        return stat.st_dev, stat.st_ino

    def reaches(self, end: int) -> bool:
        """Whether the file has at least `end` bytes."""
        return end <= self._size or end <= self.size()

    def read(self, offset: int, count: int) -> bytes | None:
        """Return bytes; None if the file does not reach that far.

        Some more are read ahead and returned by later calls, until `forget`.
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
        """Return bytes as they are now; None if the file does not reach that far."""
        return self._bytes(offset, count, count)

    def read_into(self, offset: int, body: NDArray[np.uint8]) -> bool:
        """Fill `body` from an offset; return whether there were enough bytes. Raises OSError."""
        left = body.data
        self._file.seek(offset)
        while left and (count := self._file.readinto(left)):
            left = left[count:]
        return not left

    def forget(self) -> None:
        """Forget what was read ahead, which may have changed."""
        self._window = (0, b"")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _bytes(self, offset: int, count: int, at_most: int) -> bytes | None:
        if not self.reaches(offset + count):
            return None
        self._file.seek(offset)
        raw = self._file.read(at_most)
        return raw if raw is not None and len(raw) >= count else None
