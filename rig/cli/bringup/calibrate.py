"""rig calibrate: measure what is bolted down, and write it beside the setup, dated."""

import math
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from behavior.devices.protocols import Weighing
from behavior.manual.manual_control import ManualControl, open_devices
from behavior.water.valve_calibration import Fit, fit
from rig.cli.bringup.setup_argument import NoAnimal, no_animal, setup_session
from rig.cli.bringup.valve_report import write_page
from rig.errors import Refused
from rig.settings.calibration_overlay import measure

calibrate = typer.Typer(
    help="Measure what is bolted down, and write it beside the setup, dated.", no_args_is_help=True
)
_BAR = 40
_FEWEST_COUNTS = 20
"""A turn of a wheel has more."""


@calibrate.command()
def valve(
    setup: Annotated[Path, typer.Argument(help="What is bolted down.")],
    name: Annotated[str, typer.Option("--valve", help="The valve's name in the setup.")] = "centre",
    open_ms: Annotated[
        list[float] | None, typer.Option("--open-ms", help="A pulse length; repeatable.")
    ] = None,
    pulses: Annotated[int, typer.Option(min=10, max=500, help="Pulses a series.")] = 100,
    yes: NoAnimal = False,
) -> None:
    """Weigh what series of pulses bring, fit the valve's line, and write it beside the setup."""
    console = Console()
    session = setup_session(setup)
    no_animal(f"spout {name}, and a dish on a scale under it", yes)
    with open_devices(session) as control:
        control.valve(name)
        console.print(f"Each series is {pulses} pulses of valve {name}.")
        series = list(_weigh(control, name, open_ms or [20.0, 40.0, 60.0, 80.0], pulses, console))
        said, most_ms = control.warnings, control.max_open_ms
    fitted = fit(series)
    _show(series, fitted, console)
    for sentence in said:
        console.print(Text(sentence, "yellow"))
    written = measure(
        setup,
        session.rig.name,
        f"nodes.hardware.valve.{name}",
        {
            "ul_per_ms": fitted.ul_per_ms,
            "dead_ms": fitted.dead_ms,
            "calibrated": date.today().isoformat(),
            "weighed": [
                {"open_ms": one.open_ms, "pulses": one.pulses, "mass_mg": one.mass_mg}
                for one in series
            ],
        },
    )
    console.print(f"written to {written}; sessions of this setup use it from now on")
    page = setup.with_name(f"{setup.stem}.valve.{name}.html")
    what = f"valve {name} of rig {session.rig.name}, {date.today().isoformat()}"
    write_page(page, what, series, fitted, most_ms)
    console.print(f"drawn in {page}")


@calibrate.command()
def wheel(
    setup: Annotated[Path, typer.Argument(help="What is bolted down.")],
    around_cm: Annotated[
        float, typer.Option(min=1, max=500, help="How far the animal walks in one turn, cm.")
    ],
    turns: Annotated[int, typer.Option(min=1, max=100, help="How many turns by hand.")] = 10,
) -> None:
    """Turn the wheel by hand, and write what a count is beside the setup; of a ball, both axes."""
    console = Console()
    session = setup_session(setup)
    with open_devices(session) as control:
        cm = turns * around_cm
        found = {"cm_per_count": _turned(control, control.counts, turns, "FORWARD", cm, console)}
        if control.side_counts() is not None:
            side = _turned(
                control, lambda: control.side_counts() or 0, turns, "to the RIGHT", cm, console
            )
            found["side_cm_per_count"] = side
    day = {"calibrated": date.today().isoformat()}
    written = measure(setup, session.rig.name, "nodes.hardware.wheel", {**found, **day})
    console.print(f"written to {written}; sessions of this setup use it from now on")


def _turned(
    control: ManualControl,
    counts: Callable[[], int],
    turns: int,
    way: str,
    cm: float,
    console: Console,
) -> float:
    """Return the centimetres of a count, negative if the counts went down."""
    mark = "put a mark on the wheel and the frame; Enter to begin"
    control.poll_during(partial(typer.prompt, mark, default="", show_default=False))
    began = counts()
    turn = f"turn it {way} by {turns} whole turns, until the marks meet again, then Enter"
    control.poll_during(partial(typer.prompt, turn, default="", show_default=False))
    found = counts() - began
    if abs(found) < _FEWEST_COUNTS * turns:
        raise Refused(
            f"{turns} turns came to {found} counts; look at the encoder's plug, and begin anew"
        )
    console.print(f"{found:+d} counts in {turns} turns: {cm / found:.5f} cm a count")
    return cm / found


@calibrate.command()
def screen(
    setup: Annotated[Path, typer.Argument(help="What is bolted down.")],
    name: Annotated[str, typer.Option("--screen", help="The screen's name in the setup.")],
    levels: Annotated[int, typer.Option(min=4, max=33, help="How many levels to measure.")] = 9,
) -> None:
    """Show even levels on a screen, take the photometer's readings, write its gamma table."""
    from rig.cli.bringup.calibrate_screen import calibrate_screen

    calibrate_screen(setup, name, levels, Console())


def _weigh(
    control: ManualControl, name: str, lengths_ms: list[float], pulses: int, console: Console
) -> Iterator[Weighing]:
    for length_ms in lengths_ms:
        begin = f"{length_ms:g} ms: tare the dish again, Enter to begin"
        control.poll_during(partial(typer.prompt, begin, default="", show_default=False))
        for _ in track(control.pulses(name, length_ms, pulses), "pulses", pulses, console=console):
            pass
        mass_mg = control.poll_during(lambda: float(typer.prompt("weight now, mg", type=float)))
        if not (math.isfinite(mass_mg) and mass_mg > 0):
            raise Refused(f"a weight of {mass_mg:g} mg is none; tare the scale and begin anew")
        yield Weighing(length_ms, pulses, mass_mg)


def _show(series: list[Weighing], fitted: Fit, console: Console) -> None:
    """Print the series, the line through them, and how far each is off it."""
    most = max(one.ul_each for one in series)
    table = Table("pulse", "ul a pulse", "off the line", "", title="calibration")
    for one, off in zip(series, fitted.residuals, strict=True):
        on_line = fitted.ul_per_ms * (one.open_ms - fitted.dead_ms)
        bar = Text("█" * round(_BAR * one.ul_each / most), "cyan")
        at = min(_BAR, round(_BAR * on_line / most))
        bar = (
            Text(bar.plain.ljust(at)[:at], "cyan") + Text("│", "bold") + Text(bar.plain[at:], "red")
        )
        table.add_row(f"{one.open_ms:g} ms", f"{one.ul_each:.3f}", f"{off:+.1%}", bar)
    console.print(table)
    console.print(f"{fitted.ul_per_ms:.4f} ul/ms, from {fitted.dead_ms:.1f} ms on")
