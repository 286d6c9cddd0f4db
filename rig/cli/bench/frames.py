"""rig bench frames: how fast a growing file becomes frames, beside the readers that re-open it."""

import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, closing, suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from numpy.typing import NDArray

from acquisition.follow.folder_follower import FolderFollower
from acquisition.simulation.scanimage_writer import Link
from acquisition.stream import Stream
from rig.cli.bench.harness import percentiles, row
from rig.cli.bench.imaging.file_and_ring import PAGE, PAGE_MB, SMALL, opening, ring
from rig.cli.bench.imaging.mesoscope import scanning
from rig.cli.terminal import new_console
from rig.clock import RealClock
from rig.messages import Frame, Message, Start
from rig.transport.frame_ring import Ring, RingPlan

_HOUR_PAGES = 11_520
"""Of an hour at 3.2 pages a second."""
_LINKS: tuple[Link, ...] = ("pre", "post")
Seen = dict[int, int]
"""When each page was had, ns, by its number from 0."""


def frames(
    seconds: Annotated[float, typer.Option(help="Length of each measured recording.")] = 10.0,
) -> None:
    """Measure following, opening and the ring beside other ways, and the simulated microscope."""
    table = percentiles("rig bench frames")
    with tempfile.TemporaryDirectory() as name:
        for line in (
            *_following(Path(name), seconds),
            *_torn(Path(name)),
            *opening(Path(name)),
            *ring(Path(name)),
            *scanning(Path(name)),
        ):
            table.add_row(*line)
    new_console().print(table)


def _following(folder: Path, seconds: float) -> Iterator[tuple[str, ...]]:
    for mb_s, wanted in ((25.0, "p50 under 1; under 10 %"), (100.0, "all pages, sustained")):
        for link in _LINKS:
            yield from _recorded(folder, "stream", _stream, mb_s, seconds, link, wanted)
    for name, reader in (("ScanImage's reader", _vendor), ("tifffile", _tifffile)):
        for link in _LINKS:
            yield from _recorded(folder, f"{name}, re-opening", reader, 25.0, seconds, link, "")


def _recorded(
    folder: Path,
    name: str,
    follow: Callable[[Path, int, float], Seen],
    mb_s: float,
    seconds: float,
    link: Link,
    wanted: str,
) -> Iterator[tuple[str, ...]]:
    """Follow a recording made meanwhile by another process; say how late each page came."""
    rate_hz = mb_s / PAGE_MB
    pages = int(seconds * rate_hz)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        imaging = Path(made)
        microscope = _microscope(imaging, PAGE, rate_hz, pages, link)
        began, cpu = time.monotonic(), time.process_time()
        with chdir(imaging):  # a stream leaves the scan's settings in its session folder
            seen = follow(imaging, pages, began + 1.5 * seconds + 10)
        share = (time.process_time() - cpu) / (time.monotonic() - began)
        said, _ = microscope.communicate()
    whole = list(map(int, said.split()))
    late_ms = [(t - whole[page]) / 1e6 for page, t in seen.items()]
    what = f"{name}, {mb_s:g} MB/s {link}"
    yield row(f"{what}: page whole to had, ms", late_ms, wanted)
    yield (
        f"{what}: % of a core; pages had",
        f"{100 * share:.1f}",
        "",
        "",
        f"{len(seen)}/{pages}",
        "",
    )


def _microscope(
    folder: Path, shape: tuple[int, int], rate_hz: float, pages: int, link: Link, piece_kb: int = 64
) -> "subprocess.Popen[str]":
    numbers = [str(v) for v in (folder, *shape, rate_hz, pages, link, piece_kb)]
    command = [sys.executable, "-m", "rig.cli.bench.imaging.page_source", *numbers]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _stream(folder: Path, pages: int, deadline: float) -> Seen:
    """Follow as the stream's process does, with its ring: a page is had when its Frame is said."""
    plan = RingPlan(str(folder / "ring"), 8, int(PAGE_MB * 1e6))
    Ring(plan, create=True).close()
    said: list[Message] = []
    clock = RealClock(0)
    stream = Stream(msgspec.convert({"imaging_folder": str(folder)}, Stream.Settings), said.append)
    stream.clock = clock
    stream.open()
    stream.handle(Start(0, {"ring": msgspec.to_builtins(plan)}))
    had = 0
    while had < pages and time.monotonic() < deadline:
        stream.tick(clock.now())
        had = len(said) - 1
        time.sleep(stream.period_s or 0.0)
    stream.close()
    return {message.number - 1: message.t for message in said if isinstance(message, Frame)}


def _vendor(folder: Path, pages: int, deadline: float) -> Seen:
    from ScanImageTiffReader import ScanImageTiffReader

    def read_new(path: Path, first: int) -> int:
        with ScanImageTiffReader(str(path)) as reader:
            count = len(reader)
            if count > 1 and count > first:
                reader.data(first, count)
        return count if count > 1 else 0

    return _reopening(folder, pages, deadline, read_new)


def _tifffile(folder: Path, pages: int, deadline: float) -> Seen:
    import tifffile

    logging.getLogger("tifffile").disabled = True  # it tells of every page that is not there yet

    def read_new(path: Path, first: int) -> int:
        with tifffile.TiffFile(path) as file:
            count = len(file.pages)
            for page in range(first, count):
                file.pages[page].asarray()
        return count

    return _reopening(folder, pages, deadline, read_new)


def _reopening(
    folder: Path, pages: int, deadline: float, read_new: Callable[[Path, int], int]
) -> Seen:
    """Open the file again and again; what cannot be read yet raises anything."""
    seen: Seen = {}
    path = folder / "bench_00001.tif"
    while len(seen) < pages and time.monotonic() < deadline:
        with suppress(Exception):
            count, now = read_new(path, len(seen)), time.monotonic_ns()
            seen.update(dict.fromkeys(range(len(seen), count), now))
        time.sleep(0.001)
    return seen


def _torn(folder: Path) -> Iterator[tuple[str, ...]]:
    """Follow an hour's pages, saved as fast as can be in small pieces; look at every pixel."""
    torn = had = 0
    with tempfile.TemporaryDirectory(dir=folder) as made:
        microscope = _microscope(Path(made), SMALL, 0.0, _HOUR_PAGES, "pre", 1)
        began = time.monotonic()
        for frame, pixels in _watched(Path(made), began + 300):
            torn += int((pixels != (frame - 1) % 30_000).any())
            had += 1
        microscope.communicate()
    wanted = f"0 of an hour's {_HOUR_PAGES}"
    yield ("torn pages; had, in 1 kB pieces", str(torn), "", "", str(had), wanted)


def _watched(folder: Path, deadline: float) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield each page's number and pixels as soon as it is whole."""
    with closing(FolderFollower(folder)) as following:
        had = 0
        while had < _HOUR_PAGES and time.monotonic() < deadline:
            for file, page in following.poll():
                yield page.number, file.pixels(page)
                had += 1
