"""A running hub for tests that talk over the bus, and messages put into it by hand."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import zmq

from rig.cli.chaos.session_process import free_port
from rig.clock import RealClock, monotonic_ns
from rig.messages import MESSAGE_TYPES, Message, kind
from rig.transport.bus import Batching, Bus
from rig.transport.envelope import Envelope, MessageStore, Sender, pack
from rig.transport.gate import Publisher
from rig.transport.hub import Hub
from rig.transport.hub_access import BACK, FRONT, OBSERVER, connect, read_access

SESSION = "5e55104"
EVERYTHING = Publisher(tuple(kind(message) for message in MESSAGE_TYPES))


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        self.messages.append(name)


class RunningHub:
    """A hub to which some names may publish anything, or only their listed types."""

    def __init__(self, *names: str, tcp: bool = False, **publishers: Publisher) -> None:
        self.port, self.t0_ns = free_port(), monotonic_ns()
        self.clock = RealClock(self.t0_ns)
        self.hub = Hub(self.port, unix_sockets=not tcp)
        self._buses: list[Bus] = []
        self.hub.start(SESSION, self.t0_ns, dict.fromkeys(names, EVERYTHING) | publishers)

    def sender(self, name: str, clock: RealClock | None = None, session: str = SESSION) -> Sender:
        """Return a sender of the hub's session."""
        return Sender(name, clock or self.clock, session=session)

    def bus(
        self,
        name: str,
        *subscribes: type[Message] | type[Envelope],
        clock: RealClock | None = None,
        keeper: MessageStore | None = None,
        pixels: bool = True,
        pace: Batching = Batching(),  # noqa: B008 (a constant)
    ) -> Bus:
        """Return a connected bus, which is closed with the hub."""
        clock = clock or self.clock
        sender = self.sender(name, clock)
        bus = Bus(sender, self.port, subscribes, clock, keeper or Kept(), pace, pixels)
        self._buses.append(bus)
        bus.connect()
        return bus

    def inject(self, name: str, frames: Sequence[bytes | list[bytes]]) -> None:
        """Send messages (bytes, or a list of parts) to the hub, with the key of that name."""
        context: zmq.Context[Any] = zmq.Context()
        out = context.socket(zmq.XPUB)
        out.sndhwm = 0
        connect(out, read_access(self.port, name), FRONT)
        out.recv()  # the hub's subscription has arrived
        for frame in frames:
            out.send_multipart([frame] if isinstance(frame, bytes) else frame)
        context.destroy(linger=20_000)

    def close(self) -> None:
        for bus in self._buses:
            bus.close()
        self.hub.close()


@contextmanager
def running_hub(*names: str, tcp: bool = False, **publishers: Publisher) -> Iterator[RunningHub]:
    """Run a hub; close it, and the buses made with it."""
    hub = RunningHub(*names, tcp=tcp, **publishers)
    try:
        yield hub
    finally:
        hub.close()


def frame_of(envelope: Envelope, name: str) -> bytes:
    """Return an envelope as the bus sends it."""
    return name.encode() + b" " + pack(envelope)


def observer(context: zmq.Context[Any], port: int) -> zmq.Socket[Any]:
    """Return a socket that receives all messages of a running hub."""
    access = read_access(port, OBSERVER)
    socket: zmq.Socket[Any] = context.socket(zmq.SUB)
    socket.rcvhwm = 0
    connect(socket, access, BACK)
    return socket
