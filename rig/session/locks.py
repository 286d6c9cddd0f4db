"""One session a rig: a lock on the machine, which the system lets go when its holder dies."""

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import IO

from rig.errors import Refused
from rig.settings.config import SessionSettings
from rig.settings.device_factory import animal_devices


class RigLock:
    """Held while a session runs on a rig.

    A rig is known by its name; one whose devices are all simulated by its hub's port, too: of
    those there may be several.
    """

    def __init__(self, session: SessionSettings) -> None:
        """Take the lock. Raises Refused, naming the session that holds it."""
        real, _ = animal_devices(session)
        name = re.sub(r"[^A-Za-z0-9_-]", "_", session.rig.name)
        port = "" if real else f"-{session.rig.hub_port}"
        path = Path(tempfile.gettempdir()) / f"rig-lock-{name}{port}"
        try:
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
        except OSError as error:
            raise Refused(
                f"whether rig {session.rig.name} is free cannot be known: {path} cannot be opened "
                f"({error.strerror}); end the other user's session, or remove that file"
            ) from error
        try:
            lock(self._file)
        except OSError as error:
            holder = _holder(self._file)
            self._file.close()
            raise Refused(
                f"rig {session.rig.name} runs a session already ({holder}); end that one first"
            ) from error
        self._file.truncate()
        self._file.write(f"subject {session.subject}, process {os.getpid()}")
        self._file.flush()

    def release(self) -> None:
        """Let the rig go."""
        self._file.close()


def lock(file: IO[bytes] | IO[str]) -> None:
    """Lock a file until it is closed. Raises OSError if somebody else has it."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(file: IO[str]) -> str:
    try:
        return file.read(200) or "it has just begun"
    except OSError:  # where a locked file cannot be read
        return "another process"
