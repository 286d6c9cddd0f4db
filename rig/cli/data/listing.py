"""rig ls: list the sessions of one animal or of all animals."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from rig.cli.data.manifest import COPIES_FILE
from rig.cli.sessions.end_summary import SUMMARY_FILE, read_summary
from rig.cli.sessions.run import Data
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.settings.config import RECOVERED_FILE
from rig.subjects.session_identity import changed_files, check_can_be_read, session_of
from rig.transport.log import LOG_FILE


def ls(
    data: Data,
    subject: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="Name of an animal; default: all.")
    ] = "",
) -> None:
    """List recorded sessions, the newest last.

    Logs are not read: rig info checks one. Exit code: 1 if another file is damaged or missing.
    """
    folders = sorted(data.glob(f"sub-{subject or '*'}/ses-*"), key=_in_order)
    if not folders:
        whose = f" of {subject}" if subject else ""
        raise Refused(f"{data} contains no session{whose}; check the name, or give --data")
    table = Table()
    for name in ("subject", "session", "task"):
        table.add_column(name)
    for name in ("trials", "ul", "size, MB"):
        table.add_column(name, justify="right")
    table.add_column("state")
    damaged = []
    for folder in folders:
        row, damage = _row(folder)
        table.add_row(*map(Text, row))
        damaged += [f"{folder}: {text}" for text in damage]
    console = new_console()
    console.print(table)
    for text in damaged:
        console.print(Text(text, "bold red"), soft_wrap=True)
    if damaged:
        raise typer.Exit(1)


def _row(folder: Path) -> tuple[list[str], list[str]]:
    """Return the row of a session, and what is damaged or missing in its folder."""
    subject, name = folder.parent.name.removeprefix("sub-"), folder.name.removeprefix("ses-")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    summary, task, earlier = None, "?", ""
    is_closed, damage = (folder / SUMMARY_FILE).exists(), list[str]()
    try:
        check_can_be_read(folder)
        damage += changed_files(folder)
        session = session_of(folder)
        task, earlier = session.task_name, _continued(folder, session.continues)
        summary = read_summary(folder) if is_closed else None
        if is_closed and not (folder / LOG_FILE).exists():
            damage.append(f"{LOG_FILE} is missing")
    except Refused as refusal:
        damage.append(str(refusal))
    known = {
        "not closed": not is_closed,
        "damaged": bool(damage),
        "recovered": (folder / RECOVERED_FILE).is_file(),
        "copied": (folder / COPIES_FILE).is_file(),
        earlier: bool(earlier),
    }
    state = ", ".join(text for text, is_so in known.items() if is_so)
    held = summary or {}
    done = [trial for trial in held.get("trials", []) if trial.get("outcome") == "done"]
    water = held.get("water_ul")
    trials = str(len(done)) if summary is not None else "-"
    given = f"{water:.1f}" if isinstance(water, int | float) else "-"
    return [subject, name, task, trials, given, f"{size / 1e6:.1f}", state], damage


def _continued(folder: Path, id_: str) -> str:
    """Return a text on which session a part continues; "" if it continues none."""
    if not id_:
        return ""
    for other in sorted(folder.parent.glob("ses-*")):
        with suppress(Refused):
            if session_of(other).id == id_:
                return f"continues {other.name}"
    return f"continues session {id_}, which is missing"


def _in_order(folder: Path) -> tuple[str, int, str]:
    day, _, number = folder.name.removeprefix("ses-").partition("_")
    return day, int(number) if number.isdecimal() else 0, folder.parent.name
