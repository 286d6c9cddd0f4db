"""What goes round each word: who said it, in which order, when, and a checksum over it all."""

import zlib
from typing import Protocol, Union

import msgspec

from rig.clock import Clock
from rig.messages import MESSAGE_TYPES, Message, kind


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """What the bus puts round a word; the log keeps it as it was on the wire."""

    sender: str
    incarnation: int
    seq: int
    sent: int
    crc: int
    body: msgspec.Raw
    session: str = ""
    """Id of the session that its sender belongs to."""

    def checksum(self) -> int:
        """Return the CRC-32 of the other fields."""
        head = (self.session, self.sender, self.incarnation, self.seq, self.sent)
        return _checksum(head, self.body)


def _checksum(head: tuple[str, str, int, int, int], body: bytes | msgspec.Raw) -> int:
    session, sender, incarnation, seq, sent = head
    text = f"{session} {sender} {incarnation} {seq} {sent} "
    return zlib.crc32(body, zlib.crc32(text.encode()))


class CorruptMessage(Exception):
    """Bytes that are no word of ours, or were changed on the way."""


_encode = msgspec.msgpack.Encoder().encode
_decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
_decode_word = msgspec.msgpack.Decoder(Union[MESSAGE_TYPES]).decode  # noqa: UP007


def unpack(data: bytes) -> tuple[Envelope, Message]:
    """Read an envelope and the word in it. Raises Garbled."""
    try:
        envelope = _decode_envelope(data)
        if envelope.crc != envelope.checksum():
            raise CorruptMessage(f"the CRC of word {envelope.seq} of {envelope.sender} is wrong")
        return envelope, _decode_word(envelope.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptMessage(str(error)) from error


def pack(envelope: Envelope) -> bytes:
    """Return an envelope's bytes, as on the wire and in the log."""
    return _encode(envelope)


class SequenceTracker:
    """Counts words and chains their CRCs per speaker and kind; notices what is missing."""

    def __init__(self) -> None:
        self._messages: dict[tuple[str, str], tuple[int, int]] = {}
        self._next: dict[tuple[str, str, int], int] = {}

    def add(self, name: str, envelope: Envelope) -> int:
        """Count a word of that kind; return how many of its kind went missing before it.

        Beats are said before everyone listens, so the first that is heard may have any number.
        """
        who = (envelope.sender, name)
        count, crc = self._messages.get(who, (0, 0))
        self._messages[who] = (count + 1, zlib.crc32(envelope.crc.to_bytes(4, "little"), crc))
        stream = (envelope.sender, name, envelope.incarnation)
        missing = envelope.seq - self._next.get(stream, envelope.seq if name == "Heartbeat" else 0)
        self._next[stream] = envelope.seq + 1
        return missing

    def lacks(self, name: str, envelope: Envelope) -> bool:
        """Whether a word comes after all that were counted of its kind, speaker and life."""
        return envelope.seq >= self._next.get((envelope.sender, name, envelope.incarnation), 0)

    def of(self, sender: str) -> dict[str, tuple[int, int]]:
        """Return (count, running CRC) of each kind that speaker said."""
        return {k: messages for (who, k), messages in self._messages.items() if who == sender}


class Sender:
    """Puts envelopes round one speaker's words."""

    def __init__(self, sender: str, clock: Clock, incarnation: int = 0, session: str = "") -> None:
        self.sender = sender
        self._session = session
        self.tracker = SequenceTracker()
        self._clock = clock
        self._incarnation = incarnation
        self._seq: dict[str, int] = {}

    def wrap(self, message: Message) -> Envelope:
        """Return the word in its envelope, numbered, stamped, and counted."""
        name = kind(message)
        seq = self._seq.get(name, 0)
        self._seq[name] = seq + 1
        body, sent = _encode(message), self._clock.now()
        crc = _checksum((self._session, self.sender, self._incarnation, seq, sent), body)
        raw = msgspec.Raw(body)
        envelope = Envelope(self.sender, self._incarnation, seq, sent, crc, raw, self._session)
        self.tracker.add(name, envelope)
        return envelope


class MessageStore(Protocol):
    """Where a speaker's words are kept before they are said."""

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        """Keep one word of that kind."""
