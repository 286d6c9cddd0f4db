"""Decide for each message at the hub whether its connection may publish it."""

import msgspec

from rig.transport.envelope import Envelope

OLDEST_NS = 10_000_000_000
"""Largest age of a message when it reaches the hub, ns."""
NEWEST_NS = 1_000_000_000
"""Largest time by which the times of a message may be in the future, ns."""


class Publisher(msgspec.Struct, frozen=True):
    """The message types that one process may publish, and its allowed lag."""

    types: tuple[str, ...]
    max_lag_ns: int = 0
    """Longest time by which the process may lag, ns; its messages may be older by this time."""


class _Head(msgspec.Struct, array_like=True):
    """The fields with which every message begins."""

    type: str
    t: int


_decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
_decode_head = msgspec.msgpack.Decoder(_Head).decode


class Gate:
    """The check of each message at the hub: its session, its sender, its type and its times."""

    def __init__(self, session: str, publishers: dict[str, Publisher]) -> None:
        self._session = session
        self._publishers = publishers
        self._types = {name: frozenset(one.types) for name, one in publishers.items()}
        self._next: dict[tuple[str, str, int], int] = {}

    def refusal(self, sender: str, frame: bytes, now: int) -> str | None:
        """Return why a message is refused; None if it is accepted and counted.

        Args:
            sender: The process whose key opened the connection.
            frame: The received bytes: the type, a space, and the envelope.
            now: The session time, ns.
        """
        topic, _, data = frame.partition(b" ")
        name = topic.decode("ascii", errors="replace")
        if name not in self._types.get(sender, ()):
            return "of a type that it does not publish"
        try:
            envelope = _decode_envelope(data)
            head = _decode_head(envelope.body)
        except (msgspec.MsgspecError, ValueError):
            return "garbled"
        if envelope.crc != envelope.checksum() or head.type != name:
            return "garbled"
        if (why := self._wrong_origin(sender, name, envelope)) is not None:
            return why
        newest, oldest = now + NEWEST_NS, now - OLDEST_NS
        lag = self._publishers[sender].max_lag_ns
        if not oldest <= envelope.sent <= newest or not oldest - lag <= head.t <= newest:
            return "with a time that cannot be right"
        self._next[sender, name, envelope.incarnation] = envelope.seq + 1
        return None

    def _wrong_origin(self, sender: str, name: str, envelope: Envelope) -> str | None:
        """Return why a message cannot be from this sender in this session; None if it can."""
        if envelope.sender != sender:
            return "that names another sender"
        if envelope.session != self._session:
            return "of another session"
        if envelope.seq < self._next.get((sender, name, envelope.incarnation), 0):
            return "with a number that was used before"
        return None
