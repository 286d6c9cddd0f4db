"""Watch the folder that ScanImage saves into, and follow its files one after the other."""

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from acquisition.follow.file_follower import FileFollower
from acquisition.scanimage.page import Page
from rig.errors import Refused
from rig.settings.user_files import is_user_file

_SUFFIXES = (".tif", ".tiff")


class FileState(NamedTuple):
    """A file as its folder lists it."""

    size: int
    """Bytes."""
    written_ns: int
    """When it was last written to, by the clock of its computer."""
    identity: tuple[int, int]
    """Identifies the file, even after it was renamed."""


def tiffs_in(folder: Path) -> dict[Path, FileState]:
    """Return the TIFFs of a folder by path, in the order of their numbers (_2 before _10).

    A folder that does not exist has none. Raises OSError.
    """
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name  # macOS writes ._NAME.tif beside NAME.tif on a network drive
                if is_user_file(name) and name.lower().endswith(_SUFFIXES) and entry.is_file():
                    path = folder / entry.name
                    stat = path.stat()  # entry.stat() has no identity on Windows
                    identity = (stat.st_dev, stat.st_ino)
                    found[path] = FileState(stat.st_size, stat.st_mtime_ns, identity)
    except FileNotFoundError:
        return {}
    return dict(sorted(found.items(), key=lambda item: _natural(item[0])))


class LostFile(NamedTuple):
    """A followed file that was deleted, renamed or replaced."""

    text: str
    """What happened, in a sentence."""
    is_growing: bool
    """Whether it is the file that the microscope writes now."""


class FolderFollower:
    """Read the pages of a folder's new files, one file after the other.

    A file is new if it had no page when the follower was made, or has changed since. Other files
    are earlier recordings and are left alone.
    """

    def __init__(self, folder: Path, strict: bool = False) -> None:
        """Note which files are there already. Raises Refused if the folder cannot be read."""
        self.file: FileFollower | None = None
        """The file that is followed now; None before the first one."""
        self.followed: list[Path] = []
        """Every file followed, in order."""
        self.torn: list[Path] = []
        """Files that ended inside a frame, since the caller last emptied the list."""
        self.lost: list[LostFile] = []
        """Files that were deleted, renamed or replaced since then."""
        self._folder, self._strict = folder, strict
        self._in_place: dict[Path, FileState] = {}
        """The followed files that are still under their names, as they were last seen."""
        self._renamed: set[Path] = set()
        """New names of followed files."""
        self._was_there = folder.is_dir()
        self._old = {p: state for p, state in self._look().items() if _has_a_page(p)}

    def poll(self, look: bool = True, ended: bool = False) -> Iterator[tuple[FileFollower, Page]]:
        """Yield the pages that have become complete, with their file. Raises Refused.

        Args:
            look: whether to look for new files, too.
            ended: whether nothing is written any more.
        """
        while True:
            yield from self._pages(ended)
            successor = self._successor() if look else None
            if successor is None:
                return
            # The next file has a page, so this one is complete: read what is left of it.
            yield from self._pages(ended=True)
            self._leave()
            self.file = FileFollower(successor, self._strict)
            self.followed.append(successor)
            self._in_place[successor] = FileState(0, 0, self.file.identity)

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()

    def _pages(self, ended: bool) -> Iterator[tuple[FileFollower, Page]]:
        if self.file is not None:
            for page in self.file.poll(ended):
                yield self.file, page

    def _successor(self) -> Path | None:
        """Return the next new file; unless it is the first one, only once it has a page."""
        there = self._look()
        self._find_lost(there)
        known = {*self.followed, *self._renamed}
        new = [p for p, state in there.items() if self._old.get(p) != state and p not in known]
        # Files of the same series come before others.
        series = self.file is not None and _series(self.file.path)
        path = min(new, key=lambda p: (_series(p) != series, _natural(p)), default=None)
        return path if path is not None and (self.file is None or _has_a_page(path)) else None

    def _find_lost(self, there: dict[Path, FileState]) -> None:
        """Note the followed files that were deleted, renamed or replaced since the last look."""
        for path, before in tuple(self._in_place.items()):
            now = there.get(path)
            if now is not None and (now.identity == before.identity or now.size >= before.size):
                # A share may give a file another identity; one in its place begins small.
                self._in_place[path] = now._replace(identity=before.identity)
                continue
            del self._in_place[path]
            renamed = [p for p, state in there.items() if state.identity == before.identity]
            self._renamed.update(renamed)
            what = f"was renamed to {renamed[0].name}" if renamed else "was deleted"
            what = "was replaced by another file" if now is not None else what
            text = (
                f"{path.as_posix()} {what} during the session; bring it back under its name, "
                "because its frames cannot be read again without it"
            )
            is_growing = self.file is not None and path == self.file.path
            self.lost.append(LostFile(text, is_growing))

    def _look(self) -> dict[Path, FileState]:
        try:
            there = tiffs_in(self._folder)
            vanished = self._was_there and not there and not self._folder.is_dir()
        except OSError as error:
            raise self._refused(f"cannot be read ({error.strerror})") from error
        if vanished:
            raise self._refused("has been removed")
        self._was_there |= bool(there)
        return there

    def _leave(self) -> None:
        if self.file is not None:
            if self.file.torn_bytes:
                self.torn.append(self.file.path)
            self.file.close()

    def _refused(self, what: str) -> Refused:
        return Refused(
            f"imaging folder {self._folder.as_posix()} {what}; restore it, or correct "
            "rig.imaging_folder"
        )


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a sort key that orders the numbers in a name by their value."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _series(path: Path) -> str:
    """Return a file's name without the number that counts the files of an acquisition."""
    return re.sub(r"\d+$", "", path.stem)


def _has_a_page(path: Path) -> bool:
    """Whether a file has a page, or can never have one. Raises Refused if it cannot be opened."""
    with closing(FileFollower(path)) as probe:
        try:
            return probe.has_page
        except Refused:
            return True
