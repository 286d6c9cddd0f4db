"""rig report: write the HTML page of a session."""

from pathlib import Path
from typing import Annotated

import typer

from rig.cli.sessions.completeness_notice import INCOMPLETE, check_session
from rig.cli.sessions.session_argument import SessionDir, session_in
from rig.cli.terminal import new_console


def report(
    folder: SessionDir,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File to write; default: report.html in the session."),
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Another session of the animal: find its cells in this one, and show both days.",
        ),
    ] = None,
) -> None:
    """Write a self-contained HTML page of a session, for any browser.

    Exit code: 1 if the page was written, but a session is incomplete or was changed.
    """
    from analysis.report.write import REPORT_FILE
    from analysis.report.write import report as write

    folder = session_in(folder)
    path = out or folder / REPORT_FILE
    console = new_console()
    other = None if beside is None else session_in(beside)
    intact = [check_session(one, console) for one in (folder, other) if one is not None]
    write(folder, path, other)
    console.print(f"report: {path}", soft_wrap=True)
    if not all(intact):
        raise typer.Exit(INCOMPLETE)
