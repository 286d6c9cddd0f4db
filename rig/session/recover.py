"""Completes a log that did not get every word, from the journals of those who said them."""

import heapq
import shutil
from pathlib import Path

from rig.envelope import Envelope, Ledger
from rig.log import JOURNAL_FOLDER, LOG_FILE, LogWriter, Verdict, read_bytes, read_verdict
from rig.messages import Ended, Message, Start, kind
from rig.refused import Refused


def settle(folder: Path) -> Verdict:
    """Make the log whole, then drop the journals; return what the log says of itself.

    If words are missing from the journals, too, what there is of them stays.

    Exact in content: every word that anyone said is in it. The order is the hub's up to the last
    word the recorder kept, and by the time of saying after it. Safe to repeat, and to interrupt.
    """
    log = folder / LOG_FILE
    verdict = read_verdict(log) if log.exists() else None
    if verdict is None or not verdict.whole:
        if (folder / JOURNAL_FOLDER).is_dir():
            verdict = _complete(folder)
        elif verdict is None:
            raise Refused(f"{folder} holds neither a closed log nor journals; nothing to recover")
    if verdict.whole:
        shutil.rmtree(folder / JOURNAL_FOLDER, ignore_errors=True)
    return verdict


def _complete(folder: Path) -> Verdict:
    log = folder / LOG_FILE
    fresh = folder / f"{LOG_FILE}.completing"
    fresh.unlink(missing_ok=True)
    writer = LogWriter(fresh)
    copy = _Copy(writer)
    if log.exists():
        for envelope, word, data in read_bytes(log):
            copy.add(envelope, word, data)
    in_hub_order = writer.count
    journals = [read_bytes(path) for path in sorted((folder / JOURNAL_FOLDER).glob("*.mcap"))]
    for envelope, word, data in heapq.merge(*journals, key=lambda item: item[0].sent):
        if copy.ledger.lacks(kind(word), envelope):
            copy.add(envelope, word, data)
    verdict = Verdict(copy.gaps == 0, in_hub_order, copy.missing())
    writer.close(verdict)
    fresh.replace(log)
    return verdict


class _Copy:
    """Writes words on, and keeps account of what is missing."""

    def __init__(self, writer: LogWriter) -> None:
        self.ledger = Ledger()
        self.gaps = 0
        self._writer = writer
        self._unended: set[str] = set()

    def add(self, envelope: Envelope, word: Message, data: bytes) -> None:
        name = kind(word)
        self._writer.append(name, envelope, data)
        self.gaps += self.ledger.add(name, envelope)
        if isinstance(word, Start):
            self._unended = set(word.session["nodes"])
        if isinstance(word, Ended):
            self._unended.discard(envelope.speaker)

    def missing(self) -> str:
        unended = [f"the end of {speaker}" for speaker in sorted(self._unended)]
        return ", ".join(unended + ([f"{self.gaps} words"] if self.gaps else []))
