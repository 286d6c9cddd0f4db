"""Read the tags of a TIFF page, and check that its pixels are plain, uncompressed numbers."""

import struct
from collections.abc import Callable

from acquisition.scanimage.preamble import MAX_TEXT_BYTES, NotScanImage, TiffLayout, text_of

_MAX_TAG_BYTES = 1 << 20
_BEHIND_BYTES = 1 << 20
"""Largest distance behind the tags of values that do not fit into a tag's entry, bytes."""
_MAX_PIXEL_BYTES = 1 << 31

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, DESCRIPTION = 256, 257, 258, 259, 270
SOFTWARE, ARTIST = 305, 315
STRIP_OFFSETS, _SAMPLES, _ROWS, _STRIP_BYTES, _SAMPLE_FORMAT = 273, 277, 278, 279, 339
_NAMES = {
    _WIDTH: "width",
    _HEIGHT: "height",
    _BITS: "bits per pixel",
    _COMPRESSION: "compression",
    266: "bit order",
    DESCRIPTION: "description",
    STRIP_OFFSETS: "strip offsets",
    _SAMPLES: "samples per pixel",
    _ROWS: "rows per strip",
    _STRIP_BYTES: "strip byte counts",
    317: "predictor",
    **dict.fromkeys((322, 323, 324, 325), "tile"),
    _SAMPLE_FORMAT: "sample format",
    **dict.fromkeys((32997, 32998), "depth"),
}
_ONLY = {_COMPRESSION: 1, 266: 1, _SAMPLES: 1, 317: 1, 32997: 1, 32998: 1}
"""Tags that change the meaning of the pixels, and the only value of each that is supported."""
_TILES = (322, 323, 324, 325)
_ASCII = 2
_INTEGERS = {1: "B", _ASCII: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SIZES = {letter: struct.calcsize(letter) for letter in "BHIQ"}
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip
"""Size of a value of each type of TIFF and BigTIFF, bytes."""
_LETTERS = {1: "u", 2: "i", 3: "f"}

Tags = dict[int, tuple[int, ...] | str]
Read = Callable[[int, int], bytes | None]
"""Function that returns `count` bytes at an offset; None if they are not written yet."""


def read_tags(read: Read, table: bytes, at: int, layout: TiffLayout) -> Tags | None:
    """Return the values of the tags in _NAMES; None while some are not written yet."""
    tags: Tags = {}
    before = -1
    for start in range(0, len(table), layout.tag.size):
        tag, kind, values, inline = layout.tag.unpack_from(table, start)
        if kind == 0 or values == 0:
            return None  # the tag has not been written into its space yet
        if tag <= before:
            raise NotScanImage(f"has tags out of order in the page at byte {at}")
        before = tag
        if tag in _NAMES:
            value = read_value(read, layout, tag, kind, values, inline)
            if value is None:
                return None
            tags[tag] = value
    return tags


def values_end(table: bytes, tags_end: int, layout: TiffLayout) -> int:
    """Return the end of the values that follow a page's tags, as libtiff writes them.

    In such a file the pixels come before the tags; description and strip tables follow the tags.
    """
    end = tags_end
    for start in range(0, len(table), layout.tag.size):
        _, kind, values, inline = layout.tag.unpack_from(table, start)
        size = _BYTES.get(kind, 0) * values
        at = layout.link.unpack(inline)[0]
        if size > len(inline) and tags_end <= at <= at + size <= tags_end + _BEHIND_BYTES:
            end = max(end, at + size)
    return end


def read_text(read: Read, table: bytes, tag: int, layout: TiffLayout) -> str | None:
    """Return the text of a tag; "" if there is no such tag, None while it is not written yet."""
    for start in range(0, len(table), layout.tag.size):
        found, kind, length, inline = layout.tag.unpack_from(table, start)
        if found == tag and kind == _ASCII and length <= MAX_TEXT_BYTES:
            short = length <= len(inline)
            raw = inline[:length] if short else read(layout.link.unpack(inline)[0], length)
            return None if raw is None else text_of(raw)
    return ""


def read_value(
    read: Read, layout: TiffLayout, tag: int, kind: int, values: int, inline: bytes
) -> tuple[int, ...] | str | None:
    """Return a tag's integers or its text; None while they are not written yet."""
    letter = _INTEGERS.get(kind, "")
    size = _SIZES.get(letter, 0) * values
    if not 0 < size <= _MAX_TAG_BYTES or (tag == DESCRIPTION) != (kind == _ASCII):
        raise NotScanImage(f"has a page with {values} values of type {kind} for {_NAMES[tag]}")
    whole = size <= len(inline)
    raw = inline[:size] if whole else read(layout.link.unpack(inline)[0], size)
    if raw is None or not any(raw):
        return None  # the value has not been written into its space yet
    return text_of(raw) if kind == _ASCII else struct.unpack(f"<{values}{letter}", raw)


def shape_of(tags: Tags, at: int) -> tuple[int, int, str]:
    """Return height_px, width_px and dtype of a page.

    Raises NotScanImage unless its pixels are plain and contiguous.
    """
    _check_kind(tags, at)
    width, height = _one(tags, _WIDTH), _one(tags, _HEIGHT)
    dtype = _dtype(tags)
    offsets, sizes = integers(tags, STRIP_OFFSETS), integers(tags, _STRIP_BYTES)
    total = width * height * int(dtype[-1])
    if not 0 < total <= _MAX_PIXEL_BYTES or sum(sizes) != total or len(sizes) != len(offsets):
        raise NotScanImage(
            f"has {sum(sizes)} bytes of pixels where {height} x {width} of {dtype} need {total}"
        )
    rows = min(_one(tags, _ROWS, height), height)
    if not rows or len(offsets) != -(-height // rows):
        raise NotScanImage(f"has {len(offsets)} strips of {rows} rows for {height} rows of pixels")
    if any(a + n != b for a, n, b in zip(offsets, sizes, offsets[1:], strict=False)):
        raise NotScanImage(f"has pixels in several pieces in the page at byte {at}")
    return height, width, dtype


def _check_kind(tags: Tags, at: int) -> None:
    """Raise NotScanImage if the bytes of a page are not plain pixels."""
    for tag, value in _ONLY.items():
        found = _one(tags, tag, value)
        if found != value and tag == _COMPRESSION:
            raise NotScanImage(
                f"is compressed (TIFF compression {found}); switch compression off in ScanImage"
            )
        if found != value:
            raise NotScanImage(
                f"has {_NAMES[tag]} {found} in the page at byte {at}; only {value} can be read"
            )
    if any(tag in tags for tag in _TILES):
        raise NotScanImage(f"is tiled in the page at byte {at}")


def _dtype(tags: Tags) -> str:
    bits, letter = _one(tags, _BITS), _LETTERS.get(_one(tags, _SAMPLE_FORMAT, 1))
    if bits not in (8, 16, 32) or letter is None or (letter, bits) == ("f", 8):
        raise NotScanImage(f"has {bits}-bit pixels of a type that ScanImage does not write")
    return f"<{letter}{bits // 8}"


def _one(tags: Tags, tag: int, default: int | None = None) -> int:
    found = integers(tags, tag, default)
    if len(found) != 1:
        raise NotScanImage(f"has a page with {len(found)} values for {_NAMES[tag]}")
    return found[0]


def integers(tags: Tags, tag: int, default: int | None = None) -> tuple[int, ...]:
    """Return the values of a tag. Raises NotScanImage if it is missing and has no default."""
    found = tags.get(tag, () if default is None else (default,))
    if not found or isinstance(found, str):
        raise NotScanImage(f"has a page without {_NAMES[tag]}")
    return found
