"""Carries words between processes through one hub, in one order that all of them see."""

import msgspec


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """What the bus puts round a word; the log keeps it as it was on the wire."""

    speaker: str
    life: int
    seq: int
    sent: int
    crc: int
    body: msgspec.Raw
