"""rig recover: close a session whose launching process died."""

from datetime import datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from rig.cli.data.manifest import MANIFEST_FILE, check_manifest, manifest_of, write_manifest
from rig.cli.sessions.completeness_notice import INCOMPLETE
from rig.cli.sessions.end_summary import end
from rig.cli.sessions.post_session import water_due
from rig.cli.sessions.session_argument import SessionDir, data_of, session_in
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.session.locks import SubjectLock
from rig.session.provenance import about
from rig.session.recover import (
    INTERRUPTED,
    Recovery,
    complete_log,
    is_interrupted,
    kept_journals,
    mark_recovered,
)
from rig.session.session_folder import sweep
from rig.settings.config import SessionSettings
from rig.subjects.booking import close_booking
from rig.subjects.ledger import Booking
from rig.subjects.session_identity import has_settings, save_settings, session_of
from rig.subjects.session_water import is_closed
from rig.transport.log import JOURNAL_FOLDER, Completeness


def recover(folder: SessionDir) -> None:
    """Complete the log of a session that was cut off, enter its water, and write its summary.

    Imaging files that were not closed get a repaired copy beside them.

    MANIFEST.json, with the size and SHA-256 of every file, is written last.

    Exit code: 1 if the session was closed, but messages, a summary or a file are missing.
    """
    folder = session_in(folder)
    session = session_of(folder)
    data = data_of(folder, session)
    console = new_console()
    lock = SubjectLock(data, session.subject)
    try:
        booking = _enter_water(folder, session, data, console)
        check_manifest(folder)
        (folder / MANIFEST_FILE).unlink(missing_ok=True)  # what is killed now can be repeated
        unfinished = _was_unfinished(folder)
        if unfinished:
            mark_recovered(folder, Recovery(_now(), about()["rig"], INTERRUPTED))
        completeness = complete_log(folder)
        sweep(session)
        if not has_settings(folder, session):
            save_settings(folder, session)
        _print_state(folder, completeness, console)
        repaired, intact = _repair(folder, console)
        intact &= completeness.whole
        if unfinished or repaired:
            _mark(folder, completeness, repaired)
        try:
            end(folder, None, console)
        except Refused as refusal:
            console.print(f"no summary: {refusal}", style="bold red", soft_wrap=True)
            intact = False
        write_manifest(folder, manifest_of(folder))
    finally:
        lock.release()
    if due := water_due(data, session.subject, booking):
        console.print(due, soft_wrap=True)
    if not intact:
        raise typer.Exit(INCOMPLETE)


def _was_unfinished(folder: Path) -> bool:
    """Return whether a session did not end by itself, or its recovery was interrupted."""
    has_journals = (folder / JOURNAL_FOLDER).is_dir()
    return not is_closed(folder) or has_journals or is_interrupted(folder)


def _enter_water(folder: Path, session: SessionSettings, data: Path, console: Console) -> Booking:
    booking = close_booking(data, session, folder, "recovered: the launching process died")
    console.print(f"{session.subject} was given {booking.text} in this session")
    return booking


def _repair(folder: Path, console: Console) -> tuple[dict[str, str], bool]:
    """Repair the imaging files that were not closed.

    Returns the name of the copy by file name, and False if a file could not be repaired.
    """
    from acquisition.files.session_tiffs import repair_unclosed

    repaired, all_repaired = {}, True
    for path, copy, text in repair_unclosed(folder):
        console.print(Text(text, "yellow" if copy else "bold red"), soft_wrap=True)
        if copy is not None:
            repaired[path.name] = copy.name
        all_repaired &= copy is not None
    return repaired, all_repaired


def _mark(folder: Path, completeness: Completeness, repaired: dict[str, str]) -> None:
    missing = "" if completeness.whole else completeness.missing or "messages"
    journals = tuple(path.name for path in kept_journals(folder))
    mark_recovered(folder, Recovery(_now(), about()["rig"], missing, repaired, journals))


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _print_state(folder: Path, completeness: Completeness, console: Console) -> None:
    state = "whole" if completeness.whole else "not whole"
    style = "" if completeness.whole else "bold red"
    first = completeness.in_hub_order
    text = f"the log is {state}; its first {first} messages are in hub order"
    console.print(Text(text, style), soft_wrap=True)
    if completeness.missing:
        console.print(Text(f"not in the log: {completeness.missing}", style), soft_wrap=True)
    for journal in kept_journals(folder):
        console.print(f"journal kept, as its process was killed or it is damaged: {journal}")
