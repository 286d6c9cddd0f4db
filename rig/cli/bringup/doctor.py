"""rig doctor: check whether this computer is fit to run a real rig."""

import typer
from rich.table import Table
from rich.text import Text

from rig.cli.sessions.run import Data
from rig.cli.terminal import new_console
from rig.session.system_checks import SystemChecks


def doctor(data: Data) -> None:
    """Check whether this computer is fit for a real rig.

    Timer, priority, disk, USB, screen and drivers are checked; each fault is shown with its remedy.

    Exit code 1: something has to be changed.
    """
    table = Table("", "check", "result", "what to do")
    bad = 0
    for one in SystemChecks(data).look():
        bad += not one.good
        mark = Text("good", "green") if one.good else Text("BAD", "bold red")
        table.add_row(mark, one.what, one.found, "" if one.good else one.remedy)
    new_console().print(table)
    raise typer.Exit(1 if bad else 0)
