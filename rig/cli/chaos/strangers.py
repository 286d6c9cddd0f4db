"""Connect to the sockets of a running hub and send garbage."""

import os
import socket
import sys
from contextlib import suppress
from random import Random
from typing import Any

import msgspec
import zmq

from rig.errors import Refused
from rig.transport.hub_access import ENDS, FRONT, OBSERVER, Access, connect, hub_folder, read_access

_SEND_WITHIN_MS = 300


def put_garbage(kind: str, port: int, frames: int, random: Random) -> None:
    """Connect to a hub as a stranger of a kind and send garbage; the hub may refuse at once."""
    with suppress(OSError, Refused, zmq.ZMQError):  # the hub has ended or closed the connection
        if kind in ("raw bytes", "half a frame"):
            _raw(port, frames, random, kind == "half a frame")
        else:
            _framed(kind, port, frames, random)


def _raw(port: int, frames: int, random: Random, greeted: bool) -> None:
    """Send random bytes to each socket, without any protocol or after half a greeting."""
    if sys.platform != "win32":
        for end in ENDS:
            with socket.socket(socket.AF_UNIX) as raw:
                raw.settimeout(_SEND_WITHIN_MS / 1000)
                raw.connect(os.fspath(hub_folder(port) / end))
                if greeted:
                    raw.sendall(b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03")
                for _ in range(min(frames, 1000)):
                    raw.sendall(random.randbytes(random.randrange(1, 400)))


def _framed(kind: str, port: int, frames: int, random: Random) -> None:
    """Send random frames by the protocol of the hub."""
    name = "referee" if kind == "garbled frames" else OBSERVER
    access = read_access(port, name)
    if kind == "unknown key":
        public, secret = zmq.curve_keypair()
        access = msgspec.structs.replace(
            access, public_key=public.decode(), secret_key=secret.decode()
        )
    context: zmq.Context[Any] = zmq.Context()
    try:
        out = context.socket(zmq.XPUB)
        out.sndtimeo = out.rcvtimeo = _SEND_WITHIN_MS
        _connect(out, access, keyless=kind == "no key")
        with suppress(zmq.Again):
            out.recv()  # the hub's subscription, if the hub accepts this connection
        for _ in range(frames):
            topic = random.choice((b"Arm ", b"Valve ", b"Start ", b"TrialVerdict ", b"Ended ", b""))
            out.send(topic + random.randbytes(random.randrange(200)))
    finally:
        context.destroy(linger=_SEND_WITHIN_MS)


def _connect(out: zmq.Socket[Any], access: Access, keyless: bool) -> None:
    if keyless:
        out.connect(access.addresses[FRONT])
    else:
        connect(out, access, FRONT)
