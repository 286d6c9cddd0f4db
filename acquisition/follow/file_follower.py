"""Follows a growing ScanImage file, a whole page at a time."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.follow.growing_file import GrowingFile
from acquisition.scanimage.header import Header, parse_header
from acquisition.scanimage.header_text import json_object
from acquisition.scanimage.page import Page, PageParser
from acquisition.scanimage.preamble import (
    BIG,
    PREAMBLE_BYTES,
    NotScanImage,
    Preamble,
    TiffLayout,
    parse_preamble,
    regions_of,
    text_of,
)
from rig.errors import Refused

_PADDING_BYTES = 8
_SETTINGS = re.compile(r"""^\s*(\{|(scanimage\.)?SI[45]?\.[\w.]+ *=)""", re.MULTILINE)
"""How ScanImage's settings begin, as lines or as JSON."""
_TAG_NUMBER = struct.Struct("<H")
_FIRST_TAGS = (254, 255, 256)
"""Tags stand in order, and each page has the last of these."""


class FileFollower:
    """Reads each page of one file once, as soon as all of it is on disk.

    Knows both kinds of writer: one links to where the next page will be, the other puts the link in
    when it is there. An unfinished end is waited for; bytes that can never become a page are
    refused. Where a file's size says nothing of what has been written, as on a network share, be
    `strict`: a page then counts when the next one has begun, or the file is closed. A file that is
    longer than what has been written into it is found out, and then followed so.
    """

    def __init__(self, path: Path, strict: bool = False) -> None:
        """Open the file. Raises Refused if it cannot be."""
        self.path = path
        self.static: str | None = None
        """The static metadata, once it is on disk."""
        self.regions: dict[str, Any] = {}
        self._header: Header | None = None
        self._strict = strict
        self._layout: TiffLayout = BIG
        self._parser = PageParser()
        self._end = PREAMBLE_BYTES
        self._page_at = self._next_at = 0
        self._link_at = BIG.first_link_at
        self._began = False
        self._linked_ahead = False
        self._preamble = Preamble(0, 0)
        self._held: Page | None = None
        """The first page, while its file's metadata have not been read."""
        self._withheld_at = -1
        """The link of a page that was linked on, but not followed by another, when last seen."""
        try:
            self._file = GrowingFile(path)
        except OSError as error:
            raise self.refused(f"cannot be opened ({error.strerror})") from error

    def poll(self, ended: bool = False) -> Iterator[Page]:
        """Yield the pages that have become whole. Raises Refused if the file is damaged.

        `ended` says that nothing is written any more: a closed file's last page then counts even if
        strict.
        """
        try:
            if (page := self._held) is not None:
                if not self._read_texts(page):
                    return
                self._held = None
                yield page
            while (page := self._next_page(ended)) is not None:
                if self.static is None and not self._read_texts(page):
                    self._held = page
                    return
                yield page
        except NotScanImage as error:
            raise self.refused(str(error)) from error
        except OSError as error:
            raise self.refused(f"cannot be read ({error.strerror})") from error

    @property
    def header(self) -> Header:
        """What the static metadata say, once they are on disk."""
        if self._header is None and self.static is not None:
            self._header = parse_header(self.static)
        return self._header or Header()

    @property
    def frame_period_s(self) -> float | None:
        """The time between frames that the metadata state, once they are on disk."""
        rate_hz = self.header.frame_rate_hz
        return 1.0 / rate_hz if rate_hz else None

    @property
    def identity(self) -> tuple[int, int]:
        """What tells this file from any other, whatever its name is by now."""
        return self._file.identity

    @property
    def has_page(self) -> bool:
        """Whether a first page is whole; unlike `poll` it reads no metadata.

        Raises Refused if the file is damaged.
        """
        try:
            if not self._page_at:
                self._held = self._next_page(ended=False)
            return self._page_at > 0
        except NotScanImage as error:
            raise self.refused(str(error)) from error
        except OSError as error:
            raise self.refused(f"cannot be read ({error.strerror})") from error

    def pixels(self, page: Page) -> NDArray[Any]:
        """Read a page's pixels, height x width. Raises Refused if the file has lost them."""
        pixels = np.empty((page.height_px, page.width_px), page.dtype)
        self.read_into(page, pixels.reshape(-1).view(np.uint8))
        return pixels

    def read_into(self, page: Page, body: NDArray[np.uint8]) -> None:
        """Read a page's pixels into bytes of just that size.

        Raises Refused if the file has lost them.
        """
        try:
            whole = self._file.read_into(page.offset_bytes, body)
        except OSError as error:
            raise self.refused(f"cannot be read ({error.strerror})") from error
        if not whole:
            raise self.refused(f"has lost frame {page.number}, which was there")

    @property
    def began(self) -> bool:
        """Whether the beginning of the file is there."""
        return self._began

    @property
    def link_bytes(self) -> int:
        """The size of a link in this kind of TIFF."""
        return self._layout.link.size

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
        """How many bytes stand behind the last whole page: the beginning of another."""
        size = self._file.size()
        next_at = self._link()
        if self._strict:  # what stands there counts only if a page has begun
            begun = next_at and self._has_begun(next_at)
            return size - next_at if begun else 0
        torn = size - max(self._end, next_at)
        return torn if torn > _PADDING_BYTES else 0

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _next_page(self, ended: bool) -> Page | None:
        self._file.forget()
        if not self._began and not self._read_metadata():
            return None
        at = self._next_at or self._link()
        if at == 0:
            return None
        if at <= self._page_at or at < self._layout.first_link_at:
            # Pages are written in order; a link back would be followed for ever.
            raise NotScanImage(f"has a page that links back, from byte {self._link_at} to {at}")
        page = self._parser.parse(self._file.read, at) if self._is_written(at, ended) else None
        if page is None or not self._file.reaches(page.end):
            self._linked_ahead = True
            self._next_at = 0
            return None
        self._page_at, self._link_at = at, page.link_at
        self._end = page.end
        return page

    def _is_written(self, at: int, ended: bool) -> bool:
        """Whether the page at `at` may have been written, as far as links and room tell."""
        self._next_at = 0
        entries = self._number(at, self._layout.entries)
        if not entries:
            self._strict |= entries == 0  # room was made for a page that has not been written
            return False
        link_at = at + self._layout.entries.size + entries * self._layout.tag.size
        after = self._number(link_at, self._layout.link)
        if after:
            begun = self._has_begun(after)
            self._next_at = after if begun else 0  # it will not be changed any more
            self._strict |= begun is False
            self._withheld_at = link_at
            return bool(begun) or not self._strict
        if not self._strict or self._withheld_at == link_at:
            return True
        room = self._file.size() - link_at
        return ended and room <= self._room_of_last(at)

    def _has_begun(self, at: int) -> bool | None:
        """Whether tags stand at `at`; None where the file does not reach so far."""
        layout = self._layout
        raw = self._file.read_anew(at, layout.entries.size + _TAG_NUMBER.size)
        if raw is None:
            return None
        first = _TAG_NUMBER.unpack_from(raw, layout.entries.size)[0]
        return layout.entries.unpack_from(raw)[0] > 0 and first in _FIRST_TAGS

    def _room_of_last(self, at: int) -> int:
        """Return how many bytes a file has from the link of its last page on, if it is closed."""
        page = self._parser.parse(self._file.read, at)
        return 0 if page is None else page.end - page.link_at + _PADDING_BYTES

    def _read_metadata(self) -> bool:
        raw = self._file.read(0, PREAMBLE_BYTES)
        if raw is None:
            return False
        preamble = parse_preamble(raw)
        self._end = PREAMBLE_BYTES + preamble.static_bytes + preamble.regions_bytes
        if not self._file.reaches(self._end):
            return False
        self._preamble = preamble
        self._layout = preamble.layout
        self._parser = PageParser(self._layout)
        self._link_at = self._layout.first_link_at
        self._began = True
        return True

    def _read_texts(self, page: Page) -> bool:
        """Read static metadata and regions; return whether they are there.

        They are two blocks in front, or two tags of the first page; before 2016 each page's
        description has the metadata.
        """
        preamble = self._preamble
        if preamble.has_blocks:
            size = preamble.static_bytes + preamble.regions_bytes
            blocks = self._file.read_anew(PREAMBLE_BYTES, size)
            if blocks is None:
                return False
            self.static = text_of(blocks[: preamble.static_bytes])
            self.regions = regions_of(blocks[preamble.static_bytes :])
            return True
        texts = self._parser.texts(self._file.read_anew, self._page_at)
        if texts is None:
            return False
        software, artist = texts
        in_software = _SETTINGS.search(software) is not None
        self.static = software if in_software else page.text
        self.regions = json_object(artist) if in_software else {}
        return True

    def _link(self) -> int:
        raw = self._file.read_anew(self._link_at, self._layout.link.size)
        return 0 if raw is None else int(self._layout.link.unpack(raw)[0])

    def _number(self, at: int, layout: Any) -> int | None:
        """Read an integer; None where there are no bytes yet."""
        raw = self._file.read(at, layout.size)
        return None if raw is None else int(layout.unpack(raw)[0])

    def refused(self, what: str) -> Refused:
        """Return the error that says what is wrong with this file."""
        return Refused(
            f"{self.path.as_posix()} {what}; keep only whole ScanImage TIFFs there (rig tiff check "
            "says more, rig tiff repair saves what is whole)"
        )
