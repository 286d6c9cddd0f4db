"""Find which slice a frame shows, from the frame's number within its acquisition.

A fast stack scans its slices repeatedly. ScanImage numbers every scanned frame from 1 in each
acquisition (`frameNumberAcquisition`), including fly-back frames. With 3 slices of 2 frames
(`framesPerSlice = 2`) and 2 fly-back frames:

    number     1   2   3   4   5   6   7   8 |  9  10  11 ...
    shows      slice 0 slice 1 slice 2  -   -| slice 0 slice 1 ...
               |-- frames_per_volume --|     |
               |----------- period ----------|

Fly-back frames show no slice. They may be saved, or their numbers may be missing in the file;
`discardFlybackFrames` does not show which. In files whose numbers leave out fly-back frames
(`flyback_numbered = False`) the period is `frames_per_volume`. A frame that averages several
scanned frames (`logAverageFactor = 2`) has the number of the last of them: 2, 4, 6, 10, 12 ...

Source: ScanImage's StackManager: zIdx = mod(frameNumberAcq - 1, numFramesPerVolumeWithFlyback) + 1,
fly-back if zIdx > numFramesPerVolume = numel(zs).
"""

from typing import Self

import msgspec

from acquisition.scanimage.header import Header
from acquisition.scanimage.preamble import NotScanImage


class VolumeModel(msgspec.Struct, frozen=True, kw_only=True):
    """The frames of one volume, in the order of the scan."""

    slices: int = 1
    frames_per_slice: int = 1
    flyback_frames: int = 0
    """Number of frames scanned while the focus returns, at the end of each volume."""
    averaged: int = 1
    """Number of scanned frames that are averaged into one saved frame."""
    flyback_numbered: bool = True
    """True if fly-back frames are numbered, even if they are not saved."""

    @classmethod
    def of(cls, header: Header) -> Self:
        """Return the model of a recording. Raises NotScanImage if its header contradicts itself."""
        if header.unclear:
            raise NotScanImage(header.unclear)
        return cls(
            slices=header.slices,
            frames_per_slice=header.frames_per_slice,
            flyback_frames=header.flyback_frames,
            averaged=header.averaged,
        )

    @property
    def one_plane(self) -> bool:
        """True if every frame shows the same slice."""
        return self.slices == 1 and not self.flyback_frames

    @property
    def frames_per_volume(self) -> int:
        """Number of scanned frames of all slices, without fly-back."""
        return self.slices * self.frames_per_slice

    @property
    def period(self) -> int:
        """Number by which frame numbers increase from one volume to the next."""
        return self.frames_per_volume + self.flyback_frames * self.flyback_numbered

    def slice_of(self, number: int) -> int | None:
        """Return the slice that a frame shows, from 0; None if it is a fly-back frame.

        Args:
            number: Number of the frame within its acquisition, from 1.

        Raises:
            NotScanImage: The frame averages frames of two slices.
        """
        if self.one_plane:
            return 0
        position = (number - 1) % self.period
        if position >= self.frames_per_volume:
            return None
        if (position + 1) % self.averaged:
            raise NotScanImage(
                f"has frame {number} of its acquisition, which averages {self.averaged} frames of "
                "more than one slice; set the averaging (logAverageFactor) to 1"
            )
        return position // self.frames_per_slice

    def volume_of(self, number: int) -> int:
        """Return the index of a frame's volume, from 0."""
        return (number - 1) // self.period

    def next_number(self, number: int) -> int:
        """Return the number of the next frame that shows a slice."""
        position = (number - 1) % self.period
        if self.one_plane or position + self.averaged < self.frames_per_volume:
            return number + self.averaged
        return number - position + self.period + self.averaged - 1

    def previous_number(self, number: int) -> int:
        """Return the number of the previous frame that shows a slice; below 1 if there is none."""
        position = (number - 1) % self.period
        if self.one_plane or position >= self.averaged:
            return number - self.averaged
        return number - 1 - position - (self.period - self.frames_per_volume)
