"""Create, check and watch the folder of a session; a refused session leaves nothing behind."""

import hashlib
import os
import shutil
import time
import uuid
from datetime import date
from pathlib import Path

import msgspec

from rig.errors import Refused
from rig.session import ring_files
from rig.settings.config import FILES_FOLDER, ResolvedSession, SessionSettings
from rig.subjects.booking import next_number, subject_folder
from rig.subjects.session_identity import save_settings
from rig.transport.log import JOURNAL_FOLDER, LOG_FILE

_MARGIN = 1.1
_UNFINISHED = ".new-"
"""Start of the name of a session folder while it is being created."""
_MODE = 0o750


def check_space(data: Path, session: SessionSettings) -> None:
    """Check that the disk has space for the longest session and 10 % more, and for the ring.

    Raises:
        Refused: There is not enough space on the disk or in shared memory.
    """
    ring_files.check_room(session)
    needed_mb = session.task["minutes"] * 60 * session.rig.disk_mb_s * _MARGIN
    free_mb = shutil.disk_usage(data).free / 1e6
    if free_mb < needed_mb:
        raise Refused(
            f"{data} has {free_mb:.0f} MB free and the session may need {needed_mb:.0f} MB "
            f"({session.task['minutes']:g} minutes at {session.rig.disk_mb_s:g} MB/s, and 10 %); "
            "make room or choose another folder with --data"
        )


def make(
    answers: ResolvedSession, data: Path, t0_ns: int, began: str, about: dict[str, str]
) -> tuple[Path, SessionSettings]:
    """Create the session folder with its settings, files and ring; return it and the session.

    The folder gets its final name only when all of it is on disk. If the disk or the shared memory
    is full, this raises Refused and leaves nothing behind.
    """
    subject = answers.session.subject
    parent = subject_folder(data, subject)
    for left in parent.glob(f"{_UNFINISHED}*"):  # folders of a launch that died
        shutil.rmtree(left, ignore_errors=True)
    today = date.today()
    final = parent / f"ses-{today:%Y%m%d}_{next_number(data, subject, today)}"
    id_ = uuid.uuid4().hex
    folder = parent / f"{_UNFINISHED}{id_}"
    session = msgspec.structs.replace(
        answers.session, id=id_, t0_ns=t0_ns, began=began, about=about
    )
    try:
        session = _fill(folder, final, answers, session)
        folder.rename(final)
        _sync(parent)
    except (OSError, Refused) as error:
        sweep(session)
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, Refused):
            raise
        raise Refused(
            f"the session folder {final} cannot be made ({error}); make room there, or choose "
            "another folder with --data"
        ) from error
    return final, session


def unmake(folder: Path, session: SessionSettings) -> None:
    """Remove a session that never began."""
    sweep(session)
    shutil.rmtree(folder)


def sweep(session: SessionSettings) -> None:
    """Remove the session's ring, and those of sessions whose launching process is gone."""
    if session.ring is None:
        return
    ring = Path(session.ring.path)
    ring.unlink(missing_ok=True)
    ring_files.sweep(ring.parent)


class FolderWatch:
    """The check whether a session's folder, a file in it, or one of its locks was removed."""

    PERIOD_S = 0.5

    def __init__(self, folder: Path, locks: tuple[int, ...] = ()) -> None:
        """Begin to watch a session folder, and the open files that are locked for the session."""
        self._folder, self._due = folder, time.monotonic()
        self._locks = locks
        self._identity = _identity(folder)
        self._open = os.open(folder, os.O_RDONLY) if os.name == "posix" else None
        self._files: dict[Path, tuple[int, int] | None] = {}
        """The files that must remain, with their identity; None before the first check."""

    def lost(self) -> str:
        """Return what was removed or moved; "" if nothing was, or if it was checked just before."""
        if time.monotonic() < self._due:
            return ""
        self._due = time.monotonic() + self.PERIOD_S
        if any(os.fstat(file).st_nlink == 0 for file in self._locks):
            return (
                "a lock file of the rig or the animal was removed, so another session could begin"
            )
        if _identity(self._folder) == self._identity:
            if not self._files:
                written = [*self._folder.glob(f"{JOURNAL_FOLDER}/*.mcap"), self._folder / LOG_FILE]
                self._files = {path: _identity(path) for path in written}
            gone = [p.name for p, before in self._files.items() if _identity(p) != before]
            names = ", ".join(gone)
            return f"{names} in the session folder {self._folder} was removed" if gone else ""
        where = self.where()
        if where is None:
            return f"the session folder {self._folder} was removed"
        return f"the session folder {self._folder} was moved to {where}"

    def where(self) -> Path | None:
        """Return the current path of the folder; None if it was removed or cannot be found."""
        if _identity(self._folder) == self._identity:
            return self._folder
        link = Path(f"/proc/self/fd/{self._open}")
        if self._open is None or not link.exists():
            return None
        found = link.readlink()
        return found if _identity(found) == self._identity else None

    def close(self) -> None:
        """Stop watching."""
        if self._open is not None:
            os.close(self._open)


def _fill(
    folder: Path, final: Path, answers: ResolvedSession, session: SessionSettings
) -> SessionSettings:
    """Create all contents of a session folder on disk. Raises OSError if that fails."""
    for made in (folder, folder / JOURNAL_FOLDER, folder / FILES_FOLDER):
        made.mkdir()
        made.chmod(_MODE)
    hashes = {}
    for name, source in answers.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(source, folder / name)
        hashes[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    session = msgspec.structs.replace(
        session, files=hashes, ring=ring_files.make_ring(session, final)
    )
    try:
        save_settings(folder, session)
        for path in (*folder.rglob("*"), folder):
            _sync(path)
    except OSError:
        sweep(session)
        raise
    return session


def _sync(path: Path) -> None:
    """Sync a file, or the names in a folder, to disk."""
    if os.name != "posix" and path.is_dir():  # a folder cannot be opened on Windows
        return
    number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return an identifier of a folder; None if there is none at this path."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
