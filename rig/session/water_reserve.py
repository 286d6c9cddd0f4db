"""Water that is set aside on the disk before it is given, so that power loss cannot hide it.

The file in the session folder holds the boot of the machine, then totals in microlitres, one a
line; water beyond a total is given once the next one is on the disk. A torn last line was never
used.
"""

import os
import threading
from pathlib import Path

import msgspec

from rig.transport.log import JOURNAL_FOLDER

RESERVE_FILE = "water_reserved.txt"
_BOOT_FILE = Path("/proc/sys/kernel/random/boot_id")
_LEAVE_S = 1.0


class Unreadable(Exception):
    """What a session gave cannot be known from its files."""


class Reserved(msgspec.Struct, frozen=True):
    """What a session had set aside: never less than it gave."""

    boot: str
    total_ul: float


def boot() -> str:
    """Return what names the machine's present boot; "" where the system has no such name."""
    return _BOOT_FILE.read_text().strip() if _BOOT_FILE.exists() else ""


def read_reserved(folder: Path) -> Reserved | None:
    """Return what a session had set aside; None if it never did. Raises Unreadable."""
    path = folder / RESERVE_FILE
    try:
        if not path.exists():
            return None
        head, *lines = path.read_text(encoding="ascii").split("\n")[:-1] or [""]
        totals = [float(line) for line in lines]
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path} cannot be read ({error})") from error
    if any(not total >= 0.0 for total in totals):
        raise Unreadable(f"{path} holds what is no volume")
    return Reserved(head, max(totals, default=0.0))


def lower(folder: Path, reserved: Reserved, total_ul: float) -> None:
    """Have a session that ended count as no more than total_ul. Raises OSError."""
    part = folder / f"{RESERVE_FILE}.part"
    with part.open("wb") as file:
        file.write(f"{reserved.boot}\n{total_ul!r}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / RESERVE_FILE)


class Reservation:
    """Keeps water set aside, at most a block beyond what was given; a thread waits for the disk."""

    def __init__(self, folder: Path, block_ul: float, low_ul: float) -> None:
        """Begin to set the first block aside; more is asked for when less than low_ul is left."""
        self.durable_ul = 0.0
        """So much may be given in all: it is on the disk."""
        self._folder, self._block_ul, self._low_ul = folder, block_ul, low_ul
        self._wanted_ul = block_ul
        self._failure: OSError | None = None
        self._closing = False
        self._asked = threading.Event()
        self._asked.set()
        self._thread = threading.Thread(target=self._write, name="reserve", daemon=True)
        self._thread.start()

    def used(self, given_ul: float) -> None:
        """Set more aside if what is left is little. Raises OSError if the disk refused."""
        if self._failure is not None:
            raise OSError(f"water cannot be set aside on the disk: {self._failure}")
        asked_for = self._wanted_ul > self.durable_ul
        if not asked_for and self.durable_ul - given_ul < self._low_ul:
            self._wanted_ul = given_ul + self._block_ul
            self._asked.set()

    def close(self) -> None:
        """Set no more aside."""
        self._closing = True
        self._asked.set()
        self._thread.join(_LEAVE_S)

    def _write(self) -> None:
        try:
            with (self._folder / RESERVE_FILE).open("ab", buffering=0) as file:
                file.write(f"{boot()}\n".encode())
                os.fsync(file.fileno())
                _keep_names(self._folder)
                while self._asked.wait() and not self._closing:
                    self._asked.clear()
                    wanted_ul = self._wanted_ul
                    # rounded up, so that the file never says less than what may be given
                    file.write(f"{wanted_ul + 5e-4:.3f}\n".encode())
                    os.fsync(file.fileno())
                    self.durable_ul = wanted_ul
        except OSError as error:
            self._failure = error


def _keep_names(folder: Path) -> None:
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
