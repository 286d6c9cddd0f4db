"""Read closed ScanImage files with the vendor's reader, which is safe only for sound files.

The vendor's reader crashes on damaged files and on page ranges outside the file, and it returns
incomplete or compressed pages without an error. So our own FileFollower reads the file first, every
range is checked, nothing is read while the file is being closed, and all pixels are compared with
the file.
"""

import threading
from array import array
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.follow.file_follower import FileFollower
from acquisition.scanimage.frame_counter import FrameCounter, PageIndex
from acquisition.scanimage.page import Page
from acquisition.scanimage.preamble import NotScanImage
from rig.transport.frame_ring import read_pixels


class ClosedFile:
    """A closed file: its pages by index from 0. Several threads may read it."""

    def __init__(self, path: Path) -> None:
        """Check the file, then open it.

        Raises Refused if the file is not from ScanImage, is damaged, compressed, incomplete or not
        closed, or if the vendor's reader finds another number of pages.
        """
        self.path = path
        self.shape = (0, 0)
        """Size of a page, (height_px, width_px)."""
        self.dtype = "<i2"
        self._places: list[PageIndex | None] = []
        self._flyback_pages = 0
        self._unclear = ""
        self._lock = threading.Lock()
        self._reader: Any = None
        self._follower = FileFollower(path)
        try:
            self._offsets = self._whole_pages()
            if self._offsets:
                self._open_reader()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._offsets)

    def read(self, first: int, after: int) -> NDArray[Any]:
        """Return pages first to after - 1: (pages, height_px, width_px).

        Raises Refused if they do not exist, or if the vendor's reader returns other pixels.
        """
        if not 0 <= first < after <= len(self):
            raise self._follower.refused(f"has {len(self)} pages, not pages {first} to {after - 1}")
        with self._lock:
            if self._reader is None:
                raise self._follower.refused("has been closed")
            # The vendor's reader takes no range if there is a single page.
            raw = self._reader.data() if len(self) == 1 else self._reader.data(first, after)
        pages = np.asarray(raw).reshape(-1, *np.shape(raw)[-2:])
        same = pages.shape == (after - first, *self.shape) and pages.dtype == np.dtype(self.dtype)
        if not same or not all(self._is(page, first + i) for i, page in enumerate(pages)):
            raise self._follower.refused("is read wrongly by ScanImage's reader")
        return pages

    def description(self, page: int) -> str:
        """Return a page's description. Raises Refused if that page does not exist."""
        if not 0 <= page < len(self):
            raise self._follower.refused(f"has {len(self)} pages, not a page {page}")
        with self._lock:
            if self._reader is None:
                raise self._follower.refused("has been closed")
            try:
                return str(self._reader.description(page))
            except UnicodeDecodeError as error:
                raise self._follower.refused(
                    f"has a page {page} whose description is not text"
                ) from error

    @property
    def places(self) -> list[PageIndex | None]:
        """The channel and plane of each page; None for fly-back and repeated frames.

        Raises Refused if the header does not show which depth a page shows.
        """
        if self._unclear:
            raise self._follower.refused(self._unclear)
        return self._places

    @property
    def flyback_pages(self) -> int:
        """Number of pages of fly-back frames, as far as this is known."""
        return self._flyback_pages

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            reader, self._reader = self._reader, None
            if reader is not None:
                reader.close()
            self._follower.close()

    def _whole_pages(self) -> "array[int]":
        """Check the whole file; return the offsets of its pages' pixels."""
        follower = self._follower
        offsets = array("Q")
        first: Page | None = None
        counter: FrameCounter | None = None
        for page in follower.poll():
            first = first or page
            counter = self._place(page, counter)
            kinds = [(p.height_px, p.width_px, p.dtype) for p in (first, page)]
            if kinds[0] != kinds[1]:
                raise follower.refused("has pages of different sizes")
            offsets.append(page.offset_bytes)
        if not follower.began or follower.torn_bytes:
            raise follower.refused(f"ends inside a page, after {len(offsets)} complete pages")
        if not follower.ends:
            raise follower.refused(f"was not closed after its {len(offsets)} pages")
        if first is not None:
            self.shape, self.dtype = (first.height_px, first.width_px), first.dtype
        return offsets

    def _place(self, page: Page, counter: FrameCounter | None) -> FrameCounter | None:
        """Store what a page shows, as long as this is known."""
        if self._unclear:
            return counter
        try:
            counter = counter or FrameCounter(self._follower.header)
            self._places.append(counter.place(page))
        except NotScanImage as problem:
            self._unclear = str(problem)
            return counter
        self._flyback_pages = counter.flyback_pages
        return counter

    def _open_reader(self) -> None:
        from ScanImageTiffReader import ScanImageTiffReader

        try:
            self._reader = ScanImageTiffReader(str(self.path))
            theirs = len(self._reader)
        except Exception as error:  # the vendor's reader raises bare ones
            raise self._follower.refused(
                f"cannot be read by ScanImage's reader ({error})"
            ) from error
        if theirs != len(self):
            raise self._follower.refused(
                f"has {len(self)} pages, but ScanImage's reader finds {theirs}"
            )

    def _is(self, pixels: NDArray[Any], page: int) -> bool:
        ours = read_pixels(self.path, self._offsets[page], self.shape, self.dtype)
        return ours is not None and ours.tobytes() == pixels.tobytes()


def pages_in(path: Path) -> int:
    """Count a closed file's pages, without those of fly-back frames.

    Raises Refused as ClosedFile does.
    """
    with closing(ClosedFile(path)) as file:
        return len(file) - file.flyback_pages
