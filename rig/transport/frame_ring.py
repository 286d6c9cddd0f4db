"""Share imaging pixels between processes: a ring in shared memory, or the file as a fallback."""

import mmap
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from rig.transport.private_folder import open_private

_HEADER_BYTES = 64
_EMPTY = 0


class RingPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Path and size of the ring."""

    path: str
    slots: Annotated[int, msgspec.Meta(ge=1)]
    slot_bytes: Annotated[int, msgspec.Meta(ge=1)]


class Ring:
    """A ring buffer of the last `slots` frames; slot i % slots has number and pixels of frame i.

    Only the rig's user may read or write its file, and a link or another user's file is refused.

    One process writes. A reader copies a slot and then checks that its number is unchanged, so a
    slow reader never blocks the writer and never returns a partly overwritten frame.
    """

    def __init__(self, plan: RingPlan, create: bool = False) -> None:
        """Map the ring's file; with `create`, create it first. Raises OSError if that fails."""
        self._plan = plan
        # Slots are aligned to the header size, because only aligned numbers are written atomically.
        self._stride = _HEADER_BYTES * (1 + -(-plan.slot_bytes // _HEADER_BYTES))
        total_bytes = plan.slots * self._stride
        if create:
            with os.fdopen(open_private(Path(plan.path), os.O_CREAT | os.O_EXCL), "wb") as file:
                file.truncate(total_bytes)
                if hasattr(os, "posix_fallocate"):  # to fail now, and not by SIGBUS later
                    os.posix_fallocate(file.fileno(), 0, total_bytes)
        with os.fdopen(open_private(Path(plan.path), 0), "r+b") as file:
            found = os.fstat(file.fileno())
            if found.st_size != total_bytes or found.st_uid != _user():
                raise OSError(f"{plan.path} is not the ring of this session; start a new one")
            self._map = mmap.mmap(file.fileno(), total_bytes)

    def write(self, index: int, pixels: NDArray[Any]) -> None:
        """Write a frame to its slot. Raises Refused if the frame is larger than a slot."""
        flat = np.ascontiguousarray(pixels).reshape(-1).view(np.uint8)
        self.fill(index, pixels.nbytes, lambda body: np.copyto(body, flat))

    def fill(self, index: int, count: int, into: Callable[[NDArray[np.uint8]], None]) -> None:
        """Call `into` to write a frame of `count` bytes directly into its slot.

        Raises Refused if the frame is larger than a slot. If `into` raises, the slot is empty.
        """
        if count > self._plan.slot_bytes:
            raise Refused(
                f"a frame of {count} bytes does not fit a ring slot of "
                f"{self._plan.slot_bytes}; set rig.ring_slot_mb higher"
            )
        start = (index % self._plan.slots) * self._stride
        self._number(start)[0] = _EMPTY
        into(np.frombuffer(self._map, np.uint8, count, start + _HEADER_BYTES))
        self._number(start)[0] = index + 1

    def read(self, index: int, shape: tuple[int, int], dtype: str) -> NDArray[Any] | None:
        """Return a copy of frame `index`; None if it was overwritten or not yet written."""
        start = (index % self._plan.slots) * self._stride
        count = shape[0] * shape[1]
        too_large = count * np.dtype(dtype).itemsize > self._plan.slot_bytes
        if too_large or self._number(start)[0] != index + 1:
            return None
        pixels = np.frombuffer(self._map, dtype, count, start + _HEADER_BYTES).reshape(shape).copy()
        return pixels if self._number(start)[0] == index + 1 else None

    def close(self) -> None:
        """Unmap the file; the process that created it removes it."""
        self._map.close()

    def _number(self, start: int) -> NDArray[np.uint64]:
        return np.frombuffer(self._map, np.uint64, 1, start)


def _user() -> int:
    user = 0
    if sys.platform != "win32":
        user = os.getuid()
    return user


def read_pixels(
    path: Path, offset_bytes: int, shape: tuple[int, int], dtype: str
) -> NDArray[Any] | None:
    """Read a frame's uncompressed pixels from its file; None if the file does not contain them."""
    try:
        pixels = np.fromfile(path, dtype, shape[0] * shape[1], offset=offset_bytes)
    except OSError:
        return None
    return pixels.reshape(shape) if pixels.size == shape[0] * shape[1] else None
