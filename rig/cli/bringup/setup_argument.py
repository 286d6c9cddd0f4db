"""The argument SETUP of commands that use a rig's devices without an animal."""

from pathlib import Path
from typing import Annotated

import typer

from rig.errors import Refused
from rig.settings.config import SessionSettings, convert, read_setup

SetupFile = Annotated[
    Path, typer.Argument(metavar="SETUP", help="The setup of the rig (TOML): devices, screens.")
]
NoAnimal = Annotated[
    bool, typer.Option("--yes", help="No animal is at the rig: do not ask to confirm that.")
]


def setup_session(setup: Path) -> SessionSettings:
    """Return a session with only the devices of a setup, without animal and task.

    Raises:
        Refused: The setup is not valid, or has no devices.
    """
    tree = read_setup(setup)
    if "hardware" not in tree["nodes"]:
        raise Refused(f"{setup} has no [nodes.hardware] and so no devices; name another setup")
    alone = {"subject": "nobody", "seed": 0, "task_name": "", "task": {}}
    return convert({**tree, **alone}, SessionSettings, str(setup))


def no_animal(where: str, yes: bool) -> None:
    """Ask to confirm that no animal is there, because valves open without the guard; else abort."""
    if not yes:
        typer.confirm(f"Confirm that NO animal is at {where}", abort=True)
