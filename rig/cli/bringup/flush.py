"""rig flush: let water through a valve, to fill or to rinse its line."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from behavior.manual.manual_control import open_devices
from rig.cli.bringup.setup_argument import NoAnimal, no_animal, setup_session

_PULSE_MS = 100.0


def flush(
    setup: Annotated[Path, typer.Argument(help="What is bolted down.")],
    name: Annotated[str, typer.Option("--valve", help="The valve's name in the setup.")] = "centre",
    seconds: Annotated[
        float, typer.Option(min=0.1, max=60.0, help="How long it is open in all.")
    ] = 5.0,
    yes: NoAnimal = False,
) -> None:
    """Open a valve again and again, with no animal at the spout. Ctrl-C ends it."""
    session = setup_session(setup)
    console = Console()
    no_animal(f"spout {name}, and a dish under it", yes)
    count = max(1, round(seconds * 1000 / _PULSE_MS))
    with open_devices(session) as control:
        pulses = control.pulses(name, min(_PULSE_MS, control.max_open_ms), count)
        for _ in track(pulses, f"flushing {name}", count, console=console):
            pass
    console.print(
        f"{name} was open for {count * _PULSE_MS / 1000:g} s in {count} pulses, and is shut"
    )
