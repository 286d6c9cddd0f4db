"""Read one page of a ScanImage TIFF: its tags, its description, and where its pixels are."""

import math
import re

import msgspec

from acquisition.scanimage.header_text import json_object
from acquisition.scanimage.preamble import BIG, FIRST_LINK_AT, NotScanImage, TiffLayout
from acquisition.scanimage.tiff_tags import (
    ARTIST,
    DESCRIPTION,
    SOFTWARE,
    STRIP_OFFSETS,
    Read,
    integers,
    read_tags,
    read_text,
    read_value,
    shape_of,
    values_end,
)

_MAX_TAGS = 64
_MAX_NUMBER = 2**53
_DIALECTS = (
    {
        "number": "frameNumbers",
        "time": "frameTimestamps_sec",
        "acquisition": "acquisitionNumbers",
        "number_in_acquisition": "frameNumberAcquisition",
    },
    {"number": "Frame Number", "time": "Frame Timestamp(s)"},  # 5.0
)
"""Keys of the frame's properties in a description, by version of ScanImage."""
_PATTERNS = {
    key: re.compile(rf"^{re.escape(key)} *= *([-+0-9.eE]+)\s*$", re.MULTILINE)
    for dialect in _DIALECTS
    for key in dialect.values()
}
_UNNUMBERED = ("state.", "scanimage.SI4.")
"""Starts of the descriptions of versions 3.8 and 4, which do not number frames."""


class Page(msgspec.Struct, frozen=True):
    """One page: where its pixels are, and its description."""

    offset_bytes: int
    height_px: int
    width_px: int
    dtype: str
    number: int
    """frameNumbers: counts from 1 within an acquisition; 0 if the version does not write it."""
    timestamp_s: float
    """frameTimestamps_sec: the microscope's timestamp; NaN if the version does not write it."""
    link_at: int
    """Offset of the link to the next page."""
    end: int
    """First byte after the pixels, the link and the values behind the tags."""
    text: str
    """The whole description."""
    acquisition: int = 0
    """acquisitionNumbers: number of the acquisition in a LOOP; 0 if the version does not write it.
    """
    number_in_acquisition: int = 0
    """frameNumberAcquisition: counts from 1 in each acquisition; 0 if it is not written."""

    @property
    def pixel_bytes(self) -> int:
        """Size of the pixel data, bytes."""
        return self.height_px * self.width_px * int(self.dtype[-1])


class PageParser:
    """A parser of the pages of one kind of TIFF.

    The tags of successive pages differ only in the offsets of description and pixels. If nothing
    else has changed since the previous page, only these two tags are read.
    """

    def __init__(self, layout: TiffLayout = BIG) -> None:
        self._layout = layout
        self._known = b""
        """The tags of the previous page, without the parts that differ from page to page."""
        self._differing = (0, 0)
        """Offsets of the previous page's description and pixel tags in the table of tags."""
        self._before: Page | None = None

    def parse(self, read: Read, at: int) -> Page | None:
        """Read the page whose tags begin at `at`; None while some of them are not written yet.

        It is not checked that the file reaches the end of the page. Raises NotScanImage if the page
        is not one of ScanImage.
        """
        layout = self._layout
        head = read(at, layout.entries.size)
        count = layout.entries.unpack(head)[0] if head else 0
        if count == 0:
            return None
        if count > _MAX_TAGS:
            raise NotScanImage(f"states {count} tags in the page at byte {at}, which is too many")
        tags_at = at + layout.entries.size
        link_at = tags_at + count * layout.tag.size
        raw = read(tags_at, link_at + layout.link.size - tags_at)
        if raw is None:
            return None
        table = raw[: -layout.link.size]
        if self._before is not None and self._same(table) == self._known:
            return self._like(read, self._before, table, at, link_at)
        tags = read_tags(read, table, at, layout)
        if tags is None:
            return None
        offsets = integers(tags, STRIP_OFFSETS)
        shape = shape_of(tags, at)
        text = str(tags.get(DESCRIPTION, ""))
        values = values_end(table, link_at + layout.link.size, layout)
        page = _placed(shape, text, offsets[0], at, link_at, values)
        starts = range(0, len(table), layout.tag.size)
        where = {layout.tag.unpack_from(table, start)[0]: start for start in starts}
        if len(offsets) == 1 and DESCRIPTION in where:
            self._differing = (where[DESCRIPTION], where[STRIP_OFFSETS])
            self._known, self._before = self._same(table), page
        return page

    def texts(self, read: Read, at: int) -> tuple[str, str] | None:
        """Return Software and Artist of the page at `at`; None while they are not written yet.

        ScanImage 5.2 to 5.7 writes metadata and regions into these tags if a file has no header.
        """
        layout = self._layout
        head = read(at, layout.entries.size)
        count = layout.entries.unpack(head)[0] if head else 0
        table = read(at + layout.entries.size, count * layout.tag.size)
        if table is None:
            return None
        found = [read_text(read, table, tag, layout) for tag in (SOFTWARE, ARTIST)]
        software, artist = found
        return None if software is None or artist is None else (software, artist)

    def _same(self, table: bytes) -> bytes:
        """Return tags without the length and offset of the description and the offset of pixels."""
        size, link = self._layout.tag.size, self._layout.link.size
        text, pixels = self._differing
        kept = table[: text + 4], table[text + size : pixels + size - link], table[pixels + size :]
        return b"".join(kept)

    def _like(self, read: Read, before: Page, table: bytes, at: int, link_at: int) -> Page | None:
        """Return a page with the same tags as the previous page."""
        layout = self._layout
        text_at, pixels_at = self._differing
        text = read_value(read, layout, *layout.tag.unpack_from(table, text_at))
        if text is None:
            return None
        offset = layout.link.unpack_from(table, pixels_at + layout.tag.size - layout.link.size)[0]
        shape = before.height_px, before.width_px, before.dtype
        entry = table[text_at : text_at + layout.tag.size]
        values = values_end(entry, link_at + layout.link.size, layout)
        return _placed(shape, str(text), offset, at, link_at, values)


