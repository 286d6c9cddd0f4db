"""Store messages on disk: the session's log, and the journal of each process."""

import mmap
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from io import BufferedWriter
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import msgspec
from mcap.reader import make_reader
from mcap.summary import Summary
from mcap.writer import CompressionType, IndexType, Writer

from rig.messages import MESSAGE_TYPES, Message, kind
from rig.transport.envelope import Envelope
from rig.transport.log_scan import (
    COMPLETENESS_RECORD,
    DATA_END,
    FOOTER,
    MAGIC,
    Found,
    Scan,
    is_intact,
)

M = TypeVar("M", bound=Message)
LOG_FILE = "log.mcap"
JOURNAL_FOLDER = "journal"
_CHUNK_BYTES = 64 * 1024
_SYNC_S = 1.0
_MESSAGE = struct.Struct("<BQHIQQ")
"""A message record of MCAP up to its data: opcode, length, channel, sequence, two times."""
_OPCODE = 0x05
_RECORD_BYTES = 9
"""Size of a record's opcode and length, bytes; the length does not include them."""
_sync_data = getattr(os, "fdatasync", os.fsync)  # macOS and Windows have only fsync
_MESSAGE_TYPES = {kind(message): message for message in MESSAGE_TYPES}


class Completeness(msgspec.Struct, frozen=True):
    """Whether a closed log contains every message of its session."""

    whole: bool
    """True if the log contains every published message, and all its bytes are intact."""
    in_hub_order: int
    """Number of messages, from the first, that are in hub order; the others are from journals."""
    missing: str = ""
    """What is missing: messages, the ends of processes, or messages in a damaged part."""


class _ChecksummedFile:
    """A file that is written once, with the CRC of all written bytes."""

    def __init__(self, file: BufferedWriter) -> None:
        self.crc = 0
        self._write = file.write
        self.flush, self.tell = file.flush, file.tell
        self.fileno, self.close = file.fileno, file.close

    def write(self, data: bytes) -> int:
        self.crc = zlib.crc32(data, self.crc)
        return self._write(data)


def _end_of_journal(crc: int) -> bytes:
    """Return the records that close a journal, with the CRC of all before them."""
    footer = FOOTER.pack(0x02, FOOTER.size - 9, 0, 0, 0)[:-4]
    return DATA_END.pack(0x0F, 4, crc) + footer + zlib.crc32(footer).to_bytes(4, "little") + MAGIC


