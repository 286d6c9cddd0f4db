"""The mean image of each depth in a saved file, with the regions in place."""

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
"""Percentiles of brightness that become black and white."""
_BETWEEN_PX = 8
"""Number of white columns between two depths."""

Image = NDArray[np.float64]


def mean_images(path: Path, frames: int) -> list[Image]:
    """Return the mean of the first frames of each depth: (height_px, width_px) each.

    Regions are at their positions in the tissue, without the lines between them; pixels that were
    not scanned are NaN. If several channels were saved, only the first is used, unless each channel
    shows another depth.

    Raises:
        Refused: The file has no page, or is damaged within these frames.
    """
    with closing(FileFollower(path)) as follower:
        try:
            return _means(follower, frames)
        except NotScanImage as problem:
            raise follower.refused(str(problem)) from problem


def side_by_side(images: Sequence[Image]) -> NDArray[np.uint8]:
    """Return images next to each other in grey, (height_px, width_px, 3) uint8; NaN is black."""
    height = max(image.shape[0] for image in images)
    columns: list[NDArray[Any]] = []
    for image in images:
        column = np.zeros((height, image.shape[1]))
        column[: image.shape[0]] = _grey(image)
        columns += [column, np.full((height, _BETWEEN_PX), 255.0)]
    return np.repeat(np.hstack(columns[:-1])[..., None], 3, axis=2).astype(np.uint8)


def _means(follower: FileFollower, frames: int) -> list[Image]:
    sums: dict[int, Image] = {}
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
        raise NotScanImage("has no page yet; wait for some frames")
    return [_stitched(sums[plane] / had[plane], planes[plane]) for plane in sorted(had)]


def _shown(follower: FileFollower) -> Iterator[tuple[int, Page]]:
    """Yield the plane and the page of each frame, of the channel that is used."""
    counter: FrameCounter | None = None
    for page in follower.poll(ended=True):
        header = follower.header
        counter = counter or FrameCounter(header)
        index = counter.place(page)
        first = (header.channels or (1,))[0]
        if index is not None and (header.depths_per_frame > 1 or index.channel == first):
            yield index.plane, page


def _stitched(mean: Image, strips: Sequence[PageStrip]) -> Image:
    return stitch(cut(mean, strips), [strip.field for strip in strips])


def _grey(image: Image) -> Image:
    darkest, brightest = np.nanpercentile(image, [_DARKEST, _BRIGHTEST])
    grey = 255.0 * (image - darkest) / (brightest - darkest or 1.0)
    return np.asarray(np.clip(np.nan_to_num(grey), 0.0, 255.0))
