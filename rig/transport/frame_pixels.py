"""Add the pixels to a received Frame, from the ring or from its file."""

from pathlib import Path
from typing import Any

import msgspec

from rig.messages import Frame, Start
from rig.transport.frame_ring import Ring, RingPlan, read_pixels


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
            path = self._folder / frame.file
            pixels = read_pixels(path, frame.offset_bytes, shape, frame.dtype)
        return msgspec.structs.replace(frame, pixels=pixels)

    def close(self) -> None:
        """Close the ring."""
        if self._ring is not None:
            self._ring.close()
