"""Follow a growing ScanImage file, one complete page at a time."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

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
"""Pattern of the start of ScanImage's settings, as lines or as JSON."""
_TAG_NUMBER = struct.Struct("<H")
_FIRST_TAGS = (254, 255, 256)
"""The tags with one of which a page begins; its tags are sorted."""


class _PageState(NamedTuple):
    """The state of a page, from the bytes at its offset."""

    link_at: int = 0
    """Offset of the page's link; 0 if the page has no tags yet."""
    next_at: int = 0
    """Offset to which the link points; 0: it points to no page."""
    next_begun: bool | None = None
    """True if there are tags at next_at; None if the file does not reach that far."""
    preallocated: bool = False
    """True if the file has space at next_at that has not been written."""


class FileFollower:
    """A reader of one growing file; each page is read once, as soon as all of it is on disk.

    Two kinds of writer are supported: one writes a page's link to the next page before that page
    exists, the other afterwards. The follower waits for the rest of an incomplete page; it refuses
    bytes that can never become a page.

    If the size of a file is not the number of bytes written, as on a network share, use `strict`: a
    page then counts as complete only when the next page has begun or the file is closed. A file
    that is longer than its contents is detected, and from then on followed with `strict`.
    """

    def __init__(self, path: Path, strict: bool = False) -> None:
        """Open the file. Raises Refused if that is not possible."""
        self.path = path
        self.static: str | None = None
        """The static metadata, once the first page is complete."""
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
        """The first page, until the metadata of its file have been read."""
        self._withheld_at = -1
        """Offset of the last link that pointed to a next page."""
        try:
            self._file = GrowingFile(path)
        except OSError as error:
            raise self.refused(f"cannot be opened ({error.strerror})") from error

    def poll(self, ended: bool = False) -> Iterator[Page]:
        """Yield the pages that have become complete. Raises Refused if the file is damaged.

        If `ended`, the writer has finished, and the last page of a closed file counts even with
        `strict`.
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
        """The settings in the static metadata, once they are read."""
        if self._header is None and self.static is not None:
            self._header = parse_header(self.static)
        return self._header or Header()

    @property
    def frame_period_s(self) -> float | None:
        """The time between frames according to the metadata, s; None before they are read."""
        rate_hz = self.header.frame_rate_hz
        return 1.0 / rate_hz if rate_hz else None

    @property
    def identity(self) -> tuple[int, int]:
        """An identifier of this file that a renaming does not change."""
        return self._file.identity

    @property
    def has_page(self) -> bool:
        """Return True if the first page is complete; unlike `poll`, this reads no metadata.

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
        """Return a page's pixels, (height_px, width_px). Raises Refused if they are missing."""
        pixels = np.empty((page.height_px, page.width_px), page.dtype)
        self.read_into(page, pixels.reshape(-1).view(np.uint8))
        return pixels

    def read_into(self, page: Page, body: NDArray[np.uint8]) -> None:
        """Read a page's pixels into an array of exactly their size in bytes.

        Raises Refused if they are missing.
        """
        try:
            whole = self._file.read_into(page.offset_bytes, body)
        except OSError as error:
            raise self.refused(f"cannot be read ({error.strerror})") from error
        if not whole:
            raise self.refused(f"has become shorter: frame {page.number} is lost")

    @property
    def began(self) -> bool:
        """True if the header is on disk."""
        return self._began

    @property
    def link_bytes(self) -> int:
        """Size of a link in this kind of TIFF, bytes."""
        return self._layout.link.size

    @property
    def finished(self) -> bool:
        """True if the writer has removed its link to a next page, so that no page will follow."""
        return self._linked_ahead and self.ends

    @property
    def ends(self) -> bool:
        """True if the last complete page links to no other page, as in a closed file."""
        return self._link() == 0

    @property
    def torn_bytes(self) -> int:
        """Number of bytes after the last complete page: the beginning of another page."""
        size = self._file.size()
        next_at = self._link()
        if self._strict:  # the bytes count only if a page begins with them
            begun = next_at and self._has_begun(next_at)
            return size - next_at if begun else 0
        torn = size - max(self._end, next_at)
        return torn if torn > _PADDING_BYTES else 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _next_page(self, ended: bool) -> Page | None:
        self._file.forget()
        if not self._began and not self._read_metadata():
            return None
        at = self._next_at or self._link()
        if at == 0:
            return None
        if at <= self._page_at or at < self._layout.first_link_at:
            # Pages are written in order; a link backwards would make an endless loop.
            raise NotScanImage(f"has a link back from byte {self._link_at} to byte {at}")
        state = self._page_state(at)
        self._note(state)
        page = self._parser.parse(self._file.read, at) if self._counts(state, at, ended) else None
        if page is None or not self._file.reaches(page.end):
            self._linked_ahead = True
            self._next_at = 0
            return None
        self._page_at, self._link_at = at, page.link_at
        self._end = page.end
        return page

    def _page_state(self, at: int) -> _PageState:
        """Return the state of the page at offset `at` and of the place that it links to."""
        entries = self._number(at, self._layout.entries)
        if not entries:
            return _PageState(preallocated=entries == 0)
        link_at = at + self._layout.entries.size + entries * self._layout.tag.size
        next_at = self._number(link_at, self._layout.link) or 0
        return _PageState(link_at, next_at, self._has_begun(next_at) if next_at else None)

    def _note(self, state: _PageState) -> None:
        """Store where the next page is, and whether the file is longer than its contents."""
        # Once the next page has begun, the link to it does not change any more.
        self._next_at = state.next_at if state.next_begun else 0
        self._strict |= state.preallocated or state.next_begun is False
        if state.next_at:
            self._withheld_at = state.link_at

    def _counts(self, state: _PageState, at: int, ended: bool) -> bool:
        """Return True if a page with this state counts as written, if all of its bytes exist."""
        if not state.link_at:
            return False
        if not self._strict or state.next_begun:
            return True
        if state.next_at:
            return False
        if self._withheld_at == state.link_at:
            return True  # the writer has removed the link to a next page: the file is closed
        return ended and self._file.size() - state.link_at <= self._bytes_after_last_link(at)

    def _has_begun(self, at: int) -> bool | None:
        """Return True if there are tags at `at`; None if the file does not reach that far."""
        layout = self._layout
        raw = self._file.read_anew(at, layout.entries.size + _TAG_NUMBER.size)
        if raw is None:
            return None
        first = _TAG_NUMBER.unpack_from(raw, layout.entries.size)[0]
        return layout.entries.unpack_from(raw)[0] > 0 and first in _FIRST_TAGS

    def _bytes_after_last_link(self, at: int) -> int:
        """Return the largest number of bytes that follow the link of a closed file's last page."""
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
        """Read static metadata and regions; return True if they are on disk.

        They are in two blocks before the pages, or in two tags of the first page; before 2016 the
        metadata are in the description of each page.
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
        """Return an integer at an offset; None if the file does not reach that far."""
        raw = self._file.read(at, layout.size)
        return None if raw is None else int(layout.unpack(raw)[0])

    def refused(self, what: str) -> Refused:
        """Return the error for the person at the rig.

        `what` continues a sentence that begins with the name of this file. Advice is added, unless
        `what` contains advice after a semicolon.
        """
        advice = "run rig tiff check for details, and rig tiff repair to save its complete pages"
        return Refused(f"{self.path.as_posix()} {what}" + ("" if ";" in what else f"; {advice}"))
