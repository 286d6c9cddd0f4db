"""Connect one process to the hub: publish messages, and receive them in the hub's order."""

import select
import time
from collections.abc import Sequence
from typing import NamedTuple

import zmq

from rig.clock import Clock
from rig.loaded_code import loaded_code
from rig.messages import Ended, Fault, Frame, Heartbeat, Message, Start, kind
from rig.transport.envelope import (
    CorruptMessage,
    Envelope,
    MessageStore,
    Sender,
    SequenceTracker,
    pack,
    unpack,
)
from rig.transport.frame_pixels import Pixels
from rig.transport.hub_access import (
    BACK,
    BATCH_S,
    BATCHES,
    FRONT,
    HIGH_WATER_MESSAGES,
    connect,
    read_access,
)

BEAT_NS = 200_000_000
SILENCE_NS = 1_500_000_000
_DRAIN_ONE = 1
"""Number of messages taken at a time: each is handled before the next one is read."""
_DRAIN_BATCH = 2000
"""Number of messages taken at a time by a node that batches, so that a slow node can catch up."""
_MEET_NS = 20_000_000
_MEET_WITHIN_NS = 60_000_000_000
_SILENT = "the hub is silent: its process has died or hangs"


class Batching(NamedTuple):
    """How long messages may wait to be handled together, and their largest age (s)."""

    max_batch_delay_s: float = 0.0
    max_lag_s: float = 1.0

    @property
    def end(self) -> str:
        """The hub's socket for this batching: messages at once, or in batches."""
        return BACK if self.max_batch_delay_s < BATCH_S else BATCHES

    @property
    def wait_s(self) -> float:
        """How long to wait for more messages after the first, seconds."""
        return self.max_batch_delay_s - (BATCH_S if self.end == BATCHES else 0.0)


class BusError(Exception):
    """Raised if messages were lost or came too late; the node must end."""


