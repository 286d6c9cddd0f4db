"""Read the messages of an MCAP file record by record, and continue after damaged parts.

A file consists of records: one byte of opcode, eight of length, then the body. A log contains its
messages in compressed chunks, each with a CRC; in a journal every message is a separate record, and
its envelope contains the CRC. If a record cannot be read, the scan searches for the next offset at
which a chunk, a message or the completeness record can be read, and continues there.
"""

import mmap
import re
import struct
import sys
import zlib
from collections.abc import Generator, Iterator
from typing import NamedTuple

import zstandard

from rig.messages import Message
from rig.transport.envelope import CorruptMessage, Envelope, unpack

MAGIC = b"\x89MCAP0\r\n"
COMPLETENESS_RECORD = "verdict"
"""Name of the metadata record in which the recorder stores the completeness of a log."""
HEAD = struct.Struct("<BQ")
"""Opcode and length of a record."""
MESSAGE_HEAD = struct.Struct("<HIQQ")
"""Channel, sequence number and two times, which are before the data of a message."""
DATA_END = struct.Struct("<BQI")
FOOTER = struct.Struct("<BQQQI")
_CHUNK_HEAD = struct.Struct("<QQQII4s")
"""Two times, uncompressed size, CRC, and the name of the compression with its length."""
_OPCODES = range(0x01, 0x10)
_FOOTER, _MESSAGE, _CHUNK, _STATISTICS, _METADATA, _DATA_END = 0x02, 0x05, 0x06, 0x0B, 0x0C, 0x0F
_RESUME_AT = re.compile(b"[\x05\x06\x0c]")
"""Pattern of the opcodes at which a scan can continue: message, chunk, metadata."""
_BLOCK_BYTES = 16 * 1024 * 1024
"""Bytes of a mapped file that are kept in memory before the offset that is read."""
_MAX_RECORD_BYTES = 256 * 1024 * 1024
_decompress = zstandard.ZstdDecompressor().decompress


class Gap(NamedTuple):
    """Bytes of a file that cannot be read, or that contain an unknown type of message."""

    begin: int
    end: int
    reason: str


Found = tuple[Envelope, Message, bytes]


def is_intact(data: memoryview) -> bool:
    """Return True if, by its CRCs, a closed file contains exactly the bytes that were written."""
    footer_at = len(data) - len(MAGIC) - FOOTER.size
    if footer_at < len(MAGIC) + DATA_END.size or data[:8] != MAGIC or data[-8:] != MAGIC:
        return False
    opcode, length, summary_at, _, summary_crc = FOOTER.unpack_from(data, footer_at)
    summary_at = summary_at or footer_at
    data_end = summary_at - DATA_END.size
    if (opcode, length) != (_FOOTER, 20) or not 0 < data_end < footer_at:
        return False
    opcode, length, data_crc = DATA_END.unpack_from(data, data_end)
    summary = data[summary_at : footer_at + FOOTER.size - 4]
    return (
        (opcode, length) == (_DATA_END, 4)
        and _crc(data, data_end) == data_crc
        and zlib.crc32(summary) == summary_crc
    )


def _crc(data: memoryview, end: int) -> int:
    """Return the CRC of the first bytes of a file, of which few are in memory at a time."""
    crc = 0
    for begin in range(0, end, _BLOCK_BYTES):
        crc = zlib.crc32(data[begin : min(begin + _BLOCK_BYTES, end)], crc)
        _let_go(data, begin)
    return crc


def _let_go(data: memoryview, begin: int) -> None:
    """Free the memory of a block of a mapped file; it is read from the file again if needed."""
    if sys.platform == "linux" and isinstance(data.obj, mmap.mmap):
        data.obj.madvise(mmap.MADV_DONTNEED, begin, min(_BLOCK_BYTES, len(data) - begin))


def _let_go_behind(data: memoryview, at: int, block: int) -> int:
    """Free the block that begins at `block` if it is well behind `at`; return the next one then."""
    if at - block < 2 * _BLOCK_BYTES:
        return block
    _let_go(data, block)
    return block + _BLOCK_BYTES


