"""Words on disk: the wire, saved. A session's log, and each speaker's own journal."""

import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import msgspec
import zstandard
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Message as Record
from mcap.records import Metadata
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, IndexType, Writer

from rig.messages import MESSAGE_TYPES, Message, kind
from rig.transport.envelope import CorruptMessage, Envelope, unpack

LOG_FILE = "log.mcap"
JOURNAL_FOLDER = "journal"
_CHUNK_BYTES = 64 * 1024
_SYNC_S = 1.0
_VERDICT = "verdict"
_MESSAGE = struct.Struct("<BQHIQQ")
"""A message record of MCAP up to its data: opcode, length, channel, sequence, two times."""
_OPCODE = 0x05
_RECORD_BYTES = 9
"""Of opcode and length, which the length does not count."""
_MESSAGE_TYPES = {kind(message): message for message in MESSAGE_TYPES}
_TORN = (
    McapError,
    struct.error,
    ValueError,
    KeyError,
    OverflowError,
    MemoryError,
    zstandard.ZstdError,
    msgspec.MsgspecError,
    CorruptMessage,
)
"""What reading bytes that are no MCAP can raise; CRC and UTF-8 errors are ValueErrors."""


class Completeness(msgspec.Struct, frozen=True):
    """What a closed log says of itself."""

    whole: bool
    """Every word that every speaker said is in it, by count and running CRC."""
    in_hub_order: int
    """So many of its words stand in hub order; those after it were added from journals."""
    missing: str = ""
    """Who did not come to an end, or whose words are missing."""


class LogWriter:
    """Appends words to an MCAP file, one channel for each speaker, kind and life."""

    def __init__(self, path: Path, chunked: bool = True) -> None:
        """Make the file. Chunks are compressed and indexed; without them each word is flushed."""
        self._chunked = chunked
        self._file = path.open("xb")
        self._writer = Writer(
            self._file,
            chunk_size=_CHUNK_BYTES,
            compression=CompressionType.ZSTD if chunked else CompressionType.NONE,
            index_types=IndexType.ALL if chunked else IndexType.NONE,
            use_chunking=chunked,
            use_statistics=chunked,
        )
        self._writer.start(profile="rig")
        self._channels: dict[tuple[str, str, int], int] = {}
        self._schemas: dict[str, int] = {}
        self.count = 0

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        """Keep one word of that kind; `data` is the envelope as it was on the wire."""
        channel = (envelope.sender, name, envelope.incarnation)
        number = self._channels.get(channel) or self._register(channel)
        self.count += 1
        if self._chunked:
            self._writer.add_message(number, envelope.sent, data, envelope.sent, envelope.seq)
            return
        # what every word waits for before it is said: the library's way takes three times as long
        length = _MESSAGE.size - _RECORD_BYTES + len(data)
        sent = envelope.sent
        self._file.write(_MESSAGE.pack(_OPCODE, length, number, envelope.seq, sent, sent) + data)
        self._file.flush()

    def close(self, verdict: Completeness | None = None) -> None:
        """Finish the file, with what is to be said of it."""
        if verdict is not None:
            text = msgspec.json.encode(verdict).decode()
            self._writer.add_metadata(_VERDICT, {_VERDICT: text})
        self._writer.finish()  # type: ignore[no-untyped-call]  # mcap leaves it untyped
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def flush(self) -> None:
        """Hand what was appended to the system: it survives the death of this process."""
        self._writer.flush()  # type: ignore[no-untyped-call]  # mcap leaves it untyped
        self._file.flush()

    def sync(self) -> None:
        """Have the disk hold what was flushed."""
        os.fdatasync(self._file.fileno())

    def _register(self, channel: tuple[str, str, int]) -> int:
        sender, name, incarnation = channel
        if name not in self._schemas:
            schema = msgspec.json.encode(msgspec.json.schema(_MESSAGE_TYPES[name]))
            self._schemas[name] = self._writer.register_schema(name, "jsonschema", schema)
        self._channels[channel] = self._writer.register_channel(
            f"{sender}/{name}", "msgpack", self._schemas[name], {"life": str(incarnation)}
        )
        if not self._chunked:
            self.flush()  # before the message written past the library
        return self._channels[channel]


class Journal:
    """One speaker's words, each flushed before it is said; on the disk within a second."""

    def __init__(self, folder: Path, sender: str) -> None:
        """Make the journal in a session folder, and begin to sync it in a thread."""
        self._writer = LogWriter(folder / JOURNAL_FOLDER / f"{sender}.mcap", chunked=False)
        self._sync_error: OSError | None = None
        self._closing = threading.Event()
        self._syncing = threading.Thread(target=self._sync, name="fdatasync", daemon=True)
        self._syncing.start()

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        """Keep one word; it survives the death of this process at once.

        Raises OSError if it cannot be kept, or if the disk did not take what was kept before.
        """
        if self._sync_error is not None:
            raise self._sync_error
        self._writer.append(name, envelope, data)

    def close(self) -> None:
        """Finish the file."""
        self._closing.set()
        self._syncing.join()
        self._writer.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind_: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _sync(self) -> None:
        while not self._closing.wait(_SYNC_S):
            try:
                self._writer.sync()
            except OSError as error:
                self._sync_error = error  # the next word raises it
                return


def read(path: Path) -> Iterator[tuple[Envelope, Message]]:
    """Yield the words of a log or journal as they were written, up to the first torn one."""
    for envelope, message, _ in read_bytes(path):
        yield envelope, message


def read_bytes(path: Path) -> Iterator[tuple[Envelope, Message, bytes]]:
    """Yield the words with their bytes on the wire, up to the first torn one."""
    with path.open("rb") as file:
        try:
            for record in StreamReader(file, validate_crcs=True).records:
                if isinstance(record, Record):
                    yield *unpack(record.data), record.data
        except _TORN:
            return


def read_kinds(path: Path, kinds: set[type[Message]]) -> Iterator[tuple[Envelope, Message]]:
    """Yield the words of these kinds of a closed log, by time of saying.

    Only the chunks that hold one of them are unpacked.
    """
    names = {kind(message) for message in kinds}
    with path.open("rb") as file:
        try:
            reader = make_reader(file, validate_crcs=True)
            summary = reader.get_summary()
            channels = summary.channels.values() if summary is not None else ()
            topics = {c.topic for c in channels if c.topic.partition("/")[2] in names}
            for _, _, record in reader.iter_messages(topics=topics) if topics else ():
                yield unpack(record.data)
        except _TORN:
            return


def read_completeness(path: Path) -> Completeness | None:
    """Return what a closed log says of itself; None if it was never closed.

    Raises OSError if there is no file.
    """
    with path.open("rb") as file:
        try:
            for record in make_reader(file).iter_metadata():
                if isinstance(record, Metadata) and record.name == _VERDICT:
                    return msgspec.json.decode(record.metadata[_VERDICT], type=Completeness)
        except (*_TORN, OSError):
            return None
    return None
