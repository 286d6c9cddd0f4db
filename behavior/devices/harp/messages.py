"""The Harp binary protocol (8 bit, harp-1.0): convert bytes to messages and back.

A frame is: type, length of the rest, register address, port, payload type, payload, and the sum of
all bytes before it. Its time stamp, if it has one, is the device's own: whole seconds and steps of
32 us. Source: harp-tech.org/protocol/BinaryProtocol-8bit.html (1.4). Frames of more than 254 bytes
(extended length) are not supported: no register of these boards is that long.
"""

import struct
from collections.abc import Mapping
from typing import NamedTuple

READ, WRITE, EVENT = 1, 2, 3
ERROR = 8
"""Flag in the type of a message: the device refuses the request."""
U8, U16, U32, U64 = 0x01, 0x02, 0x04, 0x08
S8, S16, S32, S64 = 0x81, 0x82, 0x84, 0x88
FLOAT = 0x44
_TIMED = 0x10
_FORMATS = {
    U8: "B", U16: "H", U32: "I", U64: "Q", S8: "b", S16: "h", S32: "i", S64: "q", FLOAT: "f"
}  # fmt: skip
_KINDS = (READ, WRITE, EVENT, READ | ERROR, WRITE | ERROR)
_HEADER, _TIME = 5, 6
_ITSELF = 0xFF
"""Port number of the board itself, as opposed to a device connected to it."""
_STEP_NS = 32_000
_SECOND_NS = 1_000_000_000


class HarpMessage(NamedTuple):
    """One message. `device_ns` is its time stamp on the device's clock, ns, or None."""

    kind: int
    address: int
    payload_type: int
    values: tuple[int | float, ...] = ()
    device_ns: int | None = None
    error: bool = False


class Register(NamedTuple):
    """The payload of a register: its type, and the numbers of values that it may have."""

    payload_type: int
    counts: tuple[int, ...] = (1,)


def build(message: HarpMessage) -> bytes:
    """Return a message as a frame; its time stamp is cut to whole steps of 32 us."""
    timed = message.device_ns is not None
    head = bytes((message.address, _ITSELF, message.payload_type | (_TIMED if timed else 0)))
    if message.device_ns is not None:
        seconds, rest_ns = divmod(message.device_ns, _SECOND_NS)
        head += struct.pack("<IH", seconds, rest_ns // _STEP_NS)
    form = f"<{len(message.values)}{_FORMATS[message.payload_type]}"
    body = head + struct.pack(form, *message.values)
    frame = bytes((message.kind | (ERROR if message.error else 0), len(body) + 1)) + body
    return frame + bytes((sum(frame) & 0xFF,))


class Parser:
    """A parser that finds the messages in a stream of bytes, any of which may be damaged.

    If no frame begins at a byte, the next byte is tried. The checksum accepts one in 256 damaged
    frames, so a frame must also fit the board's registers, if these are known.
    """

    def __init__(self, registers: Mapping[int, Register] | None = None) -> None:
        self._registers = registers
        self._bytes = bytearray()
        self.skipped = 0
        """Number of bytes so far that belonged to no frame."""

    def feed(self, data: bytes) -> list[HarpMessage]:
        """Add bytes; return the messages that they complete, in order."""
        self._bytes += data
        found: list[HarpMessage] = []
        at = 0
        while (size := self._size(at)) is not None:
            message = self._message(at, size) if size else None
            if message is None:
                self.skipped += 1
                at += 1
            else:
                found.append(message)
                at += size
        del self._bytes[:at]
        return found

    def _size(self, at: int) -> int | None:
        """Return the size of the frame at `at`: 0 if there is none, None if bytes are missing.

        Each byte is checked as soon as it arrives, so that garbage never delays a frame.
        """
        there = self._bytes[at : at + _HEADER]
        if there and there[0] not in _KINDS:
            return 0
        if len(there) > 1 and not _HEADER - 1 <= there[1] < 0xFF:
            return 0
        if len(there) < _HEADER:
            return None
        size: int = there[1] + 2
        if not self._fits(there, size - 1 - _HEADER):
            return 0
        return size if len(self._bytes) - at >= size else None

    def _fits(self, head: bytearray, room: int) -> bool:
        """Return True if a payload of `room` bytes can follow this header."""
        payload_type = head[4] & ~_TIMED
        if payload_type not in _FORMATS:
            return False
        room -= _TIME if head[4] & _TIMED else 0
        count, odd = divmod(room, payload_type & 0x0F)
        if room < 0 or odd:
            return False
        if self._registers is None:
            return True
        register = self._registers.get(head[2])
        if register is None or register.payload_type != payload_type or head[3] != _ITSELF:
            return False
        return count in register.counts or (
            count == 0 and (head[0] == READ or bool(head[0] & ERROR))
        )

    def _message(self, at: int, size: int) -> HarpMessage | None:
        """Return the frame at `at` as a message, or None if its sum is wrong."""
        frame = bytes(self._bytes[at : at + size])
        if sum(frame[:-1]) & 0xFF != frame[-1]:
            return None
        payload_type, start, device_ns = frame[4] & ~_TIMED, _HEADER, None
        if frame[4] & _TIMED:
            seconds, steps = struct.unpack_from("<IH", frame, start)
            start += _TIME
            device_ns = seconds * _SECOND_NS + steps * _STEP_NS
        count = (size - 1 - start) // (payload_type & 0x0F)
        values = struct.unpack_from(f"<{count}{_FORMATS[payload_type]}", frame, start)
        kind, error = frame[0] & ~ERROR, bool(frame[0] & ERROR)
        return HarpMessage(kind, frame[2], payload_type, values, device_ns, error)
