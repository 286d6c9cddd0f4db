"""Write TIFFs in libtiff's order: pixels, tags, and after the tags the values too long for them."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ASCII, _SHORT, _LONG = 2, 3, 4


def save(
    path: Path,
    pages: Sequence[tuple[str, NDArray[Any]]],
    big: bool = False,
    rows_per_strip: int = 3,
    texts: dict[int, str] | None = None,
) -> Path:
    """Write pages of (description, int16 pixels); texts are further ASCII tags of each page."""
    link, entries, tag = ("<Q", "<Q", "<HHQ8s") if big else ("<I", "<H", "<HHI4s")
    inline = 8 if big else 4
    out = bytearray(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) if big else b"II*\0\0\0\0\0")
    link_at = 8 if big else 4
    for description, pixels in pages:
        height, width = pixels.shape
        offsets, sizes = [], []
        for row in range(0, height, rows_per_strip):
            raw = pixels[row : row + rows_per_strip].astype("<i2").tobytes()
            offsets.append(len(out))
            sizes.append(len(raw))
            out += raw
        out += bytes(-len(out) % 2)
        ascii_tags = {270: description, **(texts or {})}
        values: dict[int, tuple[int, int, bytes]] = {
            256: (_LONG, 1, struct.pack("<I", width)),
            257: (_LONG, 1, struct.pack("<I", height)),
            258: (_SHORT, 1, struct.pack("<H", 16)),
            259: (_SHORT, 1, struct.pack("<H", 1)),
            273: (_LONG, len(offsets), struct.pack(f"<{len(offsets)}I", *offsets)),
            277: (_SHORT, 1, struct.pack("<H", 1)),
            278: (_LONG, 1, struct.pack("<I", rows_per_strip)),
            279: (_LONG, len(sizes), struct.pack(f"<{len(sizes)}I", *sizes)),
            282: (5, 1, struct.pack("<II", 72, 1)),
            339: (_SHORT, 1, struct.pack("<H", 2)),
            **{
                number: (_ASCII, len(text) + 1, text.encode() + b"\0")
                for number, text in ascii_tags.items()
            },
        }
        at = len(out)
        behind_at = at + struct.calcsize(entries) + len(values) * struct.calcsize(tag)
        behind_at += struct.calcsize(link)
        table, behind = bytearray(), bytearray()
        for number in sorted(values):
            kind, count, raw = values[number]
            if len(raw) > inline:
                place = struct.pack(link, behind_at + len(behind))
                behind += raw + bytes(len(raw) % 2)
                raw = place
            table += struct.pack(tag, number, kind, count, raw.ljust(inline, b"\0"))
        struct.pack_into(link, out, link_at, at)
        out += struct.pack(entries, len(values)) + table
        link_at = len(out)
        out += bytes(struct.calcsize(link)) + behind
    path.write_bytes(out)
    return path


def level(number: int, shape: tuple[int, int] = (7, 5)) -> NDArray[np.int16]:
    """Return a page of different pixels that is unique to this number."""
    return (np.arange(shape[0] * shape[1], dtype=np.int16) + 100 * number).reshape(shape)
