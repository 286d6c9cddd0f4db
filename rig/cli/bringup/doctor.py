"""rig doctor: what this machine lacks for a real rig."""

from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rig.cli.sessions.run import Data
from rig.session.system_checks import SystemChecks


def doctor(data: Data = Path("data")) -> None:
    """Look at timer, priority, disk, USB, screen and drivers, and say what to do."""
    table = Table("", "what", "found", "what to do")
    lacks = 0
    for one in SystemChecks(data).look():
        lacks += not one.good
        mark = Text("good", "green") if one.good else Text("LACK", "bold red")
        table.add_row(mark, one.what, one.found, "" if one.good else one.remedy)
    Console().print(table)
    raise typer.Exit(1 if lacks else 0)
