"""Read the parts of a continued session as the log of one session.

Times count from the zero of the first part. Numbers that start again in each part (frames, flips,
requests, the distance of the wheel) are shifted to continue those of the part before; the numbers
of trials already continue.
"""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from rig.errors import Refused
from rig.messages import (
    Arm,
    CellsFound,
    CellSignals,
    Disarm,
    Fault,
    Flip,
    Frame,
    Integrity,
    LearningSignals,
    Message,
    OperatorRequest,
    Position,
    Scan,
    Trigger,
    TriggerOutput,
    TriggerRelease,
    Valve,
    Wheel,
)
from rig.settings.config import SETTINGS_FILE
from rig.transport.envelope import Envelope
from rig.transport.frame_pixels import imaging_file
from rig.transport.log import LOG_FILE, Completeness, read, read_completeness

Messages = Iterator[tuple[Envelope, Message]]

_COUNTERS: dict[type[Message], dict[str, str]] = {
    Wheel: {"counts": "counts", "cm": "cm"},
    Arm: {"id": "request"},
    Disarm: {"id": "request"},
    Valve: {"id": "request"},
    OperatorRequest: {"id": "order"},
    Position: {"order": "order"},
    Flip: {"number": "flip"},
    Frame: {"index": "frame"},
    Fault: {"frame": "frame"},
    CellSignals: {"frame": "frame"},
    CellsFound: {"frame": "frame"},
    Trigger: {"id": "trigger", "frame": "frame"},
    TriggerOutput: {"id": "trigger"},
    TriggerRelease: {"id": "trigger"},
    Integrity: {"frame": "frame", "edges": "edges", "pages": "pages"},
}
"""The fields whose numbers start again in each part, and the name of the count of each."""
_COUNTED_BY: dict[str, type[Message]] = {
    "order": OperatorRequest,
    "frame": Frame,
    "request": Arm,
    "trigger": Trigger,
}
"""The message type that advances a count, for counts that several types contain."""
_FROM_ZERO = ("frame",)
"""Counts whose first number is 0, not 1."""
_OF_WHEEL = ("counts", "cm")
"""Counts that may decrease."""
_OF_CELLS = (CellSignals, LearningSignals, CellsFound)
_CLOCKS_AGREE_S = 5.0


class Part(NamedTuple):
    """One part of a session."""

    folder: Path
    offset_ns: int
    """Time from the zero of the first part to the zero of this part, ns."""


def parts_of(folder: Path) -> list[Part]:
    """Return the parts that a session folder continues, in order of time, and the folder itself.

    Raises Refused if one of them is missing.
    """
    found = [(folder, _settings(folder))]
    while earlier := found[0][1].get("continues", ""):
        siblings = {str(_settings(one).get("id")): one for one in sorted(folder.parent.iterdir())}
        if earlier not in siblings:
            raise Refused(
                f"{found[0][0]} continues session {earlier}, which is not in {folder.parent}; put "
                "its folder back beside it"
            )
        found.insert(0, (siblings[earlier], _settings(siblings[earlier])))
    first = found[0][1]
    return [Part(path, _offset_ns(first, start)) for path, start in found]


def read_parts(parts: list[Part]) -> Messages:
    """Yield the messages of all parts, with the times and numbers of one session.

    If cells were detected during the session, each part has other cells; then only the signals of
    the last part are yielded.
    """
    if len(parts) == 1:
        yield from read(parts[0].folder / LOG_FILE)
        return
    counts = dict[str, float]()
    detects = _detects_cells(parts[-1].folder)
    for number, part in enumerate(parts):
        is_last, before = number == len(parts) - 1, dict(counts)
        where = Path() if is_last else Path(os.path.relpath(part.folder, parts[-1].folder))
        for envelope, message in read(part.folder / LOG_FILE):
            if detects and not is_last and isinstance(message, _OF_CELLS):
                continue
            joined = _numbered(_shifted(message, part.offset_ns), before) if number else message
            _count(counts, joined)
            sent = envelope.sent + part.offset_ns
            # Each part numbers its messages from 0; the incarnation tells the parts apart.
            stamped = msgspec.structs.replace(envelope, incarnation=number, sent=sent)
            yield stamped, _located(joined, part.folder, where)


def parts_completeness(parts: list[Part]) -> Completeness | None:
    """Return whether the logs of all parts are complete; None if one was never closed."""
    found = [(part, read_completeness(part.folder / LOG_FILE)) for part in parts]
    named = len(parts) > 1
    missing = []
    for part, one in found:
        if one is None:
            return None
        if not one.whole:
            missing.append(f"{part.folder.name}: {one.missing}" if named else one.missing)
    in_order = sum(one.in_hub_order for _, one in found if one is not None)
    whole = all(one is not None and one.whole for _, one in found)
    return Completeness(whole, in_order, "; ".join(missing))


def _settings(folder: Path) -> dict[str, Any]:
    """Return the settings of a session folder; empty if it has none."""
    try:
        return msgspec.json.decode((folder / SETTINGS_FILE).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def _offset_ns(first: dict[str, Any], start: dict[str, Any]) -> int:
    """Return the time (ns) between the zeros of two parts.

    It is that of the monotonic clock, or of the wall clock if the computer restarted in between.
    """
    if start is first:
        return 0
    began = (datetime.fromisoformat(one["began"]) for one in (start, first))
    wall_s = (next(began) - next(began)).total_seconds()
    clock_ns = int(start["t0_ns"]) - int(first["t0_ns"])
    is_same_clock = abs(clock_ns / 1e9 - wall_s) < _CLOCKS_AGREE_S
    return clock_ns if is_same_clock else round(wall_s * 1e9)


def _detects_cells(folder: Path) -> bool:
    online = _settings(folder).get("nodes", {}).get("online", {})
    return online.get("find") is not None


def _shifted(message: Message, offset_ns: int) -> Message:
    """Return the message with its times on the clock of the first part."""
    names = [n for n in message.__struct_fields__ if n == "t" or n.endswith("_t")]
    names += [n for n in message.__struct_fields__ if n == "deadline"]
    times = {n: getattr(message, n) for n in names}
    moved = {n: t + offset_ns for n, t in times.items() if t is not None}
    return msgspec.structs.replace(message, **moved)


def _numbered(message: Message, before: dict[str, float]) -> Message:
    """Return the message with numbers that continue those of the parts before."""
    fields = {}
    for field, count in _COUNTERS.get(type(message), {}).items():
        value = getattr(message, field)
        is_number = value is not None and not (count == "order" and value == 0)
        if is_number and count in before:
            fields[field] = value + before[count] + (count in _FROM_ZERO)
    return msgspec.structs.replace(message, **fields) if fields else message


def _located(message: Message, folder: Path, where: Path) -> Message:
    """Return the message with the path of its imaging file relative to the last part.

    Args:
        message: A message of a part.
        folder: The folder of the part.
        where: That folder, relative to the last part.
    """
    if not isinstance(message, Frame | Scan):
        return message
    path = imaging_file(folder, message.file)
    file = where / path.relative_to(folder) if path.is_relative_to(folder) else path
    return msgspec.structs.replace(message, file=str(file))


def _count(counts: dict[str, float], message: Message) -> None:
    for field, count in _COUNTERS.get(type(message), {}).items():
        if isinstance(message, _COUNTED_BY.get(count, type(message))):
            value = getattr(message, field)
            counts[count] = value if count in _OF_WHEEL else max(value, counts.get(count, value))
