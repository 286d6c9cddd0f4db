"""Read a file by position while another process appends to it."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_WINDOW_BYTES = 1024
"""Number of bytes read ahead: enough for the tags and description of a page of 2016 or later."""


class GrowingFile:
    """A growing file, of which the bytes so far can be read.

    Each read seeks first, because not every operating system has a positional read. The size is
    read from the open file, because a network share caches the size that belongs to a file's name.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. Raises OSError if that fails."""
        self._file = path.open("rb", buffering=0)
        self._size = 0
        self._window = (0, b"")

    def size(self) -> int:
        """Return the size of the file now, in bytes."""
        self._size = os.fstat(self._file.fileno()).st_size
        return self._size

    @property
    def identity(self) -> tuple[int, int]:
        """An identifier of this file that a renaming does not change."""
        stat = os.fstat(self._file.fileno())
        return stat.st_dev, stat.st_ino

    def reaches(self, end: int) -> bool:
        """Return True if the file has at least `end` bytes."""
        return end <= self._size or end <= self.size()

    def read(self, offset: int, count: int) -> bytes | None:
        """Return bytes; None if the file does not reach that far.

        More bytes are read ahead; later calls return them from memory, until `forget`.
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
        """Fill `body` from an offset; return True if there were enough bytes. Raises OSError."""
        left = body.data
        self._file.seek(offset)
        while left and (count := self._file.readinto(left)):
            left = left[count:]
        return not left

    def forget(self) -> None:
        """Drop the bytes that were read ahead, as they may have changed in the file."""
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
