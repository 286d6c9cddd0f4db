"""Print a notice if a log is incomplete, before any result from it."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from rig.errors import Refused
from rig.transport.log import LOG_FILE, Completeness, read_completeness


def check_log(folder: Path, console: Console) -> Completeness:
    """Return the completeness of a session's log; if it is incomplete, print what is missing.

    Raises Refused if the folder has no log, or the log was never closed.
    """
    try:
        completeness = read_completeness(folder / LOG_FILE)
    except OSError as error:
        raise Refused(f"{folder} has no log ({error.strerror}); check the path") from error
    if completeness is None:
        raise Refused(f"{folder} is not closed; unless it still runs, run: rig recover {folder}")
    if not completeness.whole:
        missing = completeness.missing or "messages"
        console.print(Text(f"the log is not whole; missing: {missing}", "bold red"))
    return completeness
