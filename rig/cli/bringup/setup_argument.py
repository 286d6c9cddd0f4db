"""A setup by itself, for verbs that handle what is bolted down without an animal."""

from pathlib import Path
from typing import Annotated

import typer

from rig.errors import Refused
from rig.settings.config import SessionSettings, convert, read_setup

NoAnimal = Annotated[bool, typer.Option("--yes", help="Do not ask whether an animal is there.")]


def setup_session(setup: Path) -> SessionSettings:
    """Return a session of a setup's devices alone: no animal, no task. Raises Refused."""
    tree = read_setup(setup)
    if "hardware" not in tree["nodes"]:
        raise Refused(f"{setup} has no [nodes.hardware], so there is no device in it")
    alone = {"subject": "nobody", "seed": 0, "task_name": "", "task": {}}
    return convert({**tree, **alone}, SessionSettings, str(setup))


def no_animal(where: str, yes: bool) -> None:
    """Ask whether no animal is there, before valves open past the guard; abort if one is."""
    if not yes:
        typer.confirm(f"Is NO animal at {where}?", abort=True)
