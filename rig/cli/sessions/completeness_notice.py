"""Print a notice if a session is incomplete or was changed, before any result from it.

A command that reads such a session still does its work, and then exits with INCOMPLETE.
"""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from rig.errors import Refused
from rig.subjects.session_identity import changed_files, check_one_session
from rig.transport.log import LOG_FILE, Completeness, read_completeness

INCOMPLETE = 1
"""Exit code of a command whose result is there, but of a session that is incomplete or changed."""


def check_session(folder: Path, console: Console) -> bool:
    """Return whether a session, with the parts that it continues, is complete and unchanged.

    What is missing or was changed is printed first. Raises Refused as `check_log` does.
    """
    from analysis.session.parts import parts_of

    intact = [
        (check_log(part.folder, console).whole, check_files(part.folder, console))
        for part in parts_of(folder)
    ]
    return all(whole and unchanged for whole, unchanged in intact)


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
