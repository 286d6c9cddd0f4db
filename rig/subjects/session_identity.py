"""Which session a folder holds: that of its log. settings.json is a copy, and may be damaged."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rig.errors import Refused
from rig.messages import Message, Start
from rig.settings.config import SETTINGS_FILE, SessionSettings, convert, read_session
from rig.transport.log import JOURNAL_FOLDER, LOG_FILE, read_first


class _Id(msgspec.Struct):
    """What is needed here of settings.json."""

    id: str = ""


def session_of(folder: Path) -> SessionSettings:
    """Return the settings of a session: those of its Start, else those in its file.

    The Start is in the log, or in the journal of launch, and has a CRC.

    Raises Refused if none of them can be read, or if the folder holds files of two sessions.
    """
    check_one_session(folder)
    return _started(folder) or read_session(folder)


def save_settings(folder: Path, session: SessionSettings) -> None:
    """Write the settings of a session into its folder, and sync them. Raises OSError."""
    text = msgspec.json.format(msgspec.json.encode(session), indent=2)
    with (folder / SETTINGS_FILE).open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def has_settings(folder: Path, session: SessionSettings) -> bool:
    """Return whether the file in a session folder has those settings."""
    try:
        return read_session(folder) == session
    except Refused:
        return False


def check_one_session(folder: Path) -> None:
    """Check that log, journals and settings are of one session. Raises Refused.

    A file that cannot be read is ignored, as are messages recorded before they had a session's id.
    """
    check_can_be_read(folder)
    found = dict(_ids(folder))
    for path, id_ in found.items():
        if id_ != next(iter(found.values())):
            first = next(iter(found))
            raise Refused(
                f"{path} is of another session than {first.name}; put the right file back, or "
                f"move {path.name} away"
            )


def check_can_be_read(folder: Path) -> None:
    """Refuse a session folder with a pipe or a socket, because reading it might never end."""
    for path in folder.rglob("*"):
        if not (path.is_symlink() or path.is_file() or path.is_dir()):
            raise Refused(f"{path} is neither a file nor a folder; remove it")


def changed_files(folder: Path) -> Iterator[str]:
    """Yield a sentence for each file that differs from what the session began with.

    These are settings.json and the files that the settings name, such as the cells' masks.
    """
    started = _started(folder)
    if started is None:
        return
    if (folder / SETTINGS_FILE).exists() and not has_settings(folder, started):
        yield f"{SETTINGS_FILE} is damaged or was changed; write it again: rig recover {folder}"
    for name, sha256 in started.files.items():
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            yield f"{name} cannot be read ({error.strerror})"
            continue
        if found != sha256:
            yield f"{name} was changed since the session began"


def _started(folder: Path) -> SessionSettings | None:
    """Return the settings in the Start of a session; None if no Start can be read."""
    for path in (folder / LOG_FILE, folder / JOURNAL_FOLDER / "launch.mcap"):
        try:
            found = read_first(path, Start)
            if found is not None:
                return convert(found[1].session, SessionSettings, str(path))
        except (OSError, Refused):  # recorded by another version, perhaps
            continue
    return None


def _ids(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the session's id in each file of a folder that has one."""
    for path in (folder / LOG_FILE, *sorted((folder / JOURNAL_FOLDER).glob("*.mcap"))):
        try:
            found = read_first(path, Message)
        except OSError:
            continue
        if found is not None and found[0].session:
            yield path, found[0].session
    try:
        in_settings = msgspec.json.decode((folder / SETTINGS_FILE).read_bytes(), type=_Id).id
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return
    if in_settings:
        yield folder / SETTINGS_FILE, in_settings