def _placed(
    shape: tuple[int, int, str], text: str, offset: int, at: int, link_at: int, tags_end: int
) -> Page:
    """Return a page.

    Args:
        shape: Height (px), width (px) and dtype.
        text: The description.
        offset: Offset of the pixels in the file.
        at: Offset of the tags.
        link_at: Offset of the link to the next page.
        tags_end: End of the tags and of the values after them.
    """
    total = shape[0] * shape[1] * int(shape[2][-1])
    if offset < FIRST_LINK_AT or at - total < offset < tags_end:
        raise NotScanImage(f"has pixels that overlap the tags of the page at byte {at}")
    number, timestamp_s, acquisition, in_acquisition = _frame(text, at)
    end = max(offset + total, tags_end)
    return Page(
        offset, *shape, number, timestamp_s, link_at, end, text, acquisition, in_acquisition
    )


def _frame(text: str, at: int) -> tuple[int, float, int, int]:
    """Return number, time (s), acquisition and number in the acquisition from a description."""
    for dialect in _DIALECTS:
        found = _numbers_in_json(text, dialect)
        found = found or {name: _number(text, key) for name, key in dialect.items()}
        number, timestamp_s = found.get("number"), found.get("time")
        if number is not None and timestamp_s is not None and 0 < number < _MAX_NUMBER:
            acquisition = _whole(found.get("acquisition")) or 0
            in_acquisition = _whole(found.get("number_in_acquisition")) or int(number)
            return int(number), timestamp_s, acquisition, in_acquisition
    if text.startswith(_UNNUMBERED):
        return 0, math.nan, 0, 0
    raise NotScanImage(f"lacks frameNumbers or frameTimestamps_sec in the page at byte {at}")


def _numbers_in_json(text: str, dialect: dict[str, str]) -> dict[str, float | None]:
    """Return the numbers in a JSON description; they may be in a nested object FrameHeader."""
    found = json_object(text)
    inner = found.get("FrameHeader", found)
    if not found or not isinstance(inner, dict):
        return {}
    values = {name: inner.get(key) for name, key in dialect.items()}
    return {
        name: value if isinstance(value, int | float) and math.isfinite(value) else None
        for name, value in values.items()
    }


def _whole(value: float | None) -> int | None:
    return int(value) if value is not None and 0 < value < _MAX_NUMBER else None


def _number(text: str, key: str) -> float | None:
    found = _PATTERNS[key].search(text)
    try:
        number = float(found[1]) if found else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
