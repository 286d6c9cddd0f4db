"""Add the pixels to a received Frame, from the ring or from its file."""

from pathlib import Path
from typing import Any

import msgspec

from rig.messages import Frame, Start
from rig.transport.frame_ring import Ring, RingPlan, read_pixels

IMAGING_FOLDER = "imaging"
"""Folder in a session folder for TIFFs, also for copies of those that were saved elsewhere."""


def imaging_file(folder: Path, name: str) -> Path:
    """Return the path of an imaging file that a message of a session names.

    A microscope may save outside the session folder. If `rig copy` has put a copy of the file into
    the session folder, this is its path.
    """
    copied = folder / IMAGING_FOLDER / name.replace("\\", "/").rpartition("/")[2]
    return copied if copied.is_file() else folder / name


class Pixels:
    """The source of the pixels of Frames: the ring, or the file if the ring was overrun."""

    def __init__(self, folder: Path = Path()) -> None:
        self._folder = folder
        self._ring: Ring | None = None
        self.overrun = False
        """True if the last frame was overwritten in the ring before it was read."""
        self.overruns = 0
        """Number of frames that were overwritten before they were read."""

    def open(self, start: Start) -> None:
        """Open the ring of the session, if Start has one."""
        plan = start.session.get("ring")
        if plan is not None:
            self._ring = Ring(msgspec.convert(plan, RingPlan))

    def of(self, frame: Frame) -> Frame:
        """Return the frame with its pixels, or unchanged if neither ring nor file has them."""
        shape = (frame.height_px, frame.width_px)
        pixels: Any = None
        if self._ring is not None:
            pixels = self._ring.read(frame.index, shape, frame.dtype)
            self.overrun = pixels is None
            self.overruns += self.overrun
        if pixels is None:
            path = imaging_file(self._folder, frame.file)
            pixels = read_pixels(path, frame.offset_bytes, shape, frame.dtype)
        return msgspec.structs.replace(frame, pixels=pixels)

    def close(self) -> None:
        """Close the ring."""
        if self._ring is not None:
            self._ring.close()