class Scan:
    """One pass over a file; its attributes are final once `messages` is exhausted."""

    def __init__(self, data: memoryview) -> None:
        self.count = 0
        """Number of messages that were read."""
        self.count_before_gap: int | None = None
        """Number of messages before the first gap; None if there is no gap."""
        self.gaps: list[Gap] = []
        self.closed = False
        """True if the end of a closed file was found: its last records, or the closing magic."""
        self.completeness = b""
        """The JSON of the completeness record; empty if there is none with a correct CRC."""
        self.expected: int | None = None
        """Number of messages according to the file; None if the file does not contain it."""
        self._data = data

    def messages(
        self, chunks: set[int] | None = None, channels: set[int] | None = None
    ) -> Generator[Found, None, None]:
        """Yield (envelope, message, bytes of the envelope) in the order of the file.

        Args:
            chunks: Offsets of the chunks to read; None for all chunks.
            channels: Numbers of the channels to read; None for all channels.
        """
        data, at = self._data, len(MAGIC)
        if data[:at] != MAGIC:
            self._note(0, min(at, len(data)), "it does not begin as an MCAP file")
        self.closed = bytes(data[-8:]) == MAGIC and len(data) > 8
        end, block = len(data) - 8 * self.closed, 0
        while at < end:
            block = _let_go_behind(data, at, block)
            body_at = at + HEAD.size
            next_at = _end_of_record(data, at, end)
            if next_at is None:
                at = self._resume(at, end, "a record is damaged")
                continue
            opcode = data[at]
            if opcode == _CHUNK and (chunks is None or at in chunks):
                content = _chunk(data[body_at:next_at])
                if content is None:
                    next_at = self._skip(at, next_at, end, "a chunk is damaged")
                bodies = list(_in_chunk(content or b"", channels))
                found = _unpack_all(bodies)
                if found is None:
                    for body in bodies:
                        yield from self._unpack(body, at, next_at)
                else:
                    self.count += len(found)
                    yield from found
            elif opcode == _MESSAGE:
                body = bytes(data[body_at + MESSAGE_HEAD.size : next_at])
                found = list(self._unpack(body, at, next_at))
                if not found:
                    next_at = self._skip(at, next_at, end, "a message is damaged")
                yield from found
            elif opcode == _METADATA:
                self._take_completeness(bytes(data[body_at:next_at]))
            elif opcode == _STATISTICS and next_at - body_at >= 8:
                (self.expected,) = struct.unpack_from("<Q", data, body_at)
            self.closed |= opcode in (_DATA_END, _FOOTER)
            at = next_at

    def _unpack(self, body: bytes, begin: int, end: int) -> Iterator[Found]:
        try:
            envelope, message = unpack(body)
        except (CorruptMessage, ValueError) as error:
            self._note(begin, end, f"a message cannot be read ({error})")
            return
        self.count += 1
        yield envelope, message, body

    def _skip(self, begin: int, next_at: int, end: int, reason: str) -> int:
        """Return where to continue after a damaged record: after it, if its length is plausible."""
        if next_at < end and _end_of_record(self._data, next_at, end) is None:
            return self._resume(begin, end, reason)
        if not self.gaps or self.gaps[-1].begin != begin:
            self._note(begin, next_at, reason)
        return next_at

    def _resume(self, begin: int, end: int, reason: str) -> int:
        """Return the offset of the next readable record, or the end of the file."""
        data, at = self._data, end
        for found in _RESUME_AT.finditer(data, begin + 1, end):
            if _is_readable(data, found.start(), end):
                at = found.start()
                break
        self._note(begin, at, reason)
        return at

    def _note(self, begin: int, end: int, reason: str) -> None:
        if self.count_before_gap is None:
            self.count_before_gap = self.count
        if self.gaps and self.gaps[-1].begin == begin:
            self.gaps.pop()
        self.gaps.append(Gap(begin, end, reason))

    def _take_completeness(self, body: bytes) -> None:
        try:
            name, fields = metadata(body)
        except (struct.error, ValueError):
            return
        text = fields.get(name, "").encode()
        if name == COMPLETENESS_RECORD and fields.get("crc") == str(zlib.crc32(text)):
            self.completeness, self.closed = text, True


def _unpack_all(bodies: list[bytes]) -> list[Found] | None:
    """Read the messages of a chunk; None if one of them cannot be read."""
    try:
        return [(*unpack(body), body) for body in bodies]
    except (CorruptMessage, ValueError):
        return None


def metadata(body: bytes) -> tuple[str, dict[str, str]]:
    """Read the name and the fields of a metadata record."""
    texts, at = [], 0
    (name_bytes,) = struct.unpack_from("<I", body, at)
    name = body[4 : 4 + name_bytes].decode()
    at = 4 + name_bytes + 4
    while at < len(body):
        (length,) = struct.unpack_from("<I", body, at)
        texts.append(body[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return name, dict(zip(texts[::2], texts[1::2], strict=True))


def _end_of_record(data: memoryview, at: int, end: int) -> int | None:
    """Return the end of the record at an offset; None if there can be no record."""
    if at + HEAD.size > end:
        return None
    opcode, length = HEAD.unpack_from(data, at)
    stop = at + HEAD.size + length
    if opcode not in _OPCODES or length > _MAX_RECORD_BYTES or stop > end:
        return None
    if opcode == _MESSAGE and length < MESSAGE_HEAD.size:
        return None
    return int(stop)


def _is_readable(data: memoryview, at: int, end: int) -> bool:
    """Return True if a message, a chunk or the completeness record can be read at an offset."""
    stop = _end_of_record(data, at, end)
    if stop is None:
        return False
    body_at, opcode = at + HEAD.size, data[at]
    if opcode == _CHUNK:
        return _chunk(data[body_at:stop]) is not None
    if opcode == _MESSAGE:
        try:
            unpack(bytes(data[body_at + MESSAGE_HEAD.size : stop]))
        except (CorruptMessage, ValueError):
            return False
        return True
    name = COMPLETENESS_RECORD.encode()
    return bytes(data[body_at + 4 : body_at + 4 + len(name)]) == name


def _chunk(body: memoryview) -> bytes | None:
    """Return the records of a chunk, decompressed; None if it is damaged."""
    if len(body) < _CHUNK_HEAD.size + 8:
        return None
    _, _, size, crc, name_bytes, compression = _CHUNK_HEAD.unpack_from(body)
    if (name_bytes, compression) != (4, b"zstd") or size > _MAX_RECORD_BYTES:
        return None
    try:
        content = _decompress(body[_CHUNK_HEAD.size + 8 :], max_output_size=size)
    except (zstandard.ZstdError, MemoryError):
        return None
    return content if len(content) == size and zlib.crc32(content) == crc else None


def _in_chunk(content: bytes, channels: set[int] | None) -> Iterator[bytes]:
    """Yield the data of the messages in a chunk's records."""
    at, end, head, skipped = 0, len(content), HEAD.unpack_from, MESSAGE_HEAD.size
    while at < end:
        opcode, length = head(content, at)
        at += HEAD.size
        if opcode == _MESSAGE and (
            channels is None or int.from_bytes(content[at : at + 2], "little") in channels
        ):
            yield content[at + skipped : at + length]
        at += length
