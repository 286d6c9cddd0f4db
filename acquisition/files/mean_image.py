"""What a saved file shows, as one would look at the tissue: a mean picture of each depth."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.follow.file_follower import FileFollower
from acquisition.scanimage.frame_counter import FrameCounter
from acquisition.scanimage.page import Page
from acquisition.scanimage.preamble import NotScanImage
from acquisition.scanimage.regions import PageStrip, cut, stitch
from acquisition.scanimage.scan_message import strips_of

_DARKEST, _BRIGHTEST = 1.0, 99.7
"""The percentiles of brightness that are drawn as black and as white."""
_BETWEEN_PX = 8

Picture = NDArray[np.float64]


def mean_pictures(path: Path, frames: int) -> list[Picture]:
    """Return the mean of the first frames of each depth: (height_px, width_px), regions in place.

    The lines between regions are left out; where nothing is scanned is NaN. Of several channels
    the first one is shown, unless they are depths that are scanned at once. Raises Refused if it
    has no page, or is damaged before there are so many frames.
    """
    with closing(FileFollower(path)) as follower:
        try:
            return _means(follower, frames)
        except NotScanImage as problem:
            raise follower.refused(str(problem)) from problem


def drawn(pictures: Sequence[Picture]) -> NDArray[np.uint8]:
    """Return the pictures side by side, in grey: (height_px, width_px, 3); what is NaN is black."""
    height = max(picture.shape[0] for picture in pictures)
    columns: list[NDArray[Any]] = []
    for picture in pictures:
        column = np.zeros((height, picture.shape[1]))
        column[: picture.shape[0]] = _grey(picture)
        columns += [column, np.full((height, _BETWEEN_PX), 255.0)]
    return np.repeat(np.hstack(columns[:-1])[..., None], 3, axis=2).astype(np.uint8)


def _means(follower: FileFollower, frames: int) -> list[Picture]:
    sums: dict[int, Picture] = {}
    had: dict[int, int] = {}
    planes: list[list[PageStrip]] = []
    for plane, page in _shown(follower):
        planes = planes or strips_of(follower.header, follower.regions, page)
        if had.get(plane, 0) < frames:
            sums[plane] = sums.get(plane, 0.0) + follower.pixels(page).astype(np.float64)
            had[plane] = had.get(plane, 0) + 1
        if len(had) == len(planes) and min(had.values()) == frames:
            break
    if not had:
        raise NotScanImage("has no page to look at")
    return [_laid_out(sums[plane] / had[plane], planes[plane]) for plane in sorted(had)]


def _shown(follower: FileFollower) -> Iterator[tuple[int, Page]]:
    """Yield the pages of the channel that is shown, with their plane."""
    counter: FrameCounter | None = None
    for page in follower.poll(ended=True):
        header = follower.header
        counter = counter or FrameCounter(header)
        index = counter.place(page)
        first = (header.channels or (1,))[0]
        if index is not None and (header.depths_per_frame > 1 or index.channel == first):
            yield index.plane, page


def _laid_out(mean: Picture, strips: Sequence[PageStrip]) -> Picture:
    return stitch(cut(mean, strips), [strip.field for strip in strips])


def _grey(picture: Picture) -> Picture:
    darkest, brightest = np.nanpercentile(picture, [_DARKEST, _BRIGHTEST])
    grey = 255.0 * (picture - darkest) / (brightest - darkest or 1.0)
    return np.asarray(np.clip(np.nan_to_num(grey), 0.0, 255.0))
