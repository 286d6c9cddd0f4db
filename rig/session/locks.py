"""Locks on a rig's hardware; the operating system releases them when their holder dies.

The lock files are in a folder that only this user may enter. They are opened without following
links, and are never removed, as removing one while another process opens it would let two processes
hold the lock.
"""

import hashlib
import os
import re
import socket
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
        lock(file)
    except OSError as error:
        holder = _holder(file)
        file.close()
        raise Refused(f"rig {rig} is in use by {holder}; end that first") from error
    return file


def _holder(file: IO[str]) -> str:
    try:
        return file.read(200) or "a command that has just begun"
    except OSError:  # on some systems a locked file cannot be read
        return "another process"
