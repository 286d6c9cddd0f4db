"""Publish a Frame for each page, as soon as the microscope has saved it."""

import math
import time
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Annotated

import msgspec

from acquisition.follow.file_follower import FileFollower
from acquisition.follow.folder_follower import FolderFollower
from acquisition.follow.poll_scheduler import PollScheduler
from acquisition.follow.previous_scan import last_header, remember
from acquisition.scanimage.frame_counter import FrameCounter, PageIndex
from acquisition.scanimage.header import Header, differences, parse_header
from acquisition.scanimage.page import Page
from acquisition.scanimage.preamble import NotScanImage
from acquisition.scanimage.scan_message import scan_of, strips_of
from rig.errors import Refused
from rig.messages import Fault, Frame, Scan, Start
from rig.node import Node, Publish
from rig.transport.frame_ring import Ring, RingPlan

_LOOK_S = 0.005
"""Time between two polls of the file, seconds."""
_KEEN_LOOK_S = 0.001
"""Time between two polls of the file when a frame is expected, seconds."""
_FOLDER_NS = 100_000_000
"""Time between two polls of the folder for new files, which are slow on a network share, ns."""
_TICK_NS = 50_000_000
"""Longest time to read pages in one tick, ns; heartbeats are sent between ticks."""
_LONG_HEADER = 1 << 20
"""A header with more characters than this is read by a thread, so that heartbeats continue."""
_LAST_LOOKS = 200
"""Number of polls for pages that are still being saved at the end: 1 s in all."""


