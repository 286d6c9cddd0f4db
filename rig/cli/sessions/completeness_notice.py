"""Print a notice if a session is incomplete or was changed, before any result from it."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from rig.errors import Refused
from rig.subjects.session_identity import changed_files, check_one_session
from rig.transport.log import LOG_FILE, Completeness, read_completeness


def check_log(folder: Path, console: Console) -> Completeness:
    """Return the completeness of a session's log; if it is incomplete, print what is missing.

    Raises Refused if the folder has no log or files of two sessions, or the log was never closed.
    """
    check_one_session(folder)
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


def check_files(folder: Path, console: Console) -> bool:
    """Return whether the session's settings and files are as it began, after printing what is not.

    Its decisions were made with those files; its water and settings are read from its log.
    """
    changed = list(changed_files(folder))
    for text in changed:
        console.print(Text(text, "bold red"), soft_wrap=True)
    return not changed
