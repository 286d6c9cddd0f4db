"""Locks on a rig's hardware and on an animal, held by `rig run` and its session's processes.

The processes inherit the locks. So, if `rig run` is killed, the rig and the animal stay locked
until the last process has ended. The operating system releases the locks of processes that died.

The lock files are opened without following links. Those of a rig are never removed, as removing one
while another process opens it would let two processes hold the lock; they are in a folder that only
this user may enter.
"""

import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import msgspec

from rig.errors import Refused
from rig.session.ring_files import process_start
from rig.settings.config import SessionSettings
from rig.settings.device_factory import HARDWARE, animal_devices, device_class, is_simulated
from rig.subjects.booking import subject_folder
from rig.transport.private_folder import lock, open_private, private_folder

_SUBJECT_FILE = ".running"
"""Name of the lock file in an animal's folder."""
_ENDING_S = 10.0
"""Longest time that the processes of a session may take to end after `rig run` was killed, s."""
_RETRY_S = 0.05
_PROC = Path("/proc")
_ADDRESSES = (("address", "device"), ("port",), ("usb_serial",))
"""Groups of keys of a board's table; the values of each group identify a board."""
_THIS_COMPUTER = ("localhost", "127.0.0.1", "[::1]", socket.gethostname().casefold())
"""Names under which a device server of this computer may be reached."""


class RigLock:
    """The lock that is held while a session, or a person at the rig, uses the rig's hardware.

    Real hardware is locked by the name of the rig and by the address of each board, so that two
    commands can never use the same valve, whatever ports and names are set. A rig with only
    simulated devices is locked by its name and hub port, so that several sessions may run on one
    computer. But its devices cannot be operated by hand during a session at any port.
    """

    def __init__(self, session: SessionSettings, user: str = "", by_hand: bool = False) -> None:
        """Acquire the locks. Raises Refused, with the name of the holder, if the rig is in use.

        Args:
            session: The session whose rig and boards are locked.
            user: Description of the command that acquires the lock, for refusals of others.
            by_hand: True if a person operates the devices outside a session.
        """
        self._files: list[IO[str]] = []
        rig = session.rig.name
        user = user or f"a session of subject {session.subject}"
        folder = private_folder()
        try:
            names = [f"{name}.lock" for name in _lock_names(session, by_hand)]
            for name in names:
                self._files.append(_take(folder / name, rig))
            for path in _excluded(session, by_hand, folder):
                if path.name not in names:
                    _take(path, rig).close()
        except Refused:
            self.release()
            raise
        for file in self._files:
            _write_holder(file, user)

    def descriptors(self) -> tuple[int, ...]:
        """Return the files that a session's processes inherit, so that they hold the lock too."""
        return tuple(file.fileno() for file in self._files)

    def release(self) -> None:
        """Release the rig."""
        for file in self._files:
            file.close()

    def __enter__(self) -> "RigLock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.release()


class SubjectLock:
    """The lock that is held while a session of an animal runs."""

    def __init__(self, data: Path, subject: str, patience_s: float = _ENDING_S) -> None:
        """Acquire the lock. Raises Refused if the folder is not writable or the lock is held.

        Args:
            data: The data folder.
            subject: The animal's name.
            patience_s: Longest wait for the processes of a session that was killed, seconds.
        """
        self.folder = subject_folder(data, subject)
        self._made = [p for p in (self.folder, data, *data.parents) if not p.exists()]
        path = self.folder / _SUBJECT_FILE
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = os.fdopen(open_private(path), "r+")
        except OSError as error:
            raise Refused(
                f"data folder {data} is not writable ({self.folder}: {error.strerror}); choose "
                "another with --data"
            ) from error
        try:
            _lock(self._file, patience_s)
        except OSError as error:
            left = _left_processes(path, self._file)
            self._file.close()
            running = f"a session of subject {subject} is already running in {data}"
            raise Refused(left or f"{running}; end that one first") from error
        _write_holder(self._file, f"a session of subject {subject}")

    def descriptors(self) -> tuple[int, ...]:
        """Return the file that a session's processes inherit, so that they hold the lock too."""
        return (self._file.fileno(),)

    def release(self) -> None:
        """Release the lock, and remove the folders that were created for it and are empty."""
        if self._made and not any(self.folder.glob("ses-*")):
            (self.folder / _SUBJECT_FILE).unlink(missing_ok=True)
        self._file.close()
        for made in self._made:
            if made.exists() and not any(made.iterdir()):
                made.rmdir()


