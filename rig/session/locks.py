"""One user of a rig at a time: locks on its hardware, which the system releases when a holder dies.

The lock files are in a folder that only this user may enter. They are opened without following
links, and they stay: to remove one while another process opens it would let two processes hold it.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import msgspec

from rig.errors import Refused
from rig.settings.config import SessionSettings
from rig.settings.device_factory import HARDWARE, animal_devices, device_class, is_simulated
from rig.transport.private_folder import lock, open_private, private_folder

_ADDRESSES = (("address", "device"), ("port",), ("usb_serial",))
"""Keys of a board's table that identify a board, each group by itself."""


class RigLock:
    """Held while a session, or a person at the rig, uses the rig's hardware.

    Real hardware is locked by the name of the rig and by the address of each board: no setting of
    a port or a name lets two commands reach one valve. A rig whose devices are all simulated is
    locked by its name and hub port, so that several may run on one machine.
    """

    def __init__(self, session: SessionSettings, user: str = "") -> None:
        """Take the locks. Raises Refused, naming who holds the rig, if it is in use.

        Args:
            session: What is locked: its rig and the boards of its hardware.
            user: The command that takes the lock, for the refusal of the next one.
        """
        self._files: list[IO[str]] = []
        rig = session.rig.name
        user = user or f"a session of subject {session.subject}"
        folder = private_folder()
        try:
            for name in _lock_names(session):
                self._files.append(_take(folder / f"{name}.lock", rig))
        except Refused:
            self.release()
            raise
        for file in self._files:
            file.truncate()
            file.write(f"{user}, process {os.getpid()}")
            file.flush()

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


def _lock_names(session: SessionSettings) -> list[str]:
    """Return the names of the locks of a rig, in the order in which everybody takes them."""
    rig = re.sub(r"[^A-Za-z0-9_-]", "_", session.rig.name)
    if not animal_devices(session)[0]:
        return [f"rig-{rig}-{session.rig.hub_port}"]
    boards = session.nodes.get(HARDWARE, {}).get("boards", {})
    names = {name for board in boards.values() for name in _board_names(board)}
    return [f"rig-{rig}", *sorted(names)]


def _board_names(table: dict[str, Any]) -> Iterator[str]:
    """Yield a name for each address of a real board; of one without an address, for its class."""
    path = str(table["is"])
    if is_simulated(path, "a board"):
        return
    fields = msgspec.structs.fields(device_class(path, "a board").Settings)
    settings = {field.name: table.get(field.name, field.default) for field in fields}
    if "device" in settings:
        settings.pop("port", None)  # of a card: a group of its lines
    found = False
    for keys in _ADDRESSES:
        values = [str(settings[key]) for key in keys if isinstance(settings.get(key), str)]
        if any(values):
            found = True
            # links such as /dev/serial/by-id/... name the same port
            yield _board_name(os.path.realpath(values[0]) if keys == ("port",) else values)
    if not found:
        yield _board_name(path)


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
        lock(file)
    except OSError as error:
        holder = _holder(file)
        file.close()
        raise Refused(f"rig {rig} is in use by {holder}; end that first") from error
    return file


def _holder(file: IO[str]) -> str:
    try:
        return file.read(200) or "a command that has just begun"
    except OSError:  # where a locked file cannot be read
        return "another process"
