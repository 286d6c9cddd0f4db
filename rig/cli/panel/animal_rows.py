"""The animals on the panel: data from the record, the ledger and their last sessions."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from rig.cli.panel.run_process import summary_of
from rig.cli.record_entries import day_data, known
from rig.settings.lab import read_lab
from rig.subjects.booking import water_of_day
from rig.subjects.ledger import Booking, Ledger
from rig.subjects.record import Subject, Weighing, has_record, open_record
from rig.subjects.welfare import MIN_WEIGHT_SHARE, supplement_ml

_MOST_WEIGHTS = 60
_MOST_SESSIONS = 5
Row = dict[str, Any]


def rows(data: Path, rehearse: bool) -> list[Row]:
    """Return a row for each animal of the record; active animals come first."""
    if not has_record(data):
        return []
    with open_record(data) as record:
        animals = record.subjects()
    found = [_row(animal, day_data(data, animal.name, rehearse)) for animal in animals]
    return sorted(found, key=lambda row: (row["retired"], row["name"].lower()))


def detail(data: Path, name: str, rehearse: bool) -> Row:
    """Return an animal with its weights, water and last sessions. Raises Refused if unknown."""
    animal = known(data, name)
    day = day_data(data, name, rehearse)
    today = water_of_day(day, name)
    with open_record(day) as record:
        weights, sessions = record.weights(name), Ledger(record).sessions(name)
    return {
        **_row(animal, day),
        "weights": [_weight(one, animal) for one in weights[-_MOST_WEIGHTS:]],
        "sessions": [_session(day, one) for one in reversed(sessions[-_MOST_SESSIONS:])],
        "session_count": len(sessions),
        "water": today.text,
        "water_ul": today.at_most_ul,
        "due_ml": round(supplement_ml(animal, today.at_least_ul), 3),
        "remarks": list(today.remarks),
        "limit_share": MIN_WEIGHT_SHARE,
    }


def _row(animal: Subject, day: Path) -> Row:
    today = read_lab(day).day_of(time.time()).isoformat()
    with open_record(day) as record:
        weights = record.weights(animal.name)
    before = [one for one in weights if one.day >= today and not one.after]
    last = _weight(weights[-1], animal) if weights else None
    return {**msgspec.structs.asdict(animal), "last_weight": last, "weighed": bool(before)}


def _weight(one: Weighing, animal: Subject) -> Row:
    return {**msgspec.structs.asdict(one), "share": one.grams / animal.baseline_g}


def _session(data: Path, booking: Booking) -> Row:
    summary = summary_of(data / f"sub-{booking.subject}" / booking.folder) or {}
    return {
        "folder": booking.folder,
        "task": booking.task,
        "began": datetime.fromtimestamp(booking.began).isoformat(" ", "minutes"),
        "trials": summary.get("trials_done"),
        "water": booking.text if booking.closed else "never closed",
        "reason": booking.reason,
    }
