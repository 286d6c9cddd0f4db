"""Reserve water on disk before it is given, so that no crash can hide it.

The file in the session folder contains totals in microlitres, one per line, each with its CRC-32.
Water beyond a total is given only when the next total is on disk. An incomplete last line was never
used.
"""

import os
import threading
import zlib
from pathlib import Path

from rig.transport.log import JOURNAL_FOLDER

RESERVE_FILE = "water_reserved.txt"
_CLOSE_S = 1.0


class Unreadable(Exception):
    """Raised if the reserve file of a session is damaged."""


def read_reserved(folder: Path) -> float | None:
    """Return the water that a session had reserved, microlitres; None if it never reserved any.

    Raises:
        Unreadable: The file is damaged.
    """
    path = folder / RESERVE_FILE
    try:
        if not path.exists():
            return None
        lines = path.read_text(encoding="ascii").split("\n")[:-1]
        totals = [total_of(line) for line in lines]
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path} is damaged ({error})") from error
    return max(totals, default=0.0)


class Reservation:
    """The reserved water of a session: up to one block more than was given; a thread writes it."""

    def __init__(self, folder: Path, block_ul: float, low_ul: float) -> None:
        """Start to reserve the first block; the next is reserved when less than low_ul is left."""
        self.durable_ul = 0.0
        """Total water that may be given, microlitres, because it is reserved on disk."""
        self._folder, self._block_ul, self._low_ul = folder, block_ul, low_ul
        self._wanted_ul = block_ul
        self._failure: OSError | None = None
        self._closing = False
        self._asked = threading.Event()
        self._asked.set()
        self._thread = threading.Thread(target=self._write, name="reserve", daemon=True)
        self._thread.start()

    def used(self, given_ul: float) -> None:
        """Reserve more if little is left. Raises OSError if writing failed."""
        if self._failure is not None:
            raise OSError(f"water cannot be reserved on disk: {self._failure}")
        asked_for = self._wanted_ul > self.durable_ul
        if not asked_for and self.durable_ul - given_ul < self._low_ul:
            self._wanted_ul = given_ul + self._block_ul
            self._asked.set()

    def close(self) -> None:
        """Reserve no more."""
        self._closing = True
        self._asked.set()
        self._thread.join(_CLOSE_S)

    def _write(self) -> None:
        try:
            with (self._folder / RESERVE_FILE).open("ab", buffering=0) as file:
                os.fsync(file.fileno())
                _sync_names(self._folder)
                while self._asked.wait() and not self._closing:
                    self._asked.clear()
                    wanted_ul = self._wanted_ul
                    file.write(f"{line_of(wanted_ul)}\n".encode())
                    os.fsync(file.fileno())
                    self.durable_ul = wanted_ul
        except OSError as error:
            self._failure = error


def line_of(total_ul: float) -> str:
    """Return a total as a line of the file, rounded up so that it is never too small."""
    return with_crc(f"{total_ul + 5e-4:.3f}")


def with_crc(text: str) -> str:
    """Return a line with a text and its CRC-32."""
    return f"{text} {zlib.crc32(text.encode()):08x}"


def checked(line: str) -> str:
    """Return the text of a line. Raises ValueError if it does not match its checksum."""
    text, _, crc = line.partition(" ")
    if crc != f"{zlib.crc32(text.encode()):08x}":
        raise ValueError(f'the line "{line}" does not match its checksum')
    return text


def total_of(line: str) -> float:
    """Return the total in a line. Raises ValueError if it is damaged."""
    total_ul = float(checked(line))
    if not total_ul >= 0.0:
        raise ValueError(f'the line "{line}" is not a volume')
    return total_ul


def _sync_names(folder: Path) -> None:
    """Sync the names of the file, of the journals, and of the folders above to disk."""
    if os.name != "posix":  # on Windows a folder cannot be opened, and the system does it
        return
    whole = folder.resolve()
    for path in (whole / JOURNAL_FOLDER, whole, whole.parent, whole.parent.parent):
        if path.is_dir():
            number = os.open(path, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)
