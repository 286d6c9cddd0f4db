"""Watch the folder in which ScanImage saves, and follow its files one after the other."""

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
    """Size of the file, bytes."""
    written_ns: int
    """Time of the last write, ns, by the clock of the computer that has the folder."""
    identity: tuple[int, int]
    """An identifier of the file that a renaming does not change."""


def tiffs_in(folder: Path) -> dict[Path, FileState]:
    """Return the TIFFs of a folder by path, in the order of their numbers (_2 before _10).

    Empty if the folder does not exist. Raises OSError if it cannot be read.
    """
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name  # on a network drive, macOS writes ._NAME.tif beside NAME.tif
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
    """True if the microscope is writing the file now."""


class FolderFollower:
    """A reader of the pages of a folder's new files, one file after the other.

    A file is new if it had no page when the follower was created, or has changed since then. Other
    files are earlier recordings and are not read.
    """

    def __init__(self, folder: Path, strict: bool = False) -> None:
        """List the files that exist already. Raises Refused if the folder cannot be read."""
        self.file: FileFollower | None = None
        """The file that is followed now; None before the first file."""
        self.followed: list[Path] = []
        """All files followed so far, in order."""
        self.torn: list[Path] = []
        """Files that ended inside a frame; the caller empties the list."""
        self.lost: list[LostFile] = []
        """Files that were deleted, renamed or replaced; the caller empties the list."""
        self._folder, self._strict = folder, strict
        self._in_place: dict[Path, FileState] = {}
        """The last state of each followed file that still exists under its name."""
        self._renamed: set[Path] = set()
        """New names of followed files."""
        self._was_there = folder.is_dir()
        self._old = {p: state for p, state in self._look().items() if _has_a_page(p)}

    def poll(self, look: bool = True, ended: bool = False) -> Iterator[tuple[FileFollower, Page]]:
        """Yield the pages that have become complete, with their file.

        Args:
            look: Also look for new files.
            ended: True if the writer has finished.

        Raises:
            Refused: The folder cannot be read, or a file is damaged.
        """
        while True:
            yield from self._pages(ended)
            successor = self._successor() if look else None
            if successor is None:
                return
            # The next file has a page, so this file is complete; read the rest of it.
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
        """Return the next new file; all but the first are returned only when they have a page."""
        there = self._look()
        self._find_lost(there)
        known = {*self.followed, *self._renamed}
        new = [p for p, state in there.items() if self._old.get(p) != state and p not in known]
        # Files of the same series come before others.
        series = self.file is not None and _series(self.file.path)
        path = min(new, key=lambda p: (_series(p) != series, _natural(p)), default=None)
        return path if path is not None and (self.file is None or _has_a_page(path)) else None

    def _find_lost(self, there: dict[Path, FileState]) -> None:
        """Find the followed files that were deleted, renamed or replaced since the last call."""
        for path, before in tuple(self._in_place.items()):
            now = there.get(path)
            if now is not None and (now.identity == before.identity or now.size >= before.size):
                # A network share may give a file another identity; a new file would be smaller.
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
    """Return True if a file has a page, or can never have one.

    Raises:
        Refused: The file cannot be opened.
    """
    with closing(FileFollower(path)) as probe:
        try:
            return probe.has_page
        except Refused:
            return True
