"""rig ls: list the sessions of one animal or of all animals."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from rig.cli.data.manifest import COPIES_FILE
from rig.cli.sessions.end_summary import SUMMARY_FILE
from rig.cli.sessions.run import Data
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.settings.config import RECOVERED_FILE, read_session


def ls(
    data: Data,
    subject: Annotated[str, typer.Argument(help="Name of an animal; default: all.")] = "",
) -> None:
    """List recorded sessions, the newest last."""
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
    for folder in folders:
        table.add_row(*map(Text, _row(folder)))
    new_console().print(table)


def _row(folder: Path) -> list[str]:
    subject, name = folder.parent.name.removeprefix("sub-"), folder.name.removeprefix("ses-")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    summary = _summary(folder)
    task, earlier = "?", ""
    with suppress(Refused):
        session = read_session(folder)
        task, earlier = session.task_name, _continued(folder, session.continues)
    known = {
        "not closed": summary is None,
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
    return [subject, name, task, trials, given, f"{size / 1e6:.1f}", state]


def _continued(folder: Path, id_: str) -> str:
    """Return a text on which session a part continues; "" if it continues none."""
    if not id_:
        return ""
    for other in sorted(folder.parent.glob("ses-*")):
        with suppress(Refused):
            if read_session(other).id == id_:
                return f"continues {other.name}"
    return f"continues session {id_}, which is missing"


def _summary(folder: Path) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode((folder / SUMMARY_FILE).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _in_order(folder: Path) -> tuple[str, int, str]:
    day, _, number = folder.name.removeprefix("ses-").partition("_")
    return day, int(number) if number.isdecimal() else 0, folder.parent.name
