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
    locked by its name and hub port, so that several sessions may run on one machine; but as on real
    hardware, its devices are not operated by hand during a session of the rig at any port.
    """

    def __init__(self, session: SessionSettings, user: str = "", by_hand: bool = False) -> None:
        """Take the locks. Raises Refused, naming who holds the rig, if it is in use.

        Args:
            session: What is locked: its rig and the boards of its hardware.
            user: The command that takes the lock, for the refusal of the next one.
            by_hand: Whether a person operates the devices outside a session.
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


def _lock_names(session: SessionSettings, by_hand: bool) -> list[str]:
    """Return the names of the locks of a rig, in the order in which everybody takes them."""
    rig = _rig_name(session)
    if not animal_devices(session)[0]:
        return [f"{rig}-{session.rig.hub_port}", *[f"{rig}-by-hand"] * by_hand]
    boards = session.nodes.get(HARDWARE, {}).get("boards", {})
    names = {name for board in boards.values() for name in _board_names(board)}
    return [rig, *sorted(names)]


def _excluded(session: SessionSettings, by_hand: bool, folder: Path) -> list[Path]:
    """Return the locks of a simulated rig that nobody may hold now, besides its own."""
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
