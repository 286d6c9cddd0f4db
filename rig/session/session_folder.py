"""Where a session lives: checked before anything is made, and unmade if it was refused."""

import hashlib
import shutil
import uuid
from datetime import date
from io import BufferedWriter
from pathlib import Path

import msgspec

from rig.errors import Refused
from rig.session import ring_files
from rig.session.locks import lock
from rig.settings.config import FILES_FOLDER, SETTINGS_FILE, ResolvedSession, SessionSettings
from rig.transport.log import JOURNAL_FOLDER

_MARGIN = 1.1
_LOCK_FILE = ".running"


class SubjectLock:
    """Held while a session of the subject runs; the system lets it go when its holder dies."""

    def __init__(self, data: Path, subject: str) -> None:
        """Take the lock. Raises Refused if the folder is not writable or the lock is held."""
        self._made = [p for p in (data / f"sub-{subject}", data, *data.parents) if not p.exists()]
        self.folder = data / f"sub-{subject}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file: BufferedWriter = (self.folder / _LOCK_FILE).open("wb")
        except OSError as error:
            raise Refused(
                f"data folder {data} is not writable ({error.strerror}); choose another with --data"
            ) from error
        try:
            lock(self._file)
        except OSError as error:
            self._file.close()
            raise Refused(
                f"a session of subject {subject} is already running in {data}; end that one first"
            ) from error

    def release(self) -> None:
        """Let the lock go, and every folder that taking it made and nobody filled."""
        if self._made and not any(self.folder.glob("ses-*")):
            (self.folder / _LOCK_FILE).unlink(missing_ok=True)
        self._file.close()
        for made in self._made:
            if made.exists() and not any(made.iterdir()):
                made.rmdir()


def check_space(data: Path, session: SessionSettings) -> None:
    """Refuse if the disk has less room than the session's longest time needs, and a tenth.

    The same where the ring will lie, if that has less room than the ring needs.
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
    answers: ResolvedSession, subject_folder: Path, t0_ns: int, began: str, about: dict[str, str]
) -> tuple[Path, SessionSettings]:
    """Make the session folder with its settings, files and ring; return it and the session."""
    folder = _next_folder(subject_folder)
    (folder / JOURNAL_FOLDER).mkdir()
    (folder / FILES_FOLDER).mkdir()
    hashes = {}
    for name, source in answers.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(source, folder / name)
        hashes[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    session = msgspec.structs.replace(
        answers.session,
        id=uuid.uuid4().hex,
        ring=ring_files.make_ring(answers.session, folder),
        files=hashes,
        t0_ns=t0_ns,
        began=began,
        about=about,
    )
    text = msgspec.json.format(msgspec.json.encode(session), indent=2)
    (folder / SETTINGS_FILE).write_bytes(text)
    return folder, session


def unmake(folder: Path, session: SessionSettings) -> None:
    """Remove a session that never began."""
    sweep(session)
    shutil.rmtree(folder)


def sweep(session: SessionSettings) -> None:
    """Remove the ring, and those of sessions whose launching process is gone."""
    if session.ring is None:
        return
    ring = Path(session.ring.path)
    ring.unlink(missing_ok=True)
    ring_files.sweep(ring.parent)


def _next_folder(subject_folder: Path) -> Path:
    """Make the next free ses-DATE_N."""
    number = 1
    while True:
        folder = subject_folder / f"ses-{date.today():%Y%m%d}_{number}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            continue
        return folder
