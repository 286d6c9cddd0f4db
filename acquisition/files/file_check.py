"""Check saved files: list their contents and problems; copy their complete pages."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import msgspec

from acquisition.files.isolated_reader import IsolatedFile
from acquisition.follow.file_follower import FileFollower
from acquisition.scanimage.frame_counter import FrameCounter
from acquisition.scanimage.header import Header
from acquisition.scanimage.page import Page
from acquisition.scanimage.preamble import NotScanImage
from acquisition.scanimage.regions import PageStrip
from acquisition.scanimage.scan_message import strips_of
from rig.errors import Refused

_COPY_BYTES = 1 << 20


class Checked(msgspec.Struct):
    """What one file contains."""

    path: Path
    pages: int = 0
    frames: tuple[int, int] | None = None
    """The first and the last frame number."""
    seconds: tuple[float, float] | None = None
    """The microscope's timestamp of the first and the last page, s."""
    page_px: tuple[int, int] = (0, 0)
    """Width and height of a page, px."""
    dtype: str = ""
    header: Header = Header()
    planes: list[list[PageStrip]] = []
    flyback_pages: int = 0
    """Number of pages of fly-back frames, which show no depth."""
    flyback_per_volume: int = 0
    """Number of fly-back frames that are saved with each volume."""
    uneven: str = ""
    """Why the plane of a page cannot be derived from the order of the pages alone, up to the end
    of this file; "" if it can."""
    problems: list[str] = []
    """The problems found, one sentence for each."""


def check(paths: Sequence[Path], vendor: bool = True) -> list[Checked]:
    """Check files in the order of recording; frame numbers continue from file to file.

    Args:
        paths: The files.
        vendor: Also check that ScanImage's own reader opens each sound file and reads its last
            page.

    Raises:
        Refused: A file cannot be opened. Everything else is listed in `problems`.
    """
    found: list[Checked] = []
    counter: FrameCounter | None = None
    for path in paths:
        one = Checked(path, problems=[])
        with closing(FileFollower(path)) as follower:
            counter = _go_through(one, follower, counter)
        if vendor and not one.problems and one.pages:
            try:
                with closing(IsolatedFile(path)) as file:
                    file.read(len(file) - 1, len(file))
            except Refused as refusal:
                one.problems.append(str(refusal))
        found.append(one)
    return found


def repair(path: Path, copy: Path) -> tuple[int, int]:
    """Copy the complete pages of a damaged or truncated file into a new, closed file.

    The original is only read. The copy is checked, and removed if a page is missing.

    Returns:
        The number of pages in the copy, and the number of bytes of the original that are left out.

    Raises:
        Refused: There is nothing to repair or to save, or the copy cannot be made.
    """
    last, pages, end, link_bytes, damage = _whole_part(path)
    if last is None:
        raise Refused(f"{path} has no complete page; nothing can be saved")
    if not damage:
        raise Refused(f"{path} is complete; there is nothing to repair")
    try:
        with path.open("rb") as source, copy.open("xb") as target:
            _copy(source, target, end)
            target.seek(last.link_at)
            target.write(bytes(link_bytes))
        _, copied, _, _, damage = _whole_part(copy)
        if copied != pages or damage:
            copy.unlink()
            raise Refused(
                f"{path} cannot be repaired: the copy would contain {copied} of its {pages} pages"
            )
    except FileExistsError as error:
        raise Refused(f"{copy} exists already; choose another name with --to") from error
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise Refused(
            f"{copy} cannot be written ({error.strerror}); choose another --to"
        ) from error
    return pages, path.stat().st_size - end


def _whole_part(path: Path) -> tuple[Page | None, int, int, int, str]:
    """Return the last complete page, the number of complete pages, their end, the size of a link
    (bytes), and the damage in a sentence."""
    last: Page | None = None
    pages = end = 0
    with closing(FileFollower(path)) as follower:
        try:
            for page in follower.poll(ended=True):
                last, end = page, max(end, page.end)
                pages += 1
        except Refused as refusal:
            return last, pages, end, follower.link_bytes, str(refusal)
        return last, pages, end, follower.link_bytes, _unfinished(follower, pages)


def _go_through(
    one: Checked, follower: FileFollower, counter: FrameCounter | None
) -> FrameCounter | None:
    """Read a file to its end; return the counter for the file after it."""
    before = 0
    try:
        for page in follower.poll(ended=True):
            if one.pages == 0:
                counter = _begin(one, follower, page, counter)
                before = counter.flyback_pages
            _add(one, page)
            if counter is not None:
                counter.place(page)
    except (Refused, NotScanImage) as problem:
        text = str(problem)
        one.problems.append(text if isinstance(problem, Refused) else f"{one.path} {text}")
        one.uneven = text
        return None
    finally:
        one.header = follower.header
        if counter is not None:
            one.problems += [f"{one.path}: {text}" for text in counter.faults]
            one.flyback_pages = counter.flyback_pages - before
            one.flyback_per_volume = counter.flyback_per_volume or 0
            one.uneven = one.uneven or counter.uneven
            counter.faults.clear()
    if damage := _unfinished(follower, one.pages):
        one.problems.append(f"{one.path} {damage}")
    return counter


def _begin(
    one: Checked, follower: FileFollower, page: Page, counter: FrameCounter | None
) -> FrameCounter:
    one.page_px, one.dtype = (page.width_px, page.height_px), page.dtype
    try:
        one.planes = strips_of(follower.header, follower.regions, page)
    except NotScanImage as problem:
        one.problems.append(f"{one.path} {problem}")
    if counter is None:
        return FrameCounter(follower.header)
    if counter.continues(follower.header, page):
        return counter
    if counter.inside_volume:
        one.uneven = "the acquisition before it stopped inside a volume"
    return FrameCounter(follower.header)


def _add(one: Checked, page: Page) -> None:
    one.pages += 1
    first_number, first_s = (page.number, page.timestamp_s)
    if one.frames is not None and one.seconds is not None:
        first_number, first_s = one.frames[0], one.seconds[0]
    one.frames, one.seconds = (first_number, page.number), (first_s, page.timestamp_s)


def _unfinished(follower: FileFollower, pages: int) -> str:
    """Return what is incomplete in a file that was read to its end, or ""."""
    if not follower.began or follower.torn_bytes:
        return f"ends inside a page, after {pages} complete pages and {follower.torn_bytes} bytes"
    if not follower.ends:
        return f"was not closed after its {pages} pages"
    return "" if pages else "has no page"


def _copy(source: BinaryIO, target: BinaryIO, count: int) -> None:
    left = count
    while left and (piece := source.read(min(left, _COPY_BYTES))):
        target.write(piece)
        left -= len(piece)
