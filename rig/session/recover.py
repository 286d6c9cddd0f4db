"""Complete a log with missing messages from the journals of the processes."""

import heapq
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rig.errors import Refused
from rig.messages import Ended, Message, Start, Stop, kind
from rig.process import RECORDER
from rig.session.session_loop import LAUNCH
from rig.settings.config import RECOVERED_FILE
from rig.subjects.session_identity import check_one_session
from rig.transport.envelope import Envelope, SequenceTracker
from rig.transport.log import (
    JOURNAL_FOLDER,
    LOG_FILE,
    Completeness,
    LogReader,
    LogWriter,
    read_completeness,
)
from rig.transport.log_scan import Found

INTERRUPTED = "not known, as the recovery was interrupted; repeat it"
"""What is missing according to a mark that was written before the recovery."""


class Recovery(msgspec.Struct, frozen=True):
    """The results of `rig recover`."""

    at: str
    """Time of the recovery, ISO 8601 with zone."""
    version: str
    """Version of the program."""
    missing: str
    """What is missing from the log; "" if it is complete."""
    repaired: dict[str, str] = {}
    """For each imaging file that was not closed, the copy of its complete pages."""
    kept_journals: tuple[str, ...] = ()


def mark_recovered(folder: Path, recovery: Recovery) -> None:
    """Mark a session folder as recovered. Raises OSError if that fails."""
    part = folder / f".part.{RECOVERED_FILE}"
    part.write_bytes(msgspec.json.format(msgspec.json.encode(recovery)))
    part.replace(folder / RECOVERED_FILE)


def is_interrupted(folder: Path) -> bool:
    """Return whether a recovery of a session began and did not end."""
    try:
        mark = msgspec.json.decode((folder / RECOVERED_FILE).read_bytes(), type=Recovery)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return mark.missing == INTERRUPTED


def complete_log(folder: Path) -> Completeness:
    """Complete a session's log and remove the journals that it no longer needs.

    Afterwards the log contains every published message: in hub order up to the last message that
    the recorder kept, and then in the order of send times. If the log is complete, which is checked
    byte by byte, no journal is needed. Otherwise a journal is removed only if it was read up to the
    Ended of its process and contains as many messages as Ended counts; other journals are kept.
    This can be interrupted and repeated.

    Raises:
        Refused: There is neither a readable log nor a journal, or they are of two sessions.
        OSError: The log cannot be written.
    """
    check_one_session(folder)
    log = folder / LOG_FILE
    verdict = read_completeness(log) if log.exists() else None
    has_journals = (folder / JOURNAL_FOLDER).is_dir()
    if verdict is None and not has_journals and not _holds_messages(log):
        raise Refused(f"{folder} contains neither a readable log nor journals; nothing to recover")
    if verdict is not None and verdict.whole:
        shutil.rmtree(folder / JOURNAL_FOLDER, ignore_errors=True)
    elif verdict is None or kept_journals(folder):
        verdict = _complete(folder)
    return verdict


def kept_journals(folder: Path) -> list[Path]:
    """Return the journals that are still in a session folder."""
    return sorted((folder / JOURNAL_FOLDER).glob("*.mcap"))


def _holds_messages(log: Path) -> bool:
    return log.exists() and next(LogReader(log).messages(), None) is not None


def _complete(folder: Path) -> Completeness:
    log = folder / LOG_FILE
    fresh = folder / f"{LOG_FILE}.completing"
    fresh.unlink(missing_ok=True)
    writer = LogWriter(fresh)
    copy = _Copy(writer)
    behind_damage: list[Found] = []
    if log.exists():
        reader = LogReader(log)
        for item in reader.messages():
            if reader.scan.gaps:
                behind_damage.append(item)
            else:
                copy.add(*item)
    in_hub_order = writer.count
    journals = [_Journal(path) for path in kept_journals(folder)]
    behind_damage.sort(key=_sent)
    for item in heapq.merge(*(one.read() for one in journals), behind_damage, key=_sent):
        envelope, message, _ = item
        if copy.tracker.lacks(kind(message), envelope):
            copy.add(*item)
    damage = [one.damage for one in journals if one.damage]
    if not copy.stopped and LAUNCH not in {one.sender for one in journals}:
        damage.append(f"the end of {LAUNCH}")
    missing = [*copy.missing(journals), *damage]
    whole = not copy.gaps and not damage and not copy.unread(journals)
    verdict = Completeness(whole, in_hub_order, ", ".join(missing))
    writer.close(verdict)
    fresh.replace(log)
    for one in journals:
        if one.complete and not copy.gaps:
            one.path.unlink()
    if (folder / JOURNAL_FOLDER).is_dir() and not kept_journals(folder):
        shutil.rmtree(folder / JOURNAL_FOLDER)
    return verdict


def _sent(item: Found) -> int:
    return item[0].sent


class _Journal:
    """One journal, and, after it was read, its state."""

    def __init__(self, path: Path) -> None:
        self.path, self.sender = path, path.stem
        self.complete = False
        """True if it was read up to the end of its process, and nothing before it is missing."""
        self.damage = ""
        """The damage at which reading stopped; "" if it was read to its last byte."""

    def read(self) -> Iterator[Found]:
        """Yield the messages; damaged parts are left out."""
        tracker, gaps, ended = SequenceTracker(), 0, False
        reader = LogReader(self.path)
        for envelope, message, data in reader.messages():
            gaps += tracker.add(kind(message), envelope)
            if isinstance(message, Ended):
                ended = _counts(message, tracker, self.sender)
            yield envelope, message, data
        if reader.scan.gaps:
            self.damage = reader.damage() or f"the torn end of {self.path.name}"
        ended |= self.sender == LAUNCH and reader.scan.closed  # launch publishes no Ended
        self.complete = ended and not gaps and not reader.scan.gaps


def _counts(ended: Ended, tracker: SequenceTracker, sender: str) -> bool:
    """Return True if the messages that were read have the counts and CRCs of the Ended."""
    read = tracker.of(sender)
    return all(
        read.get(name) == tuple(counted)
        for name, counted in ended.messages.items()
        if name != "Heartbeat"
    )


class _Copy:
    """The copy of the log that is being written, and what is missing from it."""

    def __init__(self, writer: LogWriter) -> None:
        self.tracker = SequenceTracker()
        self.gaps = 0
        self._writer = writer
        self._unended: set[str] = set()
        self.stopped = False
        """True after the Stop of the recorder, which is the last message of launch."""

    def add(self, envelope: Envelope, message: Message, data: bytes) -> None:
        name = kind(message)
        self._writer.append(name, envelope, data)
        self.gaps += self.tracker.add(name, envelope)
        if isinstance(message, Start):
            self._unended = set(message.session["nodes"])
        if isinstance(message, Stop):
            self.stopped |= RECORDER in message.nodes
        if isinstance(message, Ended):
            self._unended.discard(envelope.sender)

    def unread(self, journals: list[_Journal]) -> set[str]:
        """Return the processes without Ended and without a journal."""
        return self._unended - {one.sender for one in journals}

    def missing(self, journals: list[_Journal]) -> list[str]:
        unended = [f"the end of {sender}" for sender in sorted(self._unended)]
        gone = [f"the journal of {sender}" for sender in sorted(self.unread(journals))]
        return unended + gone + ([f"{self.gaps} messages"] if self.gaps else [])
