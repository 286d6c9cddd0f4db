"""The microscope of `rig bench frames`: a process that saves pages and prints when it did."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np

from acquisition.simulation.scanimage_encoding import Recording
from acquisition.simulation.scanimage_writer import Link, Writer

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_PAGES_PER_FILE = 2000


def save(
    folder: Path, shape: tuple[int, int], rate_hz: float, pages: int, link: Link, piece_kb: int
) -> None:
    """Save pages that contain their number in every pixel; print when each was complete, ns.

    The time is taken just before the write that completes the page, because the process could be
    interrupted after it. A rate of 0 means full speed. Each file has 2,000 pages.
    """
    recording = Recording(shape=shape, rate_hz=rate_hz or 1000.0)
    writer: Writer | None = None
    whole = []
    began = time.monotonic()
    for page in range(pages):
        if page % _PAGES_PER_FILE == 0:
            if writer is not None:
                writer.close()
            path = folder / f"bench_{page // _PAGES_PER_FILE + 1:05d}.tif"
            writer = Writer(path, recording, EPOCH, link)
        if writer is None:
            return
        pixels = np.full(shape, page % 30_000, np.int16)
        pieces = writer.pieces(pixels, page * 1.0, page + 1, piece_kb * 1024)
        stamps = [time.monotonic_ns(), *(time.monotonic_ns() for _ in pieces)]
        whole.append(stamps[-1 if link == "post" else -2])  # "post" still writes the link
        if rate_hz:
            time.sleep(max(0.0, began + (page + 1) / rate_hz - time.monotonic()))
    print("\n".join(map(str, whole)), flush=True)
    time.sleep(0.5)  # a reader of closed files does not find the last file before this
    if writer is not None:
        writer.close()


if __name__ == "__main__":
    where, height, width, hz, count, kind, piece = sys.argv[1:]
    size = (int(height), int(width))
    save(Path(where), size, float(hz), int(count), cast(Link, kind), int(piece))
