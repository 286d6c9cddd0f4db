"""Turns what the microscope saves into Frames while it saves it."""

import time
from pathlib import Path
from typing import Annotated

import msgspec

from acquisition.follow import FileFollower, FolderFollower
from acquisition.scanimage import Page
from rig.frames import Ring, RingPlan
from rig.messages import Fault, Frame, Start
from rig.node import Node, Say
from rig.refused import Refused

_LOOK_S = 0.005
_LAST_LOOKS = 200
"""How often it looks at the end for what is still being saved: for 1 s."""


class Stream(Node):
    """Follows the folder that ScanImage grows: puts pixels into the ring and says the Frame."""

    name = "stream"
    hears = (Start,)
    says = (Frame,)
    period_s = _LOOK_S

    class Settings(Node.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """Where the files come."""

        imaging_folder: Annotated[str, msgspec.Meta(min_length=1)] = "imaging"

    def __init__(self, settings: Settings, say: Say) -> None:
        super().__init__(settings, say)
        self._imaging = Path(settings.imaging_folder)
        self._folder: FolderFollower | None = None
        self._ring: Ring | None = None
        self._frames = 0
        self._last: tuple[Path, int] | None = None
        """The file and the microscope's number of the last frame."""

    def hear(self, word: Start) -> None:
        """Begin to look for files."""
        plan = word.session.get("ring")
        if plan is not None:
            self._ring = Ring(msgspec.convert(plan, RingPlan))
        self._folder = FolderFollower(self._imaging)

    def tick(self, now: int) -> None:
        """Say every frame that has become whole. Raises Refused if a file is damaged."""
        self._follow()

    def close(self) -> None:
        """Follow to the end of what is saved, for 1 s at most, and say those frames too."""
        try:
            self._follow_to_the_end()
        finally:
            if self._folder is not None:
                self._folder.close()
            if self._ring is not None:
                self._ring.close()

    def _follow(self) -> None:
        if self._folder is None:
            return
        try:
            for file, page in self._folder.poll():
                self._check_number(file, page)
                self._say_frame(file, page)
        except Refused:
            # What is broken is not followed again, not even to its end.
            self._folder.close()
            self._folder = None
            raise

    def _follow_to_the_end(self) -> None:
        quiet_s = 0.0
        for _ in range(_LAST_LOOKS):
            before = self._frames
            self._follow()
            file = self._folder.file if self._folder is not None else None
            if file is None or file.finished:
                return
            quiet_s = quiet_s + _LOOK_S if self._frames == before else 0.0
            if file.frame_period_s is not None and quiet_s > 2 * file.frame_period_s:
                break
            time.sleep(_LOOK_S)
        if file is not None and file.torn_bytes:
            what = f"{file.path.as_posix()} ends inside a frame, which is left out"
            self.say(Fault(self.clock.now(), what))

    def _say_frame(self, file: FileFollower, page: Page) -> None:
        if self._ring is not None:
            self._ring.write(self._frames, file.pixels(page))
        self.say(
            Frame(
                self.clock.now(),
                self._frames,
                file.path.as_posix(),
                page.offset_bytes,
                page.height_px,
                page.width_px,
                page.timestamp_s,
                page.dtype,
            )
        )
        self._frames += 1

    def _check_number(self, file: FileFollower, page: Page) -> None:
        """Say which frames are missing, if any. Raises Refused if one comes twice."""
        last_file, last = self._last or (file.path, page.number - 1)
        self._last = (file.path, page.number)
        if file.path != last_file and page.number == 1:
            return  # a new acquisition, not the same one continued in its next file
        if page.number <= last:
            raise file.refused(
                f"has frame {page.number} after frame {last}; record one channel and one plane"
            )
        if page.number > last + 1:
            missing = f"frames {last + 1} to {page.number - 1}"
            if page.number == last + 2:
                missing = f"frame {last + 1}"
            what = f"{missing} missing in {file.path.as_posix()}: ScanImage did not save them"
            self.say(Fault(self.clock.now(), what))


if __name__ == "__main__":
    from rig.process import run

    run(Stream)
