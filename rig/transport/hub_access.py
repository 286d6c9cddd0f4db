"""The addresses of a session's hub and the keys to connect, in files that only this user may read.

While a hub runs, its folder (`hub-PORT` in the user's private folder) contains one file for each
process that may connect. On Linux and macOS the hub listens on Unix sockets in this folder, and the
port is only a number that distinguishes the hubs of several rigs. On other systems the hub listens
on this TCP port and the next two, on loopback. In both cases a connection needs one of the keys.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import zmq

from rig.errors import Refused
from rig.transport.private_folder import make_private, open_private, private_folder

OBSERVER = "observer"
"""The name of a key with which a process may subscribe but not publish."""
FRONT, BACK, BATCHES = "front", "back", "batches"
"""The hub's three sockets. It receives messages at `front` and sends each of them at once at
`back`. At `batches` it sends the same messages in the same order, collected for BATCH_S."""
ENDS = (FRONT, BACK, BATCHES)
BATCH_S = 0.01
"""Time for which the hub collects messages for subscribers that may wait, seconds. Such a
subscriber is woken 100 times per second instead of once for each message."""
HAS_UNIX_SOCKETS = os.name == "posix"
HIGH_WATER_MESSAGES = 100_000
"""Largest number of messages that may wait in a socket."""
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_MAX_PATH_BYTES = 103
"""Largest length of the path of a Unix socket on every system (Linux has 107, macOS 103)."""


class Access(msgspec.Struct, frozen=True):
    """What a process needs to connect to a hub."""

    addresses: dict[str, str]
    """The address of each socket of the hub."""
    hub_key: str
    """The hub's public key (Z85)."""
    public_key: str
    secret_key: str


def hub_folder(port: int) -> Path:
    """Return the folder of the hub with a number."""
    return private_folder() / f"hub-{port}"


def any_hub() -> bool:
    """Return whether this user runs a hub, or left the folder of one behind."""
    return any(private_folder().glob("hub-*"))


def addresses(port: int, unix_sockets: bool = HAS_UNIX_SOCKETS) -> dict[str, str]:
    """Return the address of each socket of a hub. Raises Refused if a path is too long."""
    if not unix_sockets:
        return {end: f"tcp://127.0.0.1:{port + n}" for n, end in enumerate(ENDS)}
    paths = [hub_folder(port) / end for end in ENDS]
    longest = max(len(os.fsencode(path)) for path in paths)
    if longest > _MAX_PATH_BYTES:
        raise Refused(
            f"the path of the hub's socket {paths[0]} has {longest} bytes and may have "
            f"{_MAX_PATH_BYTES}; use a shorter folder"
        )
    return {end: f"ipc://{path}" for end, path in zip(ENDS, paths, strict=True)}


def write_access(port: int, name: str, access: Access) -> None:
    """Write the file with which a process may connect to a hub. Raises OSError if that fails."""
    folder = hub_folder(port)
    make_private(folder)
    with os.fdopen(open_private(folder / f"{name}.key", os.O_CREAT | os.O_EXCL), "wb") as file:
        file.write(msgspec.json.encode(access))


def remove_access(port: int) -> None:
    """Remove a hub's folder: its keys and sockets."""
    shutil.rmtree(hub_folder(port), ignore_errors=True)


def read_access(port: int, name: str) -> Access:
    """Return what the process `name` needs to connect to a hub. Raises Refused if it has no key."""
    try:
        return msgspec.json.decode((hub_folder(port) / f"{name}.key").read_bytes(), type=Access)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(
            f"no hub with the number {port} admits {name} ({error}); the session has ended"
        ) from error


def connect(socket: zmq.Socket[Any], access: Access, end: str) -> None:
    """Connect a socket to one of the hub's sockets."""
    socket.curve_serverkey = access.hub_key.encode()
    socket.curve_publickey = access.public_key.encode()
    socket.curve_secretkey = access.secret_key.encode()
    socket.maxmsgsize = MAX_MESSAGE_BYTES
    socket.connect(access.addresses[end])
