"""rig flush: open a valve repeatedly, to fill or rinse its line."""

from typing import Annotated

import typer
from rich.progress import track

from behavior.manual.manual_control import open_devices
from rig.cli.bringup.setup_argument import NoAnimal, SetupFile, no_animal, setup_session
from rig.cli.numbers import number
from rig.cli.terminal import new_console

_PULSE_MS = 100.0


def flush(
    setup: SetupFile,
    name: Annotated[
        str, typer.Option("--valve", help="Name of the valve in the setup.")
    ] = "centre",
    seconds: Annotated[
        float,
        typer.Option(parser=number(0.1, 60.0), help="Total time open, seconds (0.1 to 60)."),
    ] = 5.0,
    yes: NoAnimal = False,
) -> None:
    """Open a valve repeatedly, to fill or rinse its line. Ctrl-C stops it."""
    session = setup_session(setup)
    console = new_console()
    no_animal(f"spout {name}, and a dish under it", yes)
    count = max(1, round(seconds * 1000 / _PULSE_MS))
    with open_devices(session) as control:
        pulses = control.pulses(name, min(_PULSE_MS, control.max_open_ms), count)
        for _ in track(pulses, f"flushing {name}", count, console=console):
            pass
    console.print(
        f"valve {name} was open for {count * _PULSE_MS / 1000:g} s in {count} pulses; it is closed"
    )
