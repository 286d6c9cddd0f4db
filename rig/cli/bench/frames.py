"""rig bench frames: how fast a growing file is followed, compared with readers that re-open it."""

import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, closing, suppress
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer
from numpy.typing import NDArray

from acquisition.follow.folder_follower import FolderFollower
from acquisition.simulation.scanimage_writer import Link
from acquisition.stream import Stream
from rig.cli.bench.harness import Json, Row, count, row, show
from rig.cli.bench.imaging.file_and_ring import PAGE, PAGE_MB, SMALL, opening, ring
from rig.cli.bench.imaging.mesoscope import scanning
from rig.cli.numbers import number
from rig.clock import RealClock
from rig.messages import Frame, Message, Start
from rig.transport.frame_ring import Ring, RingPlan

_HOUR_PAGES = 11_520
"""Pages of an hour at 3.2 per second."""
_LINKS: tuple[Link, ...] = ("pre", "post")
Seen = dict[int, int]
"""Time at which each page was found, ns, by its number from 0."""


class _Limits(NamedTuple):
    """The targets of following a file; no page may be missed."""

    late_ms: float | None = None
    percent: float | None = None


def frames(
    seconds: Annotated[
        float, typer.Option(parser=number(1.0), help="Length of each measured recording, s.")
    ] = 10.0,
    as_json: Json = False,
) -> None:
    """Measure how fast imaging files are followed, opened and passed on."""
    with tempfile.TemporaryDirectory() as name:
        rows = [
            *_following(Path(name), seconds),
            *_torn(Path(name)),
            *opening(Path(name)),
            *ring(Path(name)),
            *scanning(Path(name)),
        ]
    show("rig bench frames", rows, as_json)


def _following(folder: Path, seconds: float) -> Iterator[Row]:
    for mb_s, limits in ((25.0, _Limits(1.0, 10.0)), (100.0, _Limits())):
        for link in _LINKS:
            yield from _recorded(folder, "stream", _stream, mb_s, seconds, link, limits)
    for name, reader in (("ScanImage's reader", _vendor), ("tifffile", _tifffile)):
        for link in _LINKS:
            yield from _recorded(folder, name, reader, 25.0, seconds, link, None)


def _recorded(
    folder: Path,
    name: str,
    follow: Callable[[Path, int, float], Seen],
    mb_s: float,
    seconds: float,
    link: Link,
    limits: _Limits | None,
) -> Iterator[Row]:
    """Follow a recording while another process writes it; measure the delay of each page."""
    rate_hz = mb_s / PAGE_MB
    pages = int(seconds * rate_hz)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        imaging = Path(made)
        microscope = _microscope(imaging, PAGE, rate_hz, pages, link)
        began, cpu = time.monotonic(), time.process_time()
        with chdir(imaging):  # the stream writes the scan's settings to the current folder
            seen = follow(imaging, pages, began + 1.5 * seconds + 10)
        share = (time.process_time() - cpu) / (time.monotonic() - began)
        printed, _ = microscope.communicate()
    whole = list(map(int, printed.split()))
    late_ms = [(t - whole[page]) / 1e6 for page, t in seen.items()]
    what = f"{name}, {mb_s:g} MB/s {link}"
    late_under = {"p50": limits.late_ms} if limits and limits.late_ms else None
    yield row(f"{what}: whole page to frame", late_ms, under=late_under)
    yield count("  pages missed", pages - len(seen), most=0 if limits else None, n=pages)
    yield count("  load", 100 * share, "% of a core", most=limits and limits.percent)


def _microscope(
    folder: Path, shape: tuple[int, int], rate_hz: float, pages: int, link: Link, piece_kb: int = 64
) -> "subprocess.Popen[str]":
    numbers = [str(v) for v in (folder, *shape, rate_hz, pages, link, piece_kb)]
    command = [sys.executable, "-P", "-m", "rig.cli.bench.imaging.page_source", *numbers]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _stream(folder: Path, pages: int, deadline: float) -> Seen:
    """Follow the file as the stream process does, with a ring, until the Frame of each page."""
    plan = RingPlan(str(folder / "ring"), 8, int(PAGE_MB * 1e6))
    Ring(plan, create=True).close()
    published: list[Message] = []
    clock = RealClock(0)
    stream = Stream(
        msgspec.convert({"imaging_folder": str(folder)}, Stream.Settings), published.append
    )
    stream.clock = clock
    stream.open()
    stream.handle(Start(0, {"ring": msgspec.to_builtins(plan)}))
    had = 0
    while had < pages and time.monotonic() < deadline:
        stream.tick(clock.now())
        had = len(published) - 1
        time.sleep(stream.period_s or 0.0)
    stream.close()
    return {message.number - 1: message.t for message in published if isinstance(message, Frame)}


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

    logging.getLogger("tifffile").disabled = True  # it logs every page that is not written yet

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
    """Open the file repeatedly with another reader, which may raise any error on a partial file."""
    seen: Seen = {}
    path = folder / "bench_00001.tif"
    while len(seen) < pages and time.monotonic() < deadline:
        with suppress(Exception):
            count, now = read_new(path, len(seen)), time.monotonic_ns()
            seen.update(dict.fromkeys(range(len(seen), count), now))
        time.sleep(0.001)
    return seen


def _torn(folder: Path) -> Iterator[Row]:
    """Follow an hour of pages, written at full speed in small pieces; check every pixel."""
    torn = had = 0
    with tempfile.TemporaryDirectory(dir=folder) as made:
        microscope = _microscope(Path(made), SMALL, 0.0, _HOUR_PAGES, "pre", 1)
        began = time.monotonic()
        for frame, pixels in _watched(Path(made), began + 300):
            torn += int((pixels != (frame - 1) % 30_000).any())
            had += 1
        microscope.communicate()
    yield count("torn pages, written in 1 kB pieces", torn, most=0, n=had)
    yield count("  pages missed", _HOUR_PAGES - had, most=0, n=_HOUR_PAGES)


def _watched(folder: Path, deadline: float) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield each page's number and pixels as soon as the page is complete."""
    with closing(FolderFollower(folder)) as following:
        had = 0
        while had < _HOUR_PAGES and time.monotonic() < deadline:
            for file, page in following.poll():
                yield page.number, file.pixels(page)
                had += 1
