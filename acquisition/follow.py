"""Follows a growing ScanImage file, and the next one of its folder, a whole page at a time."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from acquisition.scanimage import (
    FIRST_LINK_AT,
    LINK,
    PREAMBLE_BYTES,
    NotScanImage,
    Page,
    number_of,
    parse_page,
    parse_preamble,
    regions_of,
    text_of,
)
from rig.frames import read_pixels
from rig.refused import Refused

_PADDING_BYTES = 8


class FileFollower:
    """Reads each page of one file once, as soon as all of it is on disk.

    Knows both kinds of writer: one links to where the next page will be, the other puts the link in
    when it is there. An unfinished end is waited for; bytes that can never become a page are
    refused.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. Raises Refused if it cannot be."""
        self.path = path
        self.static: str | None = None
        """The static metadata, once it is on disk."""
        self.regions: dict[str, Any] = {}
        self._end = PREAMBLE_BYTES
        self._page_at = 0
        self._link_at = FIRST_LINK_AT
        self._linked_ahead = False
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise self.refused(f"cannot be opened ({error.strerror})") from error

    def poll(self) -> Iterator[Page]:
        """Yield the pages that have become complete. Raises Refused if the file is damaged."""
        try:
            while (page := self._next_page()) is not None:
                yield page
        except NotScanImage as error:
            raise self.refused(str(error)) from error
        except OSError as error:
            raise self.refused(f"cannot be read ({error.strerror})") from error

    @property
    def frame_period_s(self) -> float | None:
        """The time between frames that the metadata state, once they are on disk."""
        rate_hz = number_of(self.static or "", "SI.hRoiManager.scanFrameRate")
        return 1.0 / rate_hz if rate_hz else None

    def pixels(self, page: Page) -> NDArray[Any]:
        """Read a page's pixels, height x width. Raises Refused if the file has lost them."""
        shape = (page.height_px, page.width_px)
        pixels = read_pixels(self.path, page.offset_bytes, shape, page.dtype)
        if pixels is None:
            raise self.refused(f"has lost frame {page.number}, which was there")
        return pixels

    @property
    def finished(self) -> bool:
        """Whether the writer has taken back its link ahead: nothing will follow."""
        return self._linked_ahead and self.ends

    @property
    def ends(self) -> bool:
        """Whether the last page that is there links to no other, as in a file that was closed."""
        return self._link() == 0

    @property
    def torn_bytes(self) -> int:
        """How many bytes stand behind the last complete page: the beginning of another."""
        size = os.fstat(self._file.fileno()).st_size
        torn = size - max(self._end, self._link())
        return torn if torn > _PADDING_BYTES else 0

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _next_page(self) -> Page | None:
        if self.static is None and not self._read_metadata():
            return None
        at = self._link()
        if at == 0:
            return None
        if at <= self._page_at or at < PREAMBLE_BYTES:
            # Pages are written in order; a link back would be followed for ever.
            raise NotScanImage(f"has a page that links back, from byte {self._link_at} to {at}")
        page = parse_page(self._read, at)
        if page is None:
            self._linked_ahead = True
            return None
        self._page_at, self._link_at = at, page.link_at
        self._end = max(page.end, page.link_at + LINK.size)
        return page

    def _read_metadata(self) -> bool:
        raw = self._read(0, PREAMBLE_BYTES)
        if raw is None:
            return False
        sizes = parse_preamble(raw)
        blocks = self._read(PREAMBLE_BYTES, sizes.static_bytes + sizes.regions_bytes)
        if blocks is None:
            return False
        self.regions = regions_of(blocks[sizes.static_bytes :])
        self.static = text_of(blocks[: sizes.static_bytes])
        self._end = PREAMBLE_BYTES + len(blocks)
        return True

    def _link(self) -> int:
        raw = self._read(self._link_at, LINK.size)
        return int(LINK.unpack(raw)[0]) if raw else 0

    def _read(self, offset: int, count: int) -> bytes | None:
        if offset + count > os.fstat(self._file.fileno()).st_size:
            return None
        self._file.seek(offset)
        raw = self._file.read(count)
        return raw if len(raw) == count else None

    def refused(self, what: str) -> Refused:
        """Return the error that says what is wrong with this file."""
        return Refused(
            f"{self.path.as_posix()} {what}; end the acquisition, and keep only whole ScanImage "
            "TIFFs in that folder"
        )


class FolderFollower:
    """Reads the pages of a folder's files, one file after the other in the order of their names."""

    def __init__(self, folder: Path) -> None:
        self.file: FileFollower | None = None
        """The file now followed, if there is one yet."""
        self._folder = folder

    def poll(self) -> Iterator[tuple[FileFollower, Page]]:
        """Yield the pages that have become complete, with their file. Raises Refused."""
        while True:
            yield from self._pages()
            successor = self._successor()
            if successor is None:
                return
            # The next file has a page, so the writer is done with this one: a last look.
            yield from self._pages()
            self._leave()
            self.file = FileFollower(successor)

    def close(self) -> None:
        """Let the file go."""
        if self.file is not None:
            self.file.close()

    def _pages(self) -> Iterator[tuple[FileFollower, Page]]:
        if self.file is not None:
            for page in self.file.poll():
                yield self.file, page

    def _successor(self) -> Path | None:
        """Return the next file of the folder; unless it is the first, only once it has a page."""
        last = self.file.path.name if self.file is not None else ""
        later = [path for path in self._folder.glob("*.tif") if path.name > last]
        path = min(later, default=None)
        return path if path is not None and (self.file is None or _has_a_page(path)) else None

    def _leave(self) -> None:
        if self.file is None:
            return
        torn = self.file.torn_bytes
        if torn:
            raise self.file.refused(f"ends inside a frame ({torn} bytes of it) and another follows")
        self.file.close()


def _has_a_page(path: Path) -> bool:
    probe = FileFollower(path)
    try:
        return next(probe.poll(), None) is not None
    finally:
        probe.close()
