"""Measure the time to open a file with many pages, and to pass a page to another process."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from acquisition.follow.file_follower import FileFollower
from acquisition.simulation.scanimage_encoding import Recording
from acquisition.simulation.scanimage_writer import Writer
from rig.cli.bench.harness import Row, row
from rig.cli.bench.imaging.page_source import EPOCH
from rig.errors import Refused
from rig.transport.frame_ring import Ring, RingPlan

PAGE = (3750, 440)
"""Height and width of a page, px: 3.3 MB, the strips of a 2p-RAM volume, 7.6 per second."""
PAGE_MB = PAGE[0] * PAGE[1] * 2 / 1e6
SMALL = (64, 128)
_OPENED_PAGES = 10_000


def opening(folder: Path) -> Iterator[Row]:
    """Open a file of 10,000 pages and find each of them."""
    import tifffile
    from ScanImageTiffReader import ScanImageTiffReader

    path = folder / "many.tif"
    writer = Writer(path, Recording(shape=SMALL, rate_hz=30.0), EPOCH, "pre")
    for page in range(_OPENED_PAGES):
        writer.append(np.zeros(SMALL, np.int16), page / 30)
    writer.close()

    def ours() -> int:
        with closing(FileFollower(path)) as follower:
            return sum(1 for _ in follower.poll())

    def vendors() -> int:
        with ScanImageTiffReader(str(path)) as reader:
            return len(reader)

    def tifffiles() -> int:
        with tifffile.TiffFile(path) as file:
            return len(file.pages)

    for name, count, under in (
        ("follower", ours, {"max": 500.0}),
        ("ScanImage's reader", vendors, None),
        ("tifffile", tifffiles, None),
    ):
        took_ms = []
        for _ in range(5):
            began = time.perf_counter()
            if count() != _OPENED_PAGES:
                raise Refused(f"{name} does not find {_OPENED_PAGES} pages")
            took_ms.append(1e3 * (time.perf_counter() - began))
        yield row(f"{name}: open {_OPENED_PAGES} pages", took_ms, under=under)
    path.unlink()


def ring(folder: Path) -> Iterator[Row]:
    """Pass pages through the ring, by one memcpy, and through ZeroMQ."""
    plan = RingPlan(str(folder / "ring"), 8, int(PAGE_MB * 1e6))
    slots, page = Ring(plan, create=True), np.ones(PAGE, np.int16)
    target = np.zeros((8, *PAGE), np.int16)
    context = zmq.Context()
    here, there = context.socket(zmq.PUSH), context.socket(zmq.PULL)
    here.connect(f"tcp://127.0.0.1:{there.bind_to_random_port('tcp://127.0.0.1')}")

    def through_zmq(_: int) -> None:
        here.send(page.data, copy=False)
        np.frombuffer(there.recv(copy=False).buffer, np.int16)

    took: dict[str, list[float]] = {}
    ways: dict[str, Callable[[int], Any]] = {
        "memcpy": lambda i: np.copyto(target[i % 8], page),
        "ring write": lambda i: slots.write(i, page),
        "ring read": lambda i: slots.read(i, PAGE, "<i2"),
        "ZeroMQ, one way": through_zmq,
    }
    for i in range(200):
        for name, way in ways.items():
            began = time.perf_counter()
            way(i)
            took.setdefault(name, []).append(1e3 * (time.perf_counter() - began))
    base = float(np.median(took["memcpy"][20:]))
    for name, values in took.items():
        times = np.median(values[20:]) / base
        under = {"p50": round(1.5 * base, 2)} if name.startswith("ring") else None
        note = f"{times:.2f} x memcpy"
        yield row(f"{PAGE_MB:.1f} MB by {name}", values[20:], under=under, note=note)
    slots.close()
    context.destroy(linger=0)
