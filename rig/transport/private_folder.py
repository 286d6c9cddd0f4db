"""Create a folder for locks, sockets and keys that only this user may enter, and lock files."""

import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import IO

from rig.errors import Refused

_TEMPORARY = Path("/tmp") if os.name == "posix" else Path(tempfile.gettempdir())
"""Folder for temporary files; TMPDIR is not used, as it may differ between two terminals."""


def private_folder(where: Path = _TEMPORARY) -> Path:
    """Return a folder for temporary files that only this user may enter; create it if needed.

    Raises Refused if another user created the folder, or may enter it.
    """
    if sys.platform == "win32":
        folder = where / "rig"
    else:
        folder = where / f"rig-{os.getuid()}"
    make_private(folder)
    return folder


def make_private(folder: Path) -> None:
    """Create a folder that only this user may enter, or check that an existing one is private.

    Raises Refused if another user created the folder, or may enter it.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise Refused(
            f"{folder} cannot be made ({error.strerror}); remove what is there"
        ) from error
    if sys.platform != "win32":
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise Refused(f"{folder} is not a folder of this user; ask its owner to remove it")
        if found.st_mode & 0o077:
            raise Refused(f"{folder} is open to other users; run: chmod 700 {folder}")


def open_private(path: Path, flags: int = os.O_CREAT) -> int:
    """Open a file for reading and writing that only this user may read; follow no link.

    Raises OSError if that fails.
    """
    return os.open(path, os.O_RDWR | flags | getattr(os, "O_NOFOLLOW", 0), 0o600)


def lock(file: IO[bytes] | IO[str]) -> None:
    """Lock a file until it is closed. Raises OSError if another process has locked it."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
