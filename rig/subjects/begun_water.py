"""Note each reward before its valve opens, so that after a kill at most one reward is unknown.

The note is a file in the user's private folder, so that damage to the session folder, or the loss
of its disk, does not change it. It is not synced to disk: it survives the end of every process, but
not of the computer, and is valid until the computer restarts. It contains the id of the computer's
start, and totals in microlitres, one per line, each with its CRC-32.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rig.errors import Refused
from rig.subjects.water_reserve import checked, line_of, total_of, with_crc
from rig.transport.private_folder import open_private, private_folder

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""File in which Linux has an id that changes with each start of the computer."""
_SESSION_ID = re.compile("[0-9a-f]{1,64}")


class BegunWater:
    """The note of a session's rewards; it does nothing if the system has no boot id."""

    def __init__(self, session_id: str) -> None:
        """Create the file; remove the files of earlier starts of the computer.

        Raises Refused or OSError if that is not possible.
        """
        self._total_ul = 0.0
        self._file: int | None = None
        if _boot_id() and _SESSION_ID.fullmatch(session_id):
            for path in tuple(_outdated()):
                path.unlink(missing_ok=True)
            self._file = open_private(_path(session_id), os.O_CREAT | os.O_APPEND)
            self._write(with_crc(_boot_id()))

    def note(self, total_ul: float) -> None:
        """Note that the total water of the session is about to be total_ul. Raises OSError."""
        if total_ul > self._total_ul:
            self._write(line_of(total_ul))
            self._total_ul = total_ul

    def close(self) -> None:
        """Close the file; it is kept until the session's water is entered in the ledger."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, line: str) -> None:
        if self._file is not None:
            os.write(self._file, f"{line}\n".encode())


def read_begun(session_id: str) -> float | None:
    """Return all water that a session had given or was about to give, microlitres.

    None if it is not known: there is no such file, it is damaged, or the computer was restarted.
    """
    lines = _read(session_id)
    try:
        return None if lines is None else max((total_of(line) for line in lines), default=0.0)
    except ValueError:
        return None


def began_since_restart(session_id: str) -> bool:
    """Return True if a session is known to have begun since the computer was started."""
    return _read(session_id) is not None


def remove_begun(session_id: str) -> None:
    """Remove the note of a session whose water is known exactly."""
    if not _SESSION_ID.fullmatch(session_id):
        return
    with suppress(OSError, Refused):
        _path(session_id).unlink(missing_ok=True)


def _read(session_id: str) -> list[str] | None:
    """Return the lines of a session's note, without the first; None if the note is not valid."""
    if not _SESSION_ID.fullmatch(session_id):
        return None
    try:
        boot, *lines = _path(session_id).read_text(encoding="ascii").split("\n")[:-1]
        return lines if checked(boot) == _boot_id() else None
    except (OSError, ValueError, Refused):
        return None


def _path(session_id: str) -> Path:
    return private_folder() / f"water-{session_id}.txt"


def _outdated() -> Iterator[Path]:
    head = with_crc(_boot_id()).encode()
    for path in private_folder().glob("water-*.txt"):
        if not path.read_bytes().startswith(head):
            yield path


def _boot_id() -> str:
    """Return the id of this start of the computer; "" if the system has none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