class LogWriter:
    """A writer of an MCAP file, with one channel for each sender, type and incarnation."""

    def __init__(self, path: Path, chunked: bool = True) -> None:
        """Create the file, with compressed and indexed chunks, or with every message flushed."""
        self._chunked = chunked
        self._file = _ChecksummedFile(path.open("xb"))
        self._writer = Writer(
            self._file,  # type: ignore[arg-type]  # it needs write, flush and tell alone
            chunk_size=_CHUNK_BYTES,
            compression=CompressionType.ZSTD if chunked else CompressionType.NONE,
            index_types=IndexType.ALL if chunked else IndexType.NONE,
            use_chunking=chunked,
            use_statistics=chunked,
            enable_data_crcs=chunked,
        )
        self._writer.start(profile="rig")
        self._channels: dict[tuple[str, str, int], int] = {}
        self._schemas: dict[str, int] = {}
        self.count = 0

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        """Append one message of type `name`; `data` is its envelope as it was sent."""
        channel = (envelope.sender, name, envelope.incarnation)
        number = self._channels.get(channel) or self._register(channel)
        self.count += 1
        if self._chunked:
            self._writer.add_message(number, envelope.sent, data, envelope.sent, envelope.seq)
            return
        # Every message waits for this before it is published; the library takes three times longer.
        length = _MESSAGE.size - _RECORD_BYTES + len(data)
        sent = envelope.sent
        self._file.write(_MESSAGE.pack(_OPCODE, length, number, envelope.seq, sent, sent) + data)
        self._file.flush()

    def close(self, verdict: Completeness | None = None) -> None:
        """Finish the file, with a record of its completeness."""
        if verdict is not None:
            self.flush()  # so that the record comes after the last message
            text = msgspec.json.encode(verdict)
            fields = {COMPLETENESS_RECORD: text.decode(), "crc": str(zlib.crc32(text))}
            self._writer.add_metadata(COMPLETENESS_RECORD, fields)
        if self._chunked:
            self._writer.finish()  # type: ignore[no-untyped-call]  # mcap leaves it untyped
        else:
            self.flush()
            self._file.write(_end_of_journal(self._file.crc))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def flush(self) -> None:
        """Pass appended messages to the system, so that they survive the death of this process."""
        self._writer.flush()  # type: ignore[no-untyped-call]  # mcap leaves it untyped
        self._file.flush()

    def sync(self) -> None:
        """Wait until all flushed messages are on disk."""
        _sync_data(self._file.fileno())

    def _register(self, channel: tuple[str, str, int]) -> int:
        sender, name, incarnation = channel
        if name not in self._schemas:
            schema = msgspec.json.encode(msgspec.json.schema(_MESSAGE_TYPES[name]))
            self._schemas[name] = self._writer.register_schema(name, "jsonschema", schema)
        self._channels[channel] = self._writer.register_channel(
            f"{sender}/{name}", "msgpack", self._schemas[name], {"life": str(incarnation)}
        )
        if not self._chunked:
            self.flush()  # before a message is written without the library
        return self._channels[channel]


class Journal:
    """The messages of one process, each flushed before it is published; on disk within 1 s."""

    def __init__(self, folder: Path, sender: str) -> None:
        """Create the journal in a session folder, and start the thread that syncs it."""
        self._writer = LogWriter(folder / JOURNAL_FOLDER / f"{sender}.mcap", chunked=False)
        self._sync_error: OSError | None = None
        self._closing = threading.Event()
        self._syncing = threading.Thread(target=self._sync, name="fdatasync", daemon=True)
        self._syncing.start()

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        """Append one message; from then on it survives the death of this process.

        Raises OSError if it cannot be written, or if earlier messages could not be synced to disk.
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
                self._sync_error = error  # the next append raises it
                return


Wants = Callable[[str, str], bool]
"""Takes a sender and the name of a message type."""


class LogReader:
    """A reader of a log or a journal, from its first byte to its last, which records damage."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.intact = False
        """True if the file was closed and every byte is as it was written."""
        self.scan = Scan(memoryview(b""))
        """The results of the last pass; final when the messages are exhausted."""

    def messages(self, wants: Wants | None = None) -> Iterator[Found]:
        """Yield (envelope, message, bytes of the envelope) in the order of the file.

        Damaged parts are left out; see `damage`. Raises OSError if the file cannot be read.

        Args:
            wants: Which senders and types are wanted; messages of others are passed over, if the
                file is intact. None for all.
        """
        with _mapped(self.path) as data:
            self.intact, self.scan = is_intact(data), Scan(data)
            channels = None
            if wants is not None and self.intact and (summary := _summary(self.path)) is not None:
                topics = ((n, c.topic.partition("/")) for n, c in summary.channels.items())
                channels = {number for number, (sender, _, name) in topics if wants(sender, name)}
            yield from self.scan.messages(channels=channels)

    def damage(self) -> str:
        """Return a sentence on the damage, when the messages are exhausted; "" if there is none.

        An incomplete message at the end of a file that was never closed is not damage.
        """
        scan = self.scan
        gaps = scan.gaps if scan.closed else scan.gaps[:-1]
        if self.intact and not gaps:
            return ""
        if not scan.closed and not gaps:
            return ""
        lost = None if scan.expected is None else scan.expected - scan.count
        if not gaps and not lost:
            return f"{self.path.name} is damaged; all {scan.count} messages in it can be read"
        of = f"{lost} of {scan.expected} messages" if lost and lost > 0 else "messages"
        if not gaps:
            return f"{of} of {self.path.name} are not in it"
        where = f"{len(gaps)} places, the first at byte" if len(gaps) > 1 else "byte"
        return (
            f"{of} of {self.path.name} cannot be read: {gaps[0].reason} at {where} {gaps[0].begin}"
        )


