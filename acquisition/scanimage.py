"""ScanImage's BigTIFF, byte by byte: what it looks like, and what its pages say.

A file is a 32-byte header, two blocks of text (static metadata as `key = value` lines, regions as
JSON), then pages chained by links: tags (IFD), frame description, pixels. Layout: the ScanImage
BigTIFF specification, format versions 3 and 4.
"""

import json
import math
import re
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

PREAMBLE_BYTES = 32
FIRST_LINK_AT = 8
LINK = struct.Struct("<Q")
_PREAMBLE = struct.Struct("<2sHHHQIIII")
_TAG = struct.Struct("<HHQ8s")
_MAGIC = 117637889
_VERSIONS = (3, 4)

_WRITTEN_TAGS = 18
PAGE_TAGS_BYTES = LINK.size + _WRITTEN_TAGS * _TAG.size + LINK.size
"""The size of what `pack_page_tags` makes."""

_MAX_TEXT_BYTES = 1 << 26
_MAX_TAGS = 64
_MAX_TAG_BYTES = 1 << 20
_MAX_PIXEL_BYTES = 1 << 31

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _DESCRIPTION = 256, 257, 258, 259, 270
_STRIP_OFFSETS, _STRIP_BYTES, _SAMPLE_FORMAT = 273, 279, 339
_NAMES = {
    _WIDTH: "width",
    _HEIGHT: "height",
    _BITS: "bits a pixel",
    _COMPRESSION: "compression",
    _DESCRIPTION: "description",
    _STRIP_OFFSETS: "strip offsets",
    _STRIP_BYTES: "strip byte counts",
    _SAMPLE_FORMAT: "sample format",
}
_ASCII = 2
_INTEGERS = {1: "B", _ASCII: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_LETTERS = {1: "u", 2: "i", 3: "f"}

Read = Callable[[int, int], bytes | None]
"""Read (offset, count) bytes of a file, or None where they are not there yet."""


class NotScanImage(Exception):
    """The bytes are not what ScanImage writes; says in which respect."""


class Preamble(msgspec.Struct, frozen=True):
    """The sizes of the two blocks of text that follow the first 32 bytes."""

    static_bytes: int
    regions_bytes: int


class Page(msgspec.Struct, frozen=True):
    """One frame: where its pixels are, and what its description says."""

    offset_bytes: int
    height_px: int
    width_px: int
    dtype: str
    number: int
    """frameNumbers: counts from 1 within an acquisition."""
    timestamp_s: float
    """frameTimestamps_sec: the microscope's own time."""
    link_at: int
    """Where the link to the next page stands."""
    end: int
    """First byte after the pixels."""


def pack_preamble(static: bytes, regions: bytes, first: int) -> bytes:
    """Return the first 32 bytes of a file; `first` is the offset of the first page or 0."""
    return _PREAMBLE.pack(b"II", 43, 8, 0, first, _MAGIC, 4, len(static), len(regions))


def parse_preamble(raw: bytes) -> Preamble:
    """Read the first 32 bytes of a file. Raises NotScanImage."""
    order, tiff, size, zero, _, magic, version, static, regions = _PREAMBLE.unpack(raw)
    if (order, tiff, size, zero) != (b"II", 43, 8, 0):
        raise NotScanImage("is not a little-endian BigTIFF")
    if magic != _MAGIC or version not in _VERSIONS:
        raise NotScanImage("is a BigTIFF without ScanImage's header")
    if max(static, regions) > _MAX_TEXT_BYTES:
        raise NotScanImage(f"claims {max(static, regions)} bytes of metadata")
    return Preamble(static, regions)


def text_of(raw: bytes) -> str:
    """Return a block of text without its closing zeros."""
    return raw.rstrip(b"\0 ").decode("utf-8", "replace")


def regions_of(raw: bytes) -> dict[str, Any]:
    """Return the regions (the RoiGroups) of a file. Raises NotScanImage."""
    try:
        regions = json.loads(text_of(raw) or "{}")
    except ValueError as error:
        raise NotScanImage(f"has regions that are not JSON ({error})") from error
    if not isinstance(regions, dict):
        raise NotScanImage("has regions that are not a JSON object")
    return regions


def number_of(static: str, key: str) -> float | None:
    """Return a number of the static metadata, such as SI.hRoiManager.scanFrameRate, or None."""
    return _number(static, key)


def pack_page_tags(
    shape: tuple[int, int], preamble: Preamble, at: int, description_bytes: int, link: int
) -> bytes:
    """Return the tags of an int16 page that begins at byte `at`.

    shape is (height_px, width_px); link is the offset of the next page, or 0. The description
    follows the tags, and the pixels follow the description.
    """
    height, width = shape
    text_at = at + PAGE_TAGS_BYTES
    per_inch = LINK.unpack(struct.pack("<II", 72, 1))[0]
    tags = (
        (_WIDTH, 4, 1, width),
        (_HEIGHT, 4, 1, height),
        (_BITS, 3, 1, 16),
        (_COMPRESSION, 3, 1, 1),
        (262, 3, 1, 1),  # photometric interpretation: black is zero
        (_DESCRIPTION, _ASCII, description_bytes, text_at),
        (_STRIP_OFFSETS, 16, 1, text_at + description_bytes),
        (274, 3, 1, 1),  # orientation: first row on top
        (277, 3, 1, 1),  # one sample a pixel
        (278, 4, 1, height),  # all rows in one strip
        (_STRIP_BYTES, 16, 1, height * width * 2),
        (282, 5, 1, per_inch),
        (283, 5, 1, per_inch),
        (284, 3, 1, 1),  # planar configuration: chunky
        (296, 3, 1, 2),  # the resolution above is per inch
        (305, _ASCII, preamble.static_bytes, PREAMBLE_BYTES),
        (315, _ASCII, preamble.regions_bytes, PREAMBLE_BYTES + preamble.static_bytes),
        (_SAMPLE_FORMAT, 3, 1, 2),
    )
    packed = b"".join(_TAG.pack(*tag[:3], LINK.pack(tag[3])) for tag in tags)
    return LINK.pack(len(tags)) + packed + LINK.pack(link)


def parse_page(read: Read, at: int) -> Page | None:
    """Read the page whose tags begin at `at`, or return None while it is not all there.

    The last byte of the pixels is read too, so a page that is returned can be read whole.
    Raises NotScanImage.
    """
    head = read(at, 8)
    count = LINK.unpack(head)[0] if head else 0
    if count == 0:
        return None
    if count > _MAX_TAGS:
        raise NotScanImage(f"has {count} tags in the page at byte {at}")
    raw = read(at + 8, count * _TAG.size + LINK.size)
    if raw is None:
        return None
    tags: dict[int, tuple[int, ...]] = {}
    for i in range(count):
        tag, kind, values, inline = _TAG.unpack_from(raw, i * _TAG.size)
        if tag in _NAMES:
            value = _value(read, tag, kind, values, inline)
            if value is None:
                return None
            tags[tag] = value
    page = _page(tags, at, at + 8 + count * _TAG.size)
    return page if read(page.end - 1, 1) else None


def _value(read: Read, tag: int, kind: int, values: int, inline: bytes) -> tuple[int, ...] | None:
    """Return a tag's integers, or its text as codes; None while they are not there."""
    letter = _INTEGERS.get(kind, "")
    size = struct.calcsize(letter) * values
    if not 0 < size <= _MAX_TAG_BYTES or (tag == _DESCRIPTION) != (kind == _ASCII):
        raise NotScanImage(f"has {values} values of type {kind} as the {_NAMES[tag]} of a page")
    raw = inline[:size] if size <= len(inline) else read(LINK.unpack(inline)[0], size)
    return None if raw is None else struct.unpack(f"<{values}{letter}", raw)


def _page(tags: dict[int, tuple[int, ...]], at: int, link_at: int) -> Page:
    width, height = _integers(tags, _WIDTH)[0], _integers(tags, _HEIGHT)[0]
    dtype = _dtype(tags)
    offsets, sizes = _integers(tags, _STRIP_OFFSETS), _integers(tags, _STRIP_BYTES)
    total = width * height * np.dtype(dtype).itemsize
    if not 0 < total <= _MAX_PIXEL_BYTES or sum(sizes) != total or len(sizes) != len(offsets):
        raise NotScanImage(f"has {sum(sizes)} bytes for {height} x {width} pixels of {dtype}")
    if any(a + n != b for a, n, b in zip(offsets, sizes, offsets[1:], strict=False)):
        raise NotScanImage(f"has scattered pixels in the page at byte {at}")
    text = text_of(bytes(_integers(tags, _DESCRIPTION)))
    number, timestamp_s = _number(text, "frameNumbers"), _number(text, "frameTimestamps_sec")
    if number is None or timestamp_s is None:
        raise NotScanImage(f"lacks frameNumbers or frameTimestamps_sec in the page at byte {at}")
    end = offsets[0] + total
    return Page(offsets[0], height, width, dtype, int(number), timestamp_s, link_at, end)


def _dtype(tags: dict[int, tuple[int, ...]]) -> str:
    compression = _integers(tags, _COMPRESSION, 1)[0]
    if compression != 1:
        raise NotScanImage(f"is compressed (TIFF compression {compression})")
    bits, letter = _integers(tags, _BITS)[0], _LETTERS.get(_integers(tags, _SAMPLE_FORMAT, 1)[0])
    if bits not in (8, 16, 32) or letter is None or (letter, bits) == ("f", 8):
        raise NotScanImage(f"has {bits}-bit pixels of a kind that ScanImage does not write")
    return f"<{letter}{bits // 8}"


def _integers(
    tags: dict[int, tuple[int, ...]], tag: int, default: int | None = None
) -> tuple[int, ...]:
    found = tags.get(tag, () if default is None else (default,))
    if not found:
        raise NotScanImage(f"has a page without {_NAMES[tag]}")
    return found


def _number(text: str, key: str) -> float | None:
    found = re.search(rf"^{re.escape(key)} = ([-+0-9.eE]+)\s*$", text, re.MULTILINE)
    try:
        number = float(found[1]) if found else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
