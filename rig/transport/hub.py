"""Start and stop a session's hub, a process that forwards every message in one order to all."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import IO

import msgspec
import zmq

from rig.errors import Refused
from rig.transport.gate import Publisher
from rig.transport.hub_access import (
    HAS_UNIX_SOCKETS,
    OBSERVER,
    Access,
    addresses,
    remove_access,
    write_access,
)
from rig.transport.private_folder import lock, open_private, private_folder

_END_WITHIN_S = 2.0


class HubPlan(msgspec.Struct, frozen=True):
    """The settings of the hub's process, from its standard input."""

    session: str
    t0_ns: int
    addresses: dict[str, str]
    """The address of each socket of the hub."""
    secret_key: str
    names: dict[str, str]
    """The name of the process of each public key (Z85) that may connect."""
    publishers: dict[str, Publisher]
    realtime: bool = False


class Hub:
    """The hub of one session: its number, which is locked, and its process."""

    def __init__(self, port: int, unix_sockets: bool = HAS_UNIX_SOCKETS) -> None:
        """Lock the hub's number. Raises Refused if another hub uses it."""
        self._port, self._unix_sockets = port, unix_sockets
        self._process: subprocess.Popen[bytes] | None = None
        path = private_folder() / f"hub-{port}.lock"
        try:
            self._lock: IO[bytes] = os.fdopen(open_private(path), "r+b")
        except OSError as error:
            raise Refused(f"{path} cannot be opened ({error.strerror}); remove it") from error
        try:
            lock(self._lock)
        except OSError as error:
            self._lock.close()
            raise Refused(
                f"hub {port} on this machine is in use: a session already runs on this rig, or "
                "set rig.hub_port to another number"
            ) from error

    def start(
        self, session: str, t0_ns: int, publishers: Mapping[str, Publisher], realtime: bool = False
    ) -> None:
        """Create a key for each process and start the hub's process.

        Args:
            session: The session's id; messages with another id are refused.
            t0_ns: The session's zero on the monotonic clock, ns.
            publishers: The message types that each process may publish.
            realtime: True to give the hub priority over all ordinary processes.

        Raises:
            Refused: The hub cannot start.
        """
        remove_access(self._port)  # remove the keys of a hub that was killed
        ends = addresses(self._port, self._unix_sockets)
        hub_key, hub_secret = zmq.curve_keypair()
        names = {}
        try:
            for name in (*publishers, OBSERVER):
                public, secret = zmq.curve_keypair()
                names[public.decode()] = name
                keys = (key.decode() for key in (hub_key, public, secret))
                write_access(self._port, name, Access(ends, *keys))
        except OSError as error:
            remove_access(self._port)
            raise Refused(
                f"the keys of the hub cannot be written ({error}); make room in {private_folder()}"
            ) from error
        plan = HubPlan(session, t0_ns, ends, hub_secret.decode(), names, dict(publishers), realtime)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rig.transport.hub_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that it does not get Ctrl-C
        )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(msgspec.json.encode(plan) + b"\n")
        stdin.flush()  # the pipe stays open, as the hub ends when it is closed
        answer = stdout.readline()
        if answer != b"ready\n":
            answer += stdout.read()
            self.close()
            reason = answer.decode(errors="replace").strip().splitlines()[-1:] or ["it died"]
            raise Refused(f"the hub cannot start: {reason[0]}")

    def close(self) -> None:
        """End the hub's process, remove its keys, and release its number."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_END_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            remove_access(self._port)
        self._lock.close()