def _lock_names(session: SessionSettings, by_hand: bool) -> list[str]:
    """Return the names of the locks of a rig, in the order in which they are acquired."""
    rig = _rig_name(session)
    if not animal_devices(session)[0]:
        return [f"{rig}-{session.rig.hub_port}", *[f"{rig}-by-hand"] * by_hand]
    boards = session.nodes.get(HARDWARE, {}).get("boards", {})
    names = {name for board in boards.values() for name in _board_names(board)}
    return [rig, *sorted(names)]


def _excluded(session: SessionSettings, by_hand: bool, folder: Path) -> list[Path]:
    """Return the other locks of a simulated rig that must be free now."""
    rig = _rig_name(session)
    if animal_devices(session)[0]:
        return []
    if not by_hand:
        return [folder / f"{rig}-by-hand.lock"]
    at_ports = re.compile(rf"{rig}-\d+\.lock")
    return [path for path in sorted(folder.iterdir()) if at_ports.fullmatch(path.name)]


def _rig_name(session: SessionSettings) -> str:
    return "rig-" + re.sub(r"[^A-Za-z0-9_-]", "_", session.rig.name)


def _board_names(table: dict[str, Any]) -> Iterator[str]:
    """Yield a name for each address of a real board, or for its class if it has no address."""
    path = str(table["is"])
    if is_simulated(path, "a board"):
        return
    fields = msgspec.structs.fields(device_class(path, "a board").Settings)
    settings = {field.name: table.get(field.name, field.default) for field in fields}
    if "device" in settings:
        settings.pop("port", None)  # the port of a card is a group of its lines
    found = False
    for keys in _ADDRESSES:
        values = [str(settings[key]) for key in keys if isinstance(settings.get(key), str)]
        if any(values):
            found = True
            yield _board_name(_one_name(keys, values))
    if not found:
        yield _board_name(path)


def _one_name(keys: tuple[str, ...], values: list[str]) -> object:
    """Return the same name for all spellings of an address."""
    if keys == ("port",):  # links such as /dev/serial/by-id/... name the same port
        return os.path.realpath(values[0])
    if keys == ("address", "device"):  # NI-DAQmx ignores case, and may reach this computer by name
        address, device = (value.casefold() for value in values)
        return ["" if address.rpartition(":")[0] in _THIS_COMPUTER else address, device]
    return values


def _board_name(address: object) -> str:
    return f"board-{hashlib.sha256(str(address).encode()).hexdigest()[:16]}"


def _take(path: Path, rig: str) -> IO[str]:
    try:
        file = os.fdopen(open_private(path), "r+")
    except OSError as error:
        raise Refused(
            f"cannot check whether rig {rig} is free: {path} cannot be opened ({error.strerror}); "
            "remove that file"
        ) from error
    try:
        _lock(file, _ENDING_S)
    except OSError as error:
        holder, left = _holder(file), _left_processes(path, file)
        file.close()
        raise Refused(left or f"rig {rig} is in use by {holder}; end that first") from error
    return file


def _lock(file: IO[str], patience_s: float) -> None:
    """Lock a file; if its holder died, wait until the processes of its session have ended.

    Raises OSError if the file is still locked after that.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            lock(file)
        except OSError:
            if not _is_holder_dead(file) or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
        else:
            return


def _write_holder(file: IO[str], user: str) -> None:
    """Write who holds a lock into its file; on a full disk, hold it without a name."""
    number = file.fileno()
    with suppress(OSError):
        os.ftruncate(number, 0)
        os.lseek(number, 0, os.SEEK_SET)
        os.write(number, f"{user}, process {os.getpid()}".encode())


def _holder(file: IO[str]) -> str:
    try:
        file.seek(0)
        return file.read(200) or "a command that has just begun"
    except OSError:  # on some systems a locked file cannot be read
        return "another process"


def _is_holder_dead(file: IO[str]) -> bool:
    """Return whether the process named in a lock file is dead; without /proc it never is."""
    if process_start(os.getpid()) is None:
        return False
    named = re.search(r", process (\d+)$", _holder(file))
    return named is not None and process_start(int(named[1])) is None


def _left_processes(path: Path, file: IO[str]) -> str:
    """Return what to do about the processes that hold a lock after their launching process died.

    Returns "" if the launching process is running.
    """
    if not _is_holder_dead(file):
        return ""
    pids = " ".join(str(pid) for pid in _processes_with(path) if pid != os.getpid())
    return (
        f"{_holder(file)}, was killed, and processes of it still run ({pids}); end them with: "
        f"kill -9 {pids}"
    )


def _processes_with(path: Path) -> list[int]:
    """Return the processes that have opened a file."""
    found, file = set[int](), path.stat()
    for link in _PROC.glob("[0-9]*/fd/*"):
        with suppress(OSError):  # a process that has ended, or that of another user
            if os.path.samestat(link.stat(), file):
                found.add(int(link.parts[2]))
    return sorted(found)
