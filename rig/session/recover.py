"""Completes a log that did not get every word, from the journals of those who said them."""

import heapq
import shutil
from pathlib import Path

from rig.errors import Refused
from rig.messages import Ended, Message, Start, kind
from rig.transport.envelope import Envelope, SequenceTracker
from rig.transport.log import (
    JOURNAL_FOLDER,
    LOG_FILE,
    Completeness,
    LogWriter,
    read_bytes,
    read_completeness,
)


def settle(folder: Path) -> Completeness:
    """Make the log whole, then drop the journals; return what the log says of itself.

    If words are missing from the journals, too, what there is of them stays.

    Exact in content: every word that anyone said is in it. The order is the hub's up to the last
    word the recorder kept, and by the time of saying after it. Safe to repeat, and to interrupt.
    """
    log = folder / LOG_FILE
    verdict = read_completeness(log) if log.exists() else None
    if verdict is None or not verdict.whole:
        if (folder / JOURNAL_FOLDER).is_dir():
            verdict = _complete(folder)
        elif verdict is None:
            raise Refused(f"{folder} holds neither a closed log nor journals; nothing to recover")
    if verdict.whole:
        shutil.rmtree(folder / JOURNAL_FOLDER, ignore_errors=True)
    return verdict


def _complete(folder: Path) -> Completeness:
    log = folder / LOG_FILE
    fresh = folder / f"{LOG_FILE}.completing"
    fresh.unlink(missing_ok=True)
    writer = LogWriter(fresh)
    copy = _Copy(writer)
    if log.exists():
        for envelope, message, data in read_bytes(log):
            copy.add(envelope, message, data)
    in_hub_order = writer.count
    journals = [read_bytes(path) for path in sorted((folder / JOURNAL_FOLDER).glob("*.mcap"))]
    for envelope, message, data in heapq.merge(*journals, key=lambda item: item[0].sent):
        if copy.tracker.lacks(kind(message), envelope):
            copy.add(envelope, message, data)
    verdict = Completeness(copy.gaps == 0, in_hub_order, copy.missing())
    writer.close(verdict)
    fresh.replace(log)
    return verdict


class _Copy:
    """Writes words on, and keeps account of what is missing."""

    def __init__(self, writer: LogWriter) -> None:
        self.tracker = SequenceTracker()
        self.gaps = 0
        self._writer = writer
        self._unended: set[str] = set()

    def add(self, envelope: Envelope, message: Message, data: bytes) -> None:
        name = kind(message)
        self._writer.append(name, envelope, data)
        self.gaps += self.tracker.add(name, envelope)
        if isinstance(message, Start):
            self._unended = set(message.session["nodes"])
        if isinstance(message, Ended):
            self._unended.discard(envelope.sender)

    def missing(self) -> str:
        unended = [f"the end of {sender}" for sender in sorted(self._unended)]
        return ", ".join(unended + ([f"{self.gaps} words"] if self.gaps else []))
