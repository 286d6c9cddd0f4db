"""One page of a ScanImage TIFF: its tags, its description, and whether its pixels can be read."""

import math
import re
import struct
from collections.abc import Callable

import msgspec

from acquisition.scanimage import BIG, FIRST_LINK_AT, Layout, NotScanImage, text_of

_MAX_TAGS = 64
_MAX_NUMBER = 2**53
_MAX_TAG_BYTES = 1 << 20
_MAX_PIXEL_BYTES = 1 << 31

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _DESCRIPTION = 256, 257, 258, 259, 270
_STRIP_OFFSETS, _SAMPLES, _ROWS, _STRIP_BYTES, _SAMPLE_FORMAT = 273, 277, 278, 279, 339
_NAMES = {
    _WIDTH: "width",
    _HEIGHT: "height",
    _BITS: "bits a pixel",
    _COMPRESSION: "compression",
    266: "order of bits",
    _DESCRIPTION: "description",
    _STRIP_OFFSETS: "strip offsets",
    _SAMPLES: "samples a pixel",
    _ROWS: "rows a strip",
    _STRIP_BYTES: "strip byte counts",
    317: "predictor",
    **dict.fromkeys((322, 323, 324, 325), "tile"),
    _SAMPLE_FORMAT: "sample format",
    **dict.fromkeys((32997, 32998), "depth"),
}
_ONLY = {_COMPRESSION: 1, 266: 1, _SAMPLES: 1, 317: 1, 32997: 1, 32998: 1}
"""Tags that change what the pixels mean, unless they have this value."""
_TILES = (322, 323, 324, 325)
_ASCII = 2
_INTEGERS = {1: "B", _ASCII: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SIZES = {letter: struct.calcsize(letter) for letter in "BHIQ"}
_LETTERS = {1: "u", 2: "i", 3: "f"}

_FRAME_KEYS = (
    ("frameNumbers", "frameTimestamps_sec"),
    ("Frame Number", "Frame Timestamp(s)"),  # 5.0
)
_UNNUMBERED = ("state.", "scanimage.SI4.")
"""How the descriptions of 3.8 and 4 begin, which do not number their frames."""

Tags = dict[int, tuple[int, ...] | str]
Read = Callable[[int, int], bytes | None]
"""Read (offset, count) bytes of a file, or None where they are not there yet."""


class Page(msgspec.Struct, frozen=True):
    """One page: where its pixels are, and what its description says."""

    offset_bytes: int
    height_px: int
    width_px: int
    dtype: str
    number: int
    """frameNumbers: counts from 1 within an acquisition; 0 where a version writes none."""
    timestamp_s: float
    """frameTimestamps_sec: the microscope's own time; NaN where a version writes none."""
    link_at: int
    """Where the link to the next page stands."""
    end: int
    """First byte after the pixels and the link."""
    text: str
    """The whole description."""


def parse_page(read: Read, at: int, layout: Layout = BIG) -> Page | None:
    """Read the page whose tags begin at `at`, or return None while it is not all there.

    The last byte of the pixels is read too, so a page that is returned can be read whole.
    Raises NotScanImage.
    """
    head = read(at, layout.entries.size)
    count = layout.entries.unpack(head)[0] if head else 0
    if count == 0:
        return None
    if count > _MAX_TAGS:
        raise NotScanImage(f"has {count} tags in the page at byte {at}")
    tags_at, link_at = at + layout.entries.size, at + layout.entries.size + count * layout.tag.size
    raw = read(tags_at, link_at + layout.link.size - tags_at)
    if raw is None:
        return None
    tags: Tags = {}
    before = -1
    for i in range(count):
        tag, kind, values, inline = layout.tag.unpack_from(raw, i * layout.tag.size)
        if kind == 0:
            return None  # room for a tag that has not been written
        if tag <= before:
            raise NotScanImage(f"has tags out of order in the page at byte {at}")
        before = tag
        if tag in _NAMES:
            value = _value(read, layout, tag, kind, values, inline)
            if value is None:
                return None
            tags[tag] = value
    page = _page(tags, at, link_at, layout)
    return page if read(page.end - 1, 1) else None


def _value(
    read: Read, layout: Layout, tag: int, kind: int, values: int, inline: bytes
) -> tuple[int, ...] | str | None:
    """Return a tag's integers, or its text; None while they are not there."""
    letter = _INTEGERS.get(kind, "")
    size = _SIZES.get(letter, 0) * values
    if not 0 < size <= _MAX_TAG_BYTES or (tag == _DESCRIPTION) != (kind == _ASCII):
        raise NotScanImage(f"has {values} values of type {kind} as the {_NAMES[tag]} of a page")
    whole = size <= len(inline)
    raw = inline[:size] if whole else read(layout.link.unpack(inline)[0], size)
    if raw is None:
        return None
    return text_of(raw) if kind == _ASCII else struct.unpack(f"<{values}{letter}", raw)


def _page(tags: Tags, at: int, link_at: int, layout: Layout) -> Page:
    _check_kind(tags, at)
    width, height = _one(tags, _WIDTH), _one(tags, _HEIGHT)
    dtype = _dtype(tags)
    offsets, sizes = _integers(tags, _STRIP_OFFSETS), _integers(tags, _STRIP_BYTES)
    total = width * height * int(dtype[-1])
    if not 0 < total <= _MAX_PIXEL_BYTES or sum(sizes) != total or len(sizes) != len(offsets):
        raise NotScanImage(f"has {sum(sizes)} bytes for {height} x {width} pixels of {dtype}")
    rows = min(_one(tags, _ROWS, height), height)
    if not rows or len(offsets) != -(-height // rows):
        raise NotScanImage(f"has {len(offsets)} strips of {rows} rows for {height} rows of pixels")
    if any(a + n != b for a, n, b in zip(offsets, sizes, offsets[1:], strict=False)):
        raise NotScanImage(f"has scattered pixels in the page at byte {at}")
    if offsets[0] < FIRST_LINK_AT or at - total < offsets[0] < link_at + layout.link.size:
        raise NotScanImage(f"has pixels on top of the tags of the page at byte {at}")
    text = tags.get(_DESCRIPTION, "")
    number, timestamp_s = _frame(str(text), at)
    end = max(offsets[0] + total, link_at + layout.link.size)
    return Page(offsets[0], height, width, dtype, number, timestamp_s, link_at, end, str(text))


def _frame(text: str, at: int) -> tuple[int, float]:
    """Return the number and the time of a frame, as its description says them."""
    for number_key, time_key in _FRAME_KEYS:
        number, timestamp_s = _number(text, number_key), _number(text, time_key)
        if number is not None and timestamp_s is not None and 0 < number < _MAX_NUMBER:
            return int(number), timestamp_s
    if text.startswith(_UNNUMBERED):
        return 0, math.nan
    raise NotScanImage(f"lacks frameNumbers or frameTimestamps_sec in the page at byte {at}")


def _check_kind(tags: Tags, at: int) -> None:
    """Refuse pages whose bytes are not the plain pixels."""
    for tag, value in _ONLY.items():
        found = _one(tags, tag, value)
        if found != value and tag == _COMPRESSION:
            raise NotScanImage(f"is compressed (TIFF compression {found})")
        if found != value:
            raise NotScanImage(f"has {found} as the {_NAMES[tag]} of the page at byte {at}")
    if any(tag in tags for tag in _TILES):
        raise NotScanImage(f"is tiled in the page at byte {at}")


def _dtype(tags: Tags) -> str:
    bits, letter = _one(tags, _BITS), _LETTERS.get(_one(tags, _SAMPLE_FORMAT, 1))
    if bits not in (8, 16, 32) or letter is None or (letter, bits) == ("f", 8):
        raise NotScanImage(f"has {bits}-bit pixels of a kind that ScanImage does not write")
    return f"<{letter}{bits // 8}"


def _one(tags: Tags, tag: int, default: int | None = None) -> int:
    found = _integers(tags, tag, default)
    if len(found) != 1:
        raise NotScanImage(f"has {len(found)} values as the {_NAMES[tag]} of a page")
    return found[0]


def _integers(tags: Tags, tag: int, default: int | None = None) -> tuple[int, ...]:
    found = tags.get(tag, () if default is None else (default,))
    if not found or isinstance(found, str):
        raise NotScanImage(f"has a page without {_NAMES[tag]}")
    return found


def _number(text: str, key: str) -> float | None:
    found = re.search(rf"^{re.escape(key)} *= *([-+0-9.eE]+)\s*$", text, re.MULTILINE)
    try:
        number = float(found[1]) if found else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
