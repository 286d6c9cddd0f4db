"""A picture on the disk, as any viewer opens it."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused


def write_png(path: Path, picture: NDArray[Any]) -> None:
    """Write a PNG of a picture (height_px, width_px, 3), uint8. Raises Refused."""
    height, width, _ = picture.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # a filter byte of 0 before each row
    rows[:, 1:] = picture.reshape(height, -1)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes())),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    try:
        path.write_bytes(data)
    except OSError as error:
        raise Refused(f"{path} cannot be written ({error}); name another file") from error
