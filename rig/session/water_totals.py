"""The water an animal was given: summed from what its sessions wrote, never from memory.

A session's words are exact if its driver said how many there are. If it was killed, one reward
more may have been given that no word tells of; it counts if the session was closed while the
machine that ran it was still up. Else what it had set aside counts, which is never less.
"""

import math
import struct
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import msgspec
import zstandard
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Channel
from mcap.records import Message as Record
from mcap.stream_reader import CRCValidationError, StreamReader

from rig.messages import Ended, Message, Valve, kind
from rig.session.water_reserve import RESERVE_FILE, Unreadable, boot, lower, read_reserved
from rig.settings.config import SETTINGS_FILE, SessionSettings, blocks
from rig.settings.device_factory import HARDWARE
from rig.transport.envelope import CorruptMessage, unpack
from rig.transport.log import JOURNAL_FOLDER, LOG_FILE, read_completeness

_TOPICS = {f"{HARDWARE}/{kind(message)}" for message in (Valve, Ended)}
_MAGIC = b"\x89MCAP0\r\n"
_TORN = (
    McapError,
    CRCValidationError,
    struct.error,
    UnicodeDecodeError,
    zstandard.ZstdError,
    CorruptMessage,
    KeyError,  # the reader's, if a channel or schema is not there
)


class WaterGiven(msgspec.Struct, frozen=True):
    """What one session gave, microlitres."""

    folder: Path
    water_ul: float
    unreadable: str = ""
    """Why it cannot be known; then it counts as a full cap."""


def session_folders(subject_folder: Path, day: date | None = None) -> list[Path]:
    """Return the subject's session folders, of all days or of that local date, in order."""
    pattern = "ses-*" if day is None else f"ses-{day:%Y%m%d}_*"
    folders = [path for path in subject_folder.glob(pattern) if path.is_dir()]
    return sorted(folders, key=lambda path: (path.name.split("_")[0], _number(path)))


def day_of(folder: Path) -> date | None:
    """Return the local date in a session folder's name; None if there is none in it."""
    try:
        return date.fromisoformat(folder.name.removeprefix("ses-").split("_")[0])
    except ValueError:
        return None


def given(folder: Path) -> WaterGiven:
    """Return what a session gave; it may be running, cut off, or closed."""
    try:
        return WaterGiven(folder, _water_ul(folder))
    except Unreadable as error:
        return WaterGiven(folder, 0.0, str(error))


def is_open(folder: Path) -> bool:
    """Whether a session was never closed: its log is not finished, or its journals remain."""
    if _never_began(folder):
        return False
    log = folder / LOG_FILE
    return (folder / JOURNAL_FOLDER).is_dir() or not log.exists() or read_completeness(log) is None


def settle_water(folder: Path, session: SessionSettings) -> None:
    """Drop what a session had set aside if its words are exact; else leave no more than need be.

    To be called when the log is whole. A driver that was killed left at most one reward unsaid, in
    a device that held it or on its way; after power loss the last words may have been lost.
    """
    try:
        reserved = read_reserved(folder)
        messages = _messages(folder)
    except Unreadable:
        return
    if reserved is None:
        return
    if _said_all(messages):
        (folder / RESERVE_FILE).unlink()
    elif reserved.boot and reserved.boot == boot():
        reward_ul = max(block.get("reward_ul", math.inf) for block in blocks(session.task))
        total_ul = min(reserved.total_ul, _said_ul(messages) + reward_ul)
        lower(folder, reserved, total_ul)


def _never_began(folder: Path) -> bool:
    """Whether its launching process died while it made the folder: nothing was started yet."""
    names = (SETTINGS_FILE, LOG_FILE, RESERVE_FILE, f"{JOURNAL_FOLDER}/{HARDWARE}.mcap")
    return not any((folder / name).exists() for name in names)


def _water_ul(folder: Path) -> float:
    if _never_began(folder):
        return 0.0
    messages = _messages(folder)
    said_ul = _said_ul(messages)
    if not said_ul >= 0.0:
        raise Unreadable(f"{folder} holds a Valve whose volume is no number")
    if _said_all(messages):
        return said_ul
    reserved = read_reserved(folder)
    return said_ul if reserved is None else max(said_ul, reserved.total_ul)


def _said_ul(messages: list[Valve | Ended]) -> float:
    valves = [message for message in messages if isinstance(message, Valve) and not message.refused]
    return sum({message.id: message.volume_ul for message in valves}.values())


def _said_all(messages: list[Valve | Ended]) -> bool:
    """Whether the driver said how many Valves there are, and they are there."""
    valves = {message for message in messages if isinstance(message, Valve)}
    ends = [message for message in messages if isinstance(message, Ended)]
    return any(message.messages.get(kind(Valve), (0, 0))[0] == len(valves) for message in ends)


def _messages(folder: Path) -> list[Valve | Ended]:
    """Return the driver's Valves and its Ended, each once, from log and journal."""
    log = folder / LOG_FILE
    journal = folder / JOURNAL_FOLDER / f"{HARDWARE}.mcap"
    try:
        verdict = read_completeness(log) if log.exists() else None
        if verdict is None and not journal.parent.is_dir():
            raise Unreadable(f"{folder} holds neither a closed log nor journals")
        if verdict is not None and (verdict.whole or not journal.exists()):
            return _closed(log)
        found = [*_unclosed(log), *_unclosed(journal)]
    except OSError as error:
        raise Unreadable(f"{folder} cannot be read ({error.strerror})") from error
    return list({repr(message): message for message in found}.values())


def _closed(log: Path) -> list[Valve | Ended]:
    """Return the driver's words of a closed log. Raises Unreadable if one of them is damaged."""
    with log.open("rb") as file:
        try:
            reader = make_reader(file, validate_crcs=True)
            summary = reader.get_summary()
            if summary is None or summary.statistics is None:
                raise Unreadable(f"{log} does not say how many words it holds")
            channels = [n for n, c in summary.channels.items() if c.topic in _TOPICS]
            expected = sum(summary.statistics.channel_message_counts.get(n, 0) for n in channels)
            records = [record for _, _, record in reader.iter_messages(topics=_TOPICS)]
            messages = [unpack(record.data)[1] for record in records]
        except _TORN as error:
            raise Unreadable(f"{log} is damaged ({error})") from error
    if len(messages) != expected:
        raise Unreadable(f"{log} holds {len(messages)} of its {expected} words on water")
    return list(_of_water(messages))


def _unclosed(path: Path) -> list[Valve | Ended]:
    """Return the driver's words of a file that may be torn at its end, or not be there.

    Raises Unreadable if it is no such file at all.
    """
    if not path.exists() or path.stat().st_size == 0:
        return []
    messages = []
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise Unreadable(f"{path} is damaged")
        file.seek(0)
        wanted = set()
        try:
            for record in StreamReader(file, validate_crcs=True).records:
                if isinstance(record, Channel) and record.topic in _TOPICS:
                    wanted.add(record.id)
                elif isinstance(record, Record) and record.channel_id in wanted:
                    messages.append(unpack(record.data)[1])
        except _TORN:
            pass  # what is before the tear stands; what comes after it was set aside
    return list(_of_water(messages))


def _of_water(messages: list[Message]) -> Iterator[Valve | Ended]:
    return (message for message in messages if isinstance(message, Valve | Ended))


def _number(folder: Path) -> int:
    number = folder.name.rpartition("_")[2]
    return int(number) if number.isdigit() else 0