class Bus:
    """One process's connection to the hub; a lost message is an error."""

    def __init__(
        self,
        sender: Sender,
        port: int,
        subscribes: tuple[type, ...],
        clock: Clock,
        keeper: MessageStore,
        pace: Batching = Batching(),  # noqa: B008 (a constant)
        pixels: bool = True,
    ) -> None:
        """Connect to the hub.

        Args:
            sender: Puts the messages of this process into envelopes.
            port: The number of the hub (`rig.hub_port`).
            subscribes: The types to receive; if Envelope is among them, all types.
            clock: The clock of the session.
            keeper: Stores each message before it is published.
            pace: How long messages may wait.
            pixels: True if a received Frame gets its pixels.

        Raises:
            Refused: There is no such hub, or it does not accept this process.
        """
        self._sender, self._clock, self._keeper = sender, clock, keeper
        self._pace = pace
        self._pixels = Pixels() if pixels and Frame in subscribes else None
        self._received = SequenceTracker()
        self._newest = 0
        """The latest send time of all messages received so far, ns."""
        self._ready = False
        self._empty = False
        self._interrupted: str | None = None
        self._beat_due = clock.now()
        self._returned: int | None = None
        """Time at which `receive` last returned, ns; None before the first call."""
        self._longest_turn_ns = 0
        self._unheard_beat_t: int | None = None
        """Publication time (ns) of the oldest Heartbeat not yet received from the hub."""
        self._early: list[tuple[Envelope, Message]] = []
        access = read_access(port, sender.sender)
        self._context = zmq.Context()
        self._out = self._context.socket(zmq.PUB)
        self._in = self._context.socket(zmq.SUB)
        for socket, end in ((self._out, FRONT), (self._in, self._pace.end)):
            socket.rcvhwm = socket.sndhwm = HIGH_WATER_MESSAGES
            connect(socket, access, end)
        for name in _topics(subscribes):
            self._in.subscribe(name)
        self._fd = int(self._in.getsockopt(zmq.FD))

    def publish(self, message: Message) -> None:
        """Store a message, then publish it."""
        envelope = self._sender.wrap(message)
        data = pack(envelope)
        name = kind(message)
        self._keeper.append(name, envelope, data)
        self._out.send(name.encode() + b" " + data)

    def connect(self) -> None:
        """Publish Heartbeats until one is received; then all later messages will be received.

        Raises BusError if none is received within a minute.
        """
        deadline = self._clock.now() + _MEET_WITHIN_NS
        while not self._ready:
            now = self._clock.now()
            if now > deadline:
                raise BusError(_SILENT)
            self.publish(Heartbeat(now, ready=False))
            self._early += self._take(now + _MEET_NS)

    def receive(self, until: int | None) -> Sequence[tuple[Envelope, Message]]:
        """Return the messages that have arrived.

        If there is none, wait for one until session time `until` (ns) or the next Heartbeat. Raises
        BusError if messages were lost, are older than max_lag_s, or the hub is silent.
        """
        now = self._clock.now()
        if self._returned is not None:
            self._longest_turn_ns = max(self._longest_turn_ns, now - self._returned)
        if now >= self._beat_due:
            self._beat(now)
        if self._early:
            messages, self._early = self._early, []
        else:
            messages = self._take(self._beat_due if until is None else min(until, self._beat_due))
        self._returned = self._clock.now()
        return messages

    def interrupt(self, reason: str) -> None:
        """Make the next `receive` (or the one that is waiting) raise BusError with a reason.

        This is for a signal handler: a message that is being stored or published is finished first.
        """
        self._interrupted = reason

    def end(self, sender: str, reason: str, failed: bool) -> None:
        """Publish Ended, with the count and the running CRC of each published type."""
        messages = self._sender.published()
        overruns = self._pixels.overruns if self._pixels is not None else 0
        ended = Ended(self._clock.now(), reason, failed, messages, overruns, loaded_code())
        self.publish(ended)

    def close(self) -> None:
        """Disconnect, after waiting up to half a second for published messages to be sent."""
        if self._pixels is not None:
            self._pixels.close()
        self._context.destroy(linger=500)

    def _beat(self, now: int) -> None:
        waited_ns = 0 if self._unheard_beat_t is None else now - self._unheard_beat_t
        if waited_ns > SILENCE_NS and not self._catches_up():
            raise BusError(_SILENT)
        if self._unheard_beat_t is None:
            self._unheard_beat_t = now
        self.publish(Heartbeat(now, self._ready, self._longest_turn_ns / 1e6))
        self._longest_turn_ns = 0
        self._beat_due = now + BEAT_NS

    def _catches_up(self) -> bool:
        """Return True if this process was late and not the hub, as its Heartbeat has arrived."""
        self._empty = False
        while not self._empty:
            self._early += self._drain()
        return self._unheard_beat_t is None

    def _take(self, until: int) -> list[tuple[Envelope, Message]]:
        """Wait for messages on the socket's descriptor, as ZeroMQ's poll has a resolution of 1 ms.

        The descriptor signals only messages that arrive after the socket was found empty, so the
        socket is always read first.
        """
        if self._interrupted is not None:
            raise BusError(self._interrupted)
        if self._empty:
            wait_s = (until - self._clock.now()) / 1e9
            if not select.select([self._fd], [], [], max(0.0, wait_s))[0]:
                return []
            if self._pace.wait_s:
                left_s = (until - self._clock.now()) / 1e9
                time.sleep(max(0.0, min(self._pace.wait_s, left_s)))
        return self._drain()

    def _drain(self) -> list[tuple[Envelope, Message]]:
        messages = []
        self._empty = False
        for _ in range(_DRAIN_BATCH if self._pace.max_batch_delay_s else _DRAIN_ONE):
            try:
                frame = self._in.recv(zmq.NOBLOCK)
            except zmq.Again:
                self._empty = True
                break
            try:
                envelope, message = unpack(frame[frame.index(b" ") + 1 :])
            except (CorruptMessage, ValueError) as error:
                raise BusError(f"the hub passed on a garbled message: {error}") from error
            self._check(envelope, message)
            messages.append((envelope, self._with_pixels(message)))
        return messages

    def _check(self, envelope: Envelope, message: Message) -> None:
        name = kind(message)
        missing = self._received.add(name, envelope)
        if missing > 0:
            raise BusError(f"{missing} {name} messages of {envelope.sender} were lost")
        # A message that arrives after newer ones was sent late by its sender; this process is not
        # late.
        self._newest = max(self._newest, envelope.sent)
        age = self._clock.now() - self._newest
        if self._ready and age > self._pace.max_lag_s * 1e9:
            raise BusError(
                f"fell behind: {name} of {envelope.sender} was received {age / 1e9:.1f} s late"
            )
        if isinstance(message, Heartbeat) and envelope.sender == self._sender.sender:
            self._ready = True
            self._unheard_beat_t = None

    def _with_pixels(self, message: Message) -> Message:
        if self._pixels is None:
            return message
        if isinstance(message, Start):
            self._pixels.open(message)
        if not isinstance(message, Frame):
            return message
        ran_over = self._pixels.overrun
        filled = self._pixels.of(message)
        if self._pixels.overrun and not ran_over:
            what = f"frame {message.index} was overwritten in the ring before it was read here"
            advice = "its file is read instead; if this lasts, set rig.ring_slots higher"
            self._fault(f"{what}: {advice}")
        return filled

    def _fault(self, what: str) -> None:
        """Publish a Fault about the transport itself."""
        self.publish(Fault(self._clock.now(), what, outside=True))


def _topics(subscribes: tuple[type, ...]) -> list[bytes]:
    """Return the topics, with Heartbeat last: when one is received, all topics are subscribed."""
    if Envelope in subscribes:
        return [b""]
    names = {kind(message) for message in subscribes if issubclass(message, Message)}
    return [f"{name} ".encode() for name in sorted(names - {"Heartbeat"})] + [b"Heartbeat "]
