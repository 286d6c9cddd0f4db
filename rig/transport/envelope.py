"""Wrap each message in an envelope: sender, sequence number, send time, session and CRC."""

import zlib
from typing import Protocol, Union

import msgspec

from rig.clock import Clock
from rig.messages import MESSAGE_TYPES, Message, kind


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """A message as it is sent by the bus; the log stores the same bytes."""

    sender: str
    incarnation: int
    seq: int
    sent: int
    crc: int
    body: msgspec.Raw
    session: str = ""
    """Id of the sender's session."""

    def checksum(self) -> int:
        """Return the CRC-32 of the other fields."""
        head = f"{self.session} {self.sender} {self.incarnation} {self.seq} {self.sent} "
        return zlib.crc32(self.body, zlib.crc32(head.encode()))


def _chained(crc: int, running: int) -> int:
    """Return the running CRC after one more message with the given CRC."""
    return zlib.crc32(crc.to_bytes(4, "little"), running)


class CorruptMessage(Exception):
    """Raised for bytes that are not a message, or that were changed in transit."""


_encode = msgspec.msgpack.Encoder().encode
_decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
_decode_message = msgspec.msgpack.Decoder(Union[MESSAGE_TYPES]).decode  # noqa: UP007


def unpack(data: bytes) -> tuple[Envelope, Message]:
    """Read an envelope and its message. Raises CorruptMessage if the bytes are not intact."""
    try:
        envelope = _decode_envelope(data)
        if envelope.crc != envelope.checksum():
            raise CorruptMessage(f"the CRC of message {envelope.seq} of {envelope.sender} is wrong")
        return envelope, _decode_message(envelope.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptMessage(str(error)) from error


def pack(envelope: Envelope) -> bytes:
    """Return an envelope's bytes, as they are sent and stored."""
    return _encode(envelope)


class GapTracker:
    """Detects missing messages, by the numbers of each sender, type and incarnation."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, str, int], int] = {}

    def add(self, name: str, envelope: Envelope) -> int:
        """Take a message of type `name`; return the number of missing messages before it.

        Heartbeats are published before all processes are connected, so the first one may have any
        number.
        """
        stream = (envelope.sender, name, envelope.incarnation)
        missing = envelope.seq - self._next.get(stream, envelope.seq if name == "Heartbeat" else 0)
        self._next[stream] = envelope.seq + 1
        return missing

    def lacks(self, name: str, envelope: Envelope) -> bool:
        """Return True if a message is newer than all counted messages of its sender and type."""
        return envelope.seq >= self._next.get((envelope.sender, name, envelope.incarnation), 0)


class SequenceTracker(GapTracker):
    """Also counts messages, and chains their CRCs, per sender and type."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: dict[tuple[str, str], tuple[int, int]] = {}

    def add(self, name: str, envelope: Envelope) -> int:
        """Count a message of type `name`; return the number of missing messages before it."""
        who = (envelope.sender, name)
        count, crc = self._messages.get(who, (0, 0))
        self._messages[who] = (count + 1, _chained(envelope.crc, crc))
        return super().add(name, envelope)

    def of(self, sender: str) -> dict[str, tuple[int, int]]:
        """Return (count, running CRC) of each type that a sender published."""
        return {k: messages for (who, k), messages in self._messages.items() if who == sender}


class Sender:
    """The sender's side of a process: puts each message into an envelope."""

    def __init__(self, sender: str, clock: Clock, incarnation: int = 0, session: str = "") -> None:
        self.sender = sender
        self._session = session
        self._clock = clock
        self._incarnation = incarnation
        self._crc = zlib.crc32(f"{session} {sender} {incarnation} ".encode())
        """CRC of the fields that are the same in all its envelopes: see Envelope.checksum."""
        self._published: dict[str, tuple[int, int]] = {}

    def wrap(self, message: Message) -> Envelope:
        """Return the message in an envelope with its number and send time, and count it."""
        name = kind(message)
        seq, running = self._published.get(name, (0, 0))
        body, sent = _encode(message), self._clock.now()
        crc = zlib.crc32(body, zlib.crc32(f"{seq} {sent} ".encode(), self._crc))
        self._published[name] = (seq + 1, _chained(crc, running))
        raw = msgspec.Raw(body)
        return Envelope(self.sender, self._incarnation, seq, sent, crc, raw, self._session)

    def published(self) -> dict[str, tuple[int, int]]:
        """Return (count, running CRC) of each published type, as SequenceTracker.of does."""
        return dict(self._published)


def rewrap(envelope: Envelope, message: Message) -> Envelope:
    """Return an envelope with another message, and with the same number and send time."""
    changed = msgspec.structs.replace(envelope, body=msgspec.Raw(_encode(message)))
    return msgspec.structs.replace(changed, crc=changed.checksum())


class MessageStore(Protocol):
    """A store for the messages of a sender before they are published."""

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        """Store one message of type `name`; `data` is its envelope as bytes."""
