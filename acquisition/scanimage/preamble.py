"""The layout of ScanImage's TIFFs, and the first bytes of a file.

Since 2016 a file is a BigTIFF: a 32-byte header, two blocks of text (static metadata as `key =
value` lines or JSON, regions as JSON), then pages chained by links: tags (IFD), description and
pixels. Source: the ScanImage BigTIFF specification, format versions 3 and 4. Before 2016 it was a
plain TIFF or BigTIFF without those blocks; the description of each page repeated the metadata.
"""

import json
import struct
from typing import Any, NamedTuple

import msgspec

PREAMBLE_BYTES = 32
FIRST_LINK_AT = 8
LINK = struct.Struct("<Q")
PREAMBLE = struct.Struct("<2sHHHQIIII")
TAG = struct.Struct("<HHQ8s")
MAGIC = 117637889
VERSIONS = (3, 4)

MAX_TEXT_BYTES = 1 << 26
"""Largest size of a block of metadata that is accepted, bytes."""


class NotScanImage(Exception):
    """Raised if a file is not from ScanImage; its text continues after the file's name."""


class TiffLayout(NamedTuple):
    """The binary formats of a link, of the number of tags, and of a tag in a kind of TIFF."""

    link: struct.Struct
    entries: struct.Struct
    tag: struct.Struct
    first_link_at: int


BIG = TiffLayout(LINK, LINK, TAG, FIRST_LINK_AT)
CLASSIC = TiffLayout(struct.Struct("<I"), struct.Struct("<H"), struct.Struct("<HHI4s"), 4)


class Preamble(msgspec.Struct, frozen=True):
    """The sizes of the two blocks of text that follow the first 32 bytes; 0 before 2016."""

    static_bytes: int
    regions_bytes: int
    layout: TiffLayout = BIG

    @property
    def has_blocks(self) -> bool:
        """True if the file has these blocks."""
        return self.static_bytes > 0


def parse_preamble(raw: bytes) -> Preamble:
    """Read the first 32 bytes of a file. Raises NotScanImage if they are not from ScanImage."""
    order, tiff, size, zero, _, magic, version, static, regions = PREAMBLE.unpack(raw)
    if (order, tiff) == (b"II", 42):
        return Preamble(0, 0, CLASSIC)
    if (order, tiff, size, zero) != (b"II", 43, 8, 0):
        raise NotScanImage("is not a little-endian TIFF")
    if magic != MAGIC:
        return Preamble(0, 0)
    if version not in VERSIONS or not static:
        raise NotScanImage(
            f"has a ScanImage header of version {version}, and only {VERSIONS} are known"
        )
    if max(static, regions) > MAX_TEXT_BYTES:
        raise NotScanImage(f"states {max(static, regions)} bytes of metadata, which is too much")
    return Preamble(static, regions)


def text_of(raw: bytes) -> str:
    """Return a block of text without the zeros at its end."""
    return raw.rstrip(b"\0 ").decode("utf-8", "replace")


def regions_of(raw: bytes) -> dict[str, Any]:
    """Return the regions (RoiGroups) of a file. Raises NotScanImage if they are not an object."""
    try:
        regions = json.loads(text_of(raw) or "{}")
    except ValueError as error:
        raise NotScanImage(f"has regions that are not valid JSON ({error})") from error
    if not isinstance(regions, dict):
        raise NotScanImage("has regions that are not a JSON object")
    return regions