class Stream(Node):
    """A driver that follows ScanImage's files, writes pixels to the ring and publishes Frames."""

    name = "stream"
    subscribes = (Start,)
    publishes = (Frame, Scan)
    period_s = _LOOK_S
    max_lag_s = 3.0  # frames are not lost meanwhile, as they stay in their file

    class Settings(Node.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The folder in which the files are saved, and how they are read."""

        imaging_folder: Annotated[str, msgspec.Meta(min_length=1)] = "imaging"
        strict: bool = False
        """For a network share: read a page only after the next page has begun."""

    settings: Settings

    def __init__(self, settings: Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        self._folder: FolderFollower | None = None
        self._ring: Ring | None = None
        self._following = False
        self._frames = 0
        self._counter: FrameCounter | None = None
        self._file: FileFollower | None = None
        """The file of the last page."""
        self._header: Header | None = None
        self._looked = -_FOLDER_NS
        self._number = 0
        """ScanImage's number of the last published frame."""
        self._poll_schedule = PollScheduler()
        self._pending: _PendingFile | None = None

    def open(self) -> None:
        """List the files that exist already. Raises Refused if the folder cannot be read."""
        imaging = Path(self.settings.imaging_folder)
        if imaging.is_absolute() and not imaging.is_dir():
            raise Refused(
                f"imaging folder {imaging.as_posix()} does not exist; mount it, or correct "
                "rig.imaging_folder"
            )
        self._folder = FolderFollower(imaging, self.settings.strict)

    def handle(self, message: Start) -> None:
        """Start to look for new files."""
        plan = message.session.get("ring")
        if plan is not None:
            self._ring = Ring(msgspec.convert(plan, RingPlan))
        self._following = True

    def tick(self, now: int) -> None:
        """Publish every frame that has become complete. Raises Refused if a file is damaged."""
        look = self._following and now - self._looked >= _FOLDER_NS
        if look:
            self._looked = now
        before = self._number
        self._follow(look, until=self.clock.now() + _TICK_NS)
        if self._number != before:
            self._poll_schedule.page_arrived(now)
        self.period_s = _KEEN_LOOK_S if self._poll_schedule.is_near(now) else _LOOK_S

    def close(self) -> None:
        """Publish the frames that are still being saved, for at most 1 s."""
        try:
            self._follow_to_the_end()
        finally:
            if self._folder is not None:
                self._folder.close()
            if self._ring is not None:
                self._ring.close()

    def _follow(self, look: bool = True, ended: bool = False, until: float = math.inf) -> None:
        if self._folder is None or not self._following:
            return
        try:
            if not self._take_pending(wait=ended):
                return
            for file, page in self._folder.poll(look, ended):
                if file is not self._file and len(file.static or "") > _LONG_HEADER:
                    self._pending = _PendingFile(file, page)
                    if not self._take_pending(wait=ended):
                        return
                else:
                    self._take(file, page)
                if self.clock.now() >= until:
                    break  # the rest is read in the next tick
        except Refused:
            # A damaged file is not read again, not even to its end.
            self._following = False
            raise
        while self._folder.torn:
            self._publish_torn(self._folder.torn.pop())
        while self._folder.lost:
            text, is_growing = self._folder.lost.pop(0)
            fault = Fault(self.clock.now(), text, finding="file lost", pause=is_growing)
            self.publish(fault)

    def _follow_to_the_end(self) -> None:
        if self._pending is not None:
            self._pending.is_read(wait=True)
        quiet_s = 0.0
        file = None
        for _ in range(_LAST_LOOKS):
            before = self._frames
            self._follow()
            file = self._folder.file if self._folder is not None and self._following else None
            if file is None or file.finished:
                break
            quiet_s = quiet_s + _LOOK_S if self._frames == before else 0.0
            if file.frame_period_s is not None and quiet_s > 2 * file.frame_period_s:
                break
            time.sleep(_LOOK_S)
        self._follow(ended=True)
        if file is not None and file.torn_bytes:
            self._publish_torn(file.path)

    def _take_pending(self, wait: bool) -> bool:
        """Process a file's first page when its header has been read; return True if none waits."""
        pending = self._pending
        if pending is None:
            return True
        if not pending.is_read(wait):
            return False
        self._pending = None
        self._take(pending.file, pending.page)
        return True

    def _take(self, file: FileFollower, page: Page) -> None:
        try:
            self._publish_page(file, page)
        except NotScanImage as error:
            raise file.refused(str(error)) from error

    def _publish_page(self, file: FileFollower, page: Page) -> None:
        if file is not self._file:
            self._begin(file, page)
        if self._counter is None:
            return
        place = self._counter.place(page)
        for text in self._counter.faults:
            self.publish(Fault(self.clock.now(), f"{file.path.as_posix()}: {text}"))
        self._counter.faults.clear()
        if place is not None:
            self._publish_frame(file, page, place)

    def _begin(self, file: FileFollower, page: Page) -> None:
        """Publish the settings of a new file, unless they are those of the last file."""
        self._file = file
        if page.number == 0:
            raise _unnumbered(file)
        if self._counter is None or not self._counter.continues(file.header, page):
            self._counter = FrameCounter(file.header)
        if file.header == self._header:
            return
        here = Path.cwd()
        before = self._header or last_header(here)
        self._header = file.header
        changed = differences(file.header, before) if before is not None else ()
        try:
            planes = strips_of(file.header, file.regions, page)
        except NotScanImage as error:
            self.publish(Fault(self.clock.now(), f"{file.path.as_posix()} {error}"))
            planes = []
        self.publish(scan_of(self.clock.now(), file.path.as_posix(), file.header, planes, changed))
        remember(here, file.header)

    def _publish_frame(self, file: FileFollower, page: Page, place: PageIndex) -> None:
        if self._ring is not None:
            self._ring.fill(self._frames, page.pixel_bytes, partial(file.read_into, page))
        self.publish(
            Frame(
                self.clock.now(),
                self._frames,
                file.path.as_posix(),
                page.offset_bytes,
                page.height_px,
                page.width_px,
                page.timestamp_s,
                page.dtype,
                number=page.number,
                channel=place.channel,
                plane=place.plane,
            )
        )
        self._frames += 1
        self._number = page.number

    def _publish_torn(self, path: Path) -> None:
        text = f"{path.as_posix()} ends inside a frame, which is left out"
        self.publish(Fault(self.clock.now(), text))


class _PendingFile:
    """A file whose header is read by a thread, so that heartbeats are sent in the meantime."""

    def __init__(self, file: FileFollower, page: Page) -> None:
        self.file, self.page = file, page
        self._reader = Thread(target=parse_header, args=(file.static,), daemon=True)
        self._reader.start()

    def is_read(self, wait: bool) -> bool:
        """Return True if the header has been read; with `wait`, wait for it first."""
        self._reader.join(None if wait else 0.0)
        return not self._reader.is_alive()


def _unnumbered(file: FileFollower) -> Refused:
    version = file.header.version or "4 or before"
    return Refused(
        f"{file.path.as_posix()} is of ScanImage {version}, which does not number its frames; they "
        "cannot be matched to the frame clock. Record with ScanImage 5.0 or later (rig tiff "
        "check, info and picture read such files)"
    )


if __name__ == "__main__":
    from rig.process import run

    run(Stream)
