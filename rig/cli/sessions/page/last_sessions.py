"""Read an animal's results in its last sessions from their summaries, for the live page."""

from pathlib import Path
from typing import Any

from rig.cli.sessions.end_summary import readable_summary
from rig.transport.log import LOG_FILE

_SHOWN = 5


def last_sessions(folder: Path) -> list[dict[str, Any]]:
    """Return the sessions of the same animal before this one, the newest first."""
    others = [other for other in folder.parent.glob("ses-*") if other != folder]
    before = [other for other in others if _order(other) < _order(folder)]
    rows = map(_row, sorted(before, key=_order, reverse=True))
    return [row for row in rows if row is not None][:_SHOWN]


def _row(folder: Path) -> dict[str, Any] | None:
    if not (folder / LOG_FILE).is_file():
        return None
    summary = readable_summary(folder)
    if summary is None:
        return None
    return {
        "day": folder.name.removeprefix("ses-"),
        "task": summary.get("task") or "",
        "trials": summary.get("trials_done"),
        "responses": summary.get("responses") or {},
        "water_ul": summary.get("water_ul"),
    }


def _order(folder: Path) -> tuple[str, int]:
    day, _, number = folder.name.removeprefix("ses-").partition("_")
    return day, int(number) if number.isdecimal() else 0