def read(path: Path) -> Iterator[tuple[Envelope, Message]]:
    """Yield the messages of a log or journal in the order of the file, without damaged parts."""
    for envelope, message, _ in LogReader(path).messages():
        yield envelope, message


def read_first(path: Path, kind_: type[M]) -> tuple[Envelope, M] | None:
    """Return the first message of a type; the file is read only up to it.

    Raises OSError if there is no file.
    """
    with _mapped(path) as data, closing(Scan(data).messages()) as messages:
        for envelope, message, _ in messages:
            if isinstance(message, kind_):
                return envelope, message
    return None


def read_bytes(path: Path) -> Iterator[Found]:
    """Yield the messages with the bytes of their envelopes, without damaged parts."""
    return LogReader(path).messages()


def read_kinds(path: Path, kinds: set[type[Message]]) -> Iterator[tuple[Envelope, Message]]:
    """Yield the messages of the given types in a closed log, in its order.

    Only the chunks that contain such messages are unpacked, unless the file is damaged.
    """
    names, types = {kind(message) for message in kinds}, tuple(kinds)
    with _mapped(path) as data:
        summary = _summary(path) if is_intact(data) else None
        chunks: set[int] | None = None
        channels: set[int] | None = None
        if summary is not None:
            topics = summary.channels.items()
            channels = {n for n, c in topics if c.topic.partition("/")[2] in names}
            chunks = {
                index.chunk_start_offset
                for index in summary.chunk_indexes
                if channels & set(index.message_index_offsets)
            }
        for envelope, message, _ in Scan(data).messages(chunks, channels):
            if isinstance(message, types):
                yield envelope, message


def message_count(path: Path) -> int | None:
    """Return the number of messages that a closed log records; None if it does not record it."""
    summary = _summary(path)
    statistics = summary.statistics if summary is not None else None
    return statistics.message_count if statistics is not None else None


def read_completeness(path: Path) -> Completeness | None:
    """Return the completeness of a closed log; None if it was never closed.

    Every byte is checked against the CRCs of the file. Raises OSError if there is no file.
    """
    with _mapped(path) as data:
        if is_intact(data) and not _unknown_types(_summary(path)):
            with path.open("rb") as file:
                for record in make_reader(file).iter_metadata():
                    if record.name == COMPLETENESS_RECORD:
                        text = record.metadata[COMPLETENESS_RECORD]
                        return msgspec.json.decode(text, type=Completeness)
            return None
    reader = LogReader(path)
    for _ in reader.messages():
        pass
    scan = reader.scan
    if not scan.closed:
        return None
    if scan.completeness:
        known = msgspec.json.decode(scan.completeness, type=Completeness)
    else:
        known = Completeness(False, scan.count, "its record of what should be in it")
    in_order = scan.count if scan.count_before_gap is None else scan.count_before_gap
    missing = "; ".join(filter(None, (reader.damage(), known.missing)))
    return Completeness(False, min(known.in_hub_order, in_order), missing)


@contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    """Map a file into memory for reading."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            yield memoryview(b"")
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            view = memoryview(mapped)
            try:
                yield view
            finally:
                view.release()


def _summary(path: Path) -> Summary | None:
    with path.open("rb") as file:
        return make_reader(file).get_summary()


def _unknown_types(summary: Summary | None) -> bool:
    """Return True if a log contains messages of a type that this version does not know."""
    schemas = summary.schemas.values() if summary is not None else ()
    return any(schema.name not in _MESSAGE_TYPES for schema in schemas)
