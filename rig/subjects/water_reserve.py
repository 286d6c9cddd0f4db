"""Water that is noted in the session folder before it is given, so that no crash can hide it.

Two files hold totals in microlitres, one a line, each with its CRC-32:

- The reserve grows by a block of several rewards. Water beyond a total is given only once the next
  one is on disk, so it bounds the water even after a power failure. A torn last line was never
  used.
- The begun water grows by each reward, just before its valve opens. Nobody waits for the disk: the
  file outlives its process, but not the computer. It is valid until the computer restarts.
"""

import os
import threading
import uuid
import zlib
from pathlib import Path

from rig.transport.log import JOURNAL_FOLDER

RESERVE_FILE = "water_reserved.txt"
BEGUN_FILE = "water_begun.txt"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Where Linux has an id that changes with each start of the computer."""
_CLOSE_S = 1.0


class Unreadable(Exception):
    """The reserve file of a session is damaged."""


def read_reserved(folder: Path) -> float | None:
    """Return what a session had reserved, microlitres; None if it never did. Raises Unreadable."""
    path = folder / RESERVE_FILE
    try:
        if not path.exists():
            return None
        lines = path.read_text(encoding="ascii").split("\n")[:-1]
        totals = [_total(line) for line in lines]
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path} is damaged ({error})") from error
    return max(totals, default=0.0)


def read_begun(folder: Path) -> float | None:
    """Return all water that a session had given or was about to give, microlitres.

    None if that is not known: there is no such file, it is damaged, or the computer was restarted.
    """
    try:
        boot, *totals = (folder / BEGUN_FILE).read_text(encoding="ascii").split("\n")[:-1]
        if _checked(boot) != _boot_id():
            return None
        return max((_total(line) for line in totals), default=0.0)
    except (OSError, ValueError):
        return None


class BegunWater:
    """Notes the total of each reward before its valve opens."""

    def __init__(self, folder: Path) -> None:
        """Begin the file. Raises OSError if the disk refuses."""
        self._total_ul = 0.0
        self._file = (folder / BEGUN_FILE).open("ab", buffering=0)
        self._file.write(f"{_with_crc(_boot_id())}\n".encode())

    def note(self, total_ul: float) -> None:
        """Note that all water of the session is about to be that much. Raises OSError."""
        if total_ul > self._total_ul:
            self._file.write(f"{line_of(total_ul)}\n".encode())
            self._total_ul = total_ul

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Reservation:
    """Keeps at most a block reserved beyond what was given; a thread waits for the disk."""

    def __init__(self, folder: Path, block_ul: float, low_ul: float) -> None:
        """Begin to reserve the first block; more is asked for when less than low_ul is left."""
        self.durable_ul = 0.0
        """How much may be given in all, microlitres: it is on disk."""
        self._folder, self._block_ul, self._low_ul = folder, block_ul, low_ul
        self._wanted_ul = block_ul
        self._failure: OSError | None = None
        self._closing = False
        self._asked = threading.Event()
        self._asked.set()
        self._thread = threading.Thread(target=self._write, name="reserve", daemon=True)
        self._thread.start()

    def used(self, given_ul: float) -> None:
        """Reserve more if little is left. Raises OSError if the disk refused."""
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
    """Return a line of the file; rounded up, so that it is never less than may be given."""
    return _with_crc(f"{total_ul + 5e-4:.3f}")


def _with_crc(text: str) -> str:
    return f"{text} {zlib.crc32(text.encode()):08x}"


def _checked(line: str) -> str:
    """Return the text of a line. Raises ValueError if it does not match its checksum."""
    text, _, crc = line.partition(" ")
    if crc != f"{zlib.crc32(text.encode()):08x}":
        raise ValueError(f'the line "{line}" does not match its checksum')
    return text


def _total(line: str) -> float:
    total_ul = float(_checked(line))
    if not total_ul >= 0.0:
        raise ValueError(f'the line "{line}" is not a volume')
    return total_ul


def _boot_id() -> str:
    """Return what identifies this run of the computer; an id of its own where none is known."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex


def _sync_names(folder: Path) -> None:
    """Have the disk hold the names of the file, of the journals, and of the folders above."""
    if os.name != "posix":  # elsewhere a folder cannot be opened, and the system sees to it
        return
    whole = folder.resolve()
    for path in (whole / JOURNAL_FOLDER, whole, whole.parent, whole.parent.parent):
        if path.is_dir():
            number = os.open(path, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)
