"""Recordings of volumes whose true content is known, for the tests of this room."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from acquisition.files.file_check import Checked
from acquisition.follow.file_follower import FileFollower
from acquisition.scanimage.frame_counter import FrameCounter, PageIndex
from acquisition.simulation.scanimage_encoding import Recording
from acquisition.simulation.scanimage_writer import Writer
from tests.acquisition.files import BEGAN

RATE_HZ = 30.0
SHAPE = (2, 2)
Flyback = Literal["saved", "not saved", "not numbered"]
"""Fly-back frames: pages of their own; numbers that are missing; or not even numbered."""


class Frame(NamedTuple):
    """A saved frame and what it really shows."""

    number: int
    acquisition: int
    number_in_acquisition: int
    timestamp_s: float
    slice_: int | None
    """None for a fly-back frame."""


def recording(
    slices: int,
    frames_per_slice: int = 1,
    flyback: int = 0,
    channels: int = 1,
    averaged: int = 1,
    discard: bool = True,
) -> Recording:
    return Recording(
        shape=SHAPE,
        rate_hz=RATE_HZ,
        zs_um=tuple(20.0 * i for i in range(slices)),
        channels=tuple(range(1, channels + 1)),
        frames_per_slice=frames_per_slice,
        flyback_frames=flyback,
        averaged=averaged,
        facts={"SI.hFastZ.discardFlybackFrames": discard},
    )


def frames_of(
    recorded: Recording, kind: Flyback, scanned: tuple[int, ...], pause_s: float = 1.0
) -> Iterator[Frame]:
    """Scan acquisitions of these lengths, as ScanImage does, and yield the saved frames."""
    per_slice, averaged = recorded.frames_per_slice, recorded.averaged
    in_volume = len(recorded.zs_um) * per_slice
    offset, t = 0, 0.0
    for acquisition, count in enumerate(scanned, 1):
        number = 0
        for scan in range(count):
            position = scan % (in_volume + recorded.flyback_frames)
            flying = position >= in_volume
            number += not (flying and kind == "not numbered")
            within = position - in_volume if flying else position
            last_of_average = (within + 1) % averaged == 0
            if last_of_average and (not flying or kind == "saved"):
                slice_ = None if flying else position // per_slice
                at_s = t + scan / recorded.rate_hz
                yield Frame(offset + number, acquisition, number, at_s, slice_)
        offset, t = offset + number, t + count / recorded.rate_hz + pause_s


def save(path: Path, recorded: Recording, frames: list[Frame]) -> Path:
    """Write a file whose pixels encode what is shown: 1 + the slice, or 0 for fly-back."""
    writer = Writer(path, recorded, BEGAN, "pre")
    for frame in frames:
        level = 0 if frame.slice_ is None else 1 + frame.slice_
        numbers = (frame.number, frame.acquisition, frame.number_in_acquisition)
        for _ in recorded.channels:
            writer.append(np.full(SHAPE, level, np.int16), frame.timestamp_s, *numbers)
    writer.close()
    return path


def read(paths: list[Path]) -> tuple[list[tuple[PageIndex | None, int]], FrameCounter]:
    """Return what each page is published to show, with the level of its pixels, and the counter."""
    counter: FrameCounter | None = None
    found: list[tuple[PageIndex | None, int]] = []
    for path in paths:
        with closing(FileFollower(path)) as follower:
            for number, page in enumerate(follower.poll(ended=True)):
                if counter is None or (
                    number == 0 and not counter.continues(follower.header, page)
                ):
                    counter = FrameCounter(follower.header)
                found.append((counter.place(page), int(follower.pixels(page)[0, 0])))
    assert counter is not None
    return found, counter


def true_places(recorded: Recording, frames: list[Frame]) -> list[tuple[PageIndex | None, int]]:
    """Return what `read` must return."""
    return [
        (None, 0) if frame.slice_ is None else (PageIndex(channel, frame.slice_), 1 + frame.slice_)
        for frame in frames
        for channel in recorded.channels
    ]


def suite2p_planes(ops: dict[str, object], files: list[Checked]) -> list[list[int]]:
    """Return the levels that Suite2p finds in each plane that it does not ignore.

    Suite2p takes every (nplanes * nchannels)th page of all files for a plane.
    """
    import tifffile

    pages = np.concatenate([tifffile.imread(f.path).reshape(-1, *SHAPE) for f in files])
    planes, channels = int(str(ops["nplanes"])), int(str(ops["nchannels"]))
    ignored = list(ops["ignore_flyback"])  # type: ignore[call-overload]
    return [
        sorted({int(page[0, 0]) for page in pages[plane * channels :: planes * channels]})
        for plane in range(planes)
        if plane not in ignored
    ]
