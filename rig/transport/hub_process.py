"""The hub's process: it forwards all messages, so that all subscribers receive them in one order.

It forwards the messages that the gate accepts, and drops and counts all others. Only connections
with a key of this session are accepted; the key identifies the process.

Each message is sent twice: at once, and in a batch with all messages of 10 ms for subscribers that
may wait, because most of the cost of a message is waking its receivers.
"""

import os
import signal
import sys
import threading
from collections import Counter
from contextlib import suppress
from typing import Any

import msgspec
import zmq
from zmq.utils import z85

from rig.clock import RealClock
from rig.messages import Fault, kind
from rig.priority import prioritise, stay_on_one_core
from rig.transport.envelope import Sender, pack
from rig.transport.gate import Gate
from rig.transport.hub import HubPlan
from rig.transport.hub_access import (
    BACK,
    BATCH_S,
    BATCHES,
    ENDS,
    FRONT,
    HIGH_WATER_MESSAGES,
    MAX_MESSAGE_BYTES,
)

HUB = "hub"
_TELL_EVERY_NS = 1_000_000_000
"""Shortest interval between Faults that report refused messages, ns."""
_MAX_HANDSHAKES = 16
"""Largest number of connections that each key may open to each socket."""
_HANDSHAKE_MS = 5000
_BACKLOG = 64


def serve(plan: HubPlan) -> None:
    """Forward messages until this process is terminated."""
    context: zmq.Context[Any] = zmq.Context()
    admission = _Admission(context, plan)
    sockets = {end: context.socket(zmq.SUB if end == FRONT else zmq.PUB) for end in ENDS}
    for end, socket in sockets.items():
        socket.rcvhwm = socket.sndhwm = HIGH_WATER_MESSAGES
        socket.linger = 0
        socket.maxmsgsize = MAX_MESSAGE_BYTES
        socket.handshake_ivl = _HANDSHAKE_MS
        socket.backlog = _BACKLOG
        socket.curve_server = True
        socket.curve_secretkey = plan.secret_key.encode()
        socket.zap_domain = end.encode()
        socket.bind(plan.addresses[end])
    front = sockets[FRONT]
    front.subscribe(b"")
    admission.start()
    print("ready", flush=True)
    _pass_on(front, _Output(sockets[BACK], sockets[BATCHES]), plan)


def _pass_on(front: zmq.Socket[Any], output: "_Output", plan: HubPlan) -> None:
    clock = RealClock(plan.t0_ns)
    gate = Gate(plan.session, plan.publishers)
    refused = _Refused(Sender(HUB, clock, session=plan.session))
    front.rcvtimeo = int(BATCH_S * 1000)
    follows = False  # whether the next frame belongs to the same message
    while True:
        try:
            frame = front.recv(copy=False)
        except zmq.Again:
            frame = None
        now = clock.now()
        if frame is not None:
            sender, data = str(frame.get("User-Id")), frame.bytes
            in_parts, follows = follows or frame.more, frame.more
            why = "in several parts" if in_parts else gate.refusal(sender, data, now)
            if why is None:
                output.send(data, now)
            else:
                refused.add(f"of {sender} {why}")
        if (fault := refused.due(now)) is not None:
            output.send(fault, now)
        output.flush(now)


class _Output:
    """The output of the hub: each message is sent at once, and again in the batch of its 10 ms."""

    def __init__(self, back: zmq.Socket[Any], batches: zmq.Socket[Any]) -> None:
        self._back, self._batches = back, batches
        self._batch: list[bytes] = []
        self._due = 0

    def send(self, data: bytes, now: int) -> None:
        self._back.send(data)
        if not self._batch:
            self._due = now + int(BATCH_S * 1e9)
        self._batch.append(data)

    def flush(self, now: int) -> None:
        """Send the batch if it is due."""
        if self._batch and now >= self._due:
            for data in self._batch:
                self._batches.send(data)
            self._batch.clear()


class _Refused:
    """The counts of refused messages, which are reported in at most one Fault per second."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._counts: Counter[str] = Counter()
        self._told = -_TELL_EVERY_NS

    def add(self, why: str) -> None:
        self._counts[why] += 1

    def due(self, now: int) -> bytes | None:
        """Return the frame of a Fault, if there is something to report and a second has passed."""
        if not self._counts or now - self._told < _TELL_EVERY_NS:
            return None
        counts = ", ".join(f"{count} {why}" for why, count in self._counts.most_common(8))
        text = f"the hub refused {self._counts.total()} messages: {counts}"
        self._counts.clear()
        self._told = now
        fault = Fault(now, text, outside=True)
        return kind(fault).encode() + b" " + pack(self._sender.wrap(fault))


class _Admission:
    """The answer to libzmq whether the key of a new connection may connect (ZMQ RFC 27, ZAP)."""

    def __init__(self, context: zmq.Context[Any], plan: HubPlan) -> None:
        self._names = {z85.decode(key): name for key, name in plan.names.items()}
        self._publishers = plan.publishers
        self._handshakes: Counter[tuple[str, str]] = Counter()
        self._socket = context.socket(zmq.REP)
        self._socket.bind("inproc://zeromq.zap.01")

    def start(self) -> None:
        threading.Thread(target=self._answer, name="admission", daemon=True).start()

    def _answer(self) -> None:
        while True:
            version, request, domain, _, _, _, *credentials = self._socket.recv_multipart()
            name = self._name(domain.decode(), credentials)
            status, text = (b"200", b"OK") if name else (b"400", b"no key of this session")
            self._socket.send_multipart([version, request, status, text, name.encode(), b""])

    def _name(self, end: str, credentials: list[bytes]) -> str:
        """Return the name of the process that connects; empty if it may not."""
        name = self._names.get(credentials[0], "") if credentials else ""
        if end == FRONT and name not in self._publishers:
            return ""
        self._handshakes[name, end] += 1
        return name if self._handshakes[name, end] <= _MAX_HANDSHAKES else ""


def _end_with_parent() -> None:
    """End this process when the process that started it has ended, which closes the pipe."""
    sys.stdin.buffer.read()
    os._exit(0)


def _allow_many_connections() -> None:
    """Raise the limit on open files to the largest allowed: ZeroMQ aborts when it is reached."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(OSError, ValueError):  # macOS refuses an unlimited number
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    """Run the hub; the plan is the first line of standard input, and the hub ends at its end."""
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=HubPlan)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    prioritise(plan.realtime, rank=2)  # above the display, which may draw for a long time
    stay_on_one_core()
    _allow_many_connections()
    try:
        serve(plan)
    except zmq.ZMQError as error:
        ends = " or ".join(plan.addresses.values())
        sys.exit(f"{ends} is in use ({error}); set rig.hub_port to another")


if __name__ == "__main__":
    main()
