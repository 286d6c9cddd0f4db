"""rig calibrate: measure a valve, wheel or screen, and write the result beside the setup."""

from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from behavior.devices.protocols import Weighing
from behavior.manual.manual_control import ManualControl, open_devices
from behavior.water.valve_calibration import Fit, fit
from rig.cli.bringup.setup_argument import NoAnimal, SetupFile, no_animal, setup_session
from rig.cli.bringup.valve_report import write_page
from rig.cli.numbers import ask, number
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.settings.calibration_overlay import measure

calibrate = typer.Typer(
    help="Calibrate a valve, the wheel or a screen.",
    no_args_is_help=True,
)
_BAR = 24
"""Length of the longest bar in the table, characters."""
_MIN_COUNTS = 20
"""Smallest number of counts of an encoder in one turn."""


@calibrate.command()
def valve(
    setup: SetupFile,
    name: Annotated[
        str, typer.Option("--valve", help="Name of the valve in the setup.")
    ] = "centre",
    open_ms: Annotated[
        list[float] | None,
        typer.Option(
            "--open-ms",
            metavar="FLOAT",
            parser=number(0.1),
            help="Pulse length of a series, ms; repeatable; default: 20, 40, 60, 80.",
        ),
    ] = None,
    pulses: Annotated[
        int, typer.Option(min=10, max=500, metavar="INTEGER", help="Pulses per series.")
    ] = 100,
    yes: NoAnimal = False,
) -> None:
    """Weigh series of pulses, fit volume to opening time, and save it."""
    console = new_console()
    session = setup_session(setup)
    no_animal(f"spout {name}, and that a dish on a scale is under it", yes)
    with open_devices(session) as control:
        control.valve(name)
        console.print(f"Each series has {pulses} pulses of valve {name}.")
        series = list(_weigh(control, name, open_ms or [20.0, 40.0, 60.0, 80.0], pulses, console))
        warnings, longest_ms = control.warnings, control.max_open_ms
    fitted = fit(series)
    _show(series, fitted, console)
    for sentence in warnings:
        console.print(Text(sentence, "yellow"))
    measured = {
        "ul_per_ms": fitted.ul_per_ms,
        "dead_ms": fitted.dead_ms,
        "calibrated": date.today().isoformat(),
        "weighed": [msgspec.structs.asdict(one) for one in series],
    }
    written = measure(setup, session.rig.name, f"nodes.hardware.valve.{name}", measured)
    console.print(f"saved in {written}; sessions with this setup use it from now on")
    page = setup.with_name(f"{setup.stem}.valve.{name}.html")
    what = f"valve {name} of rig {session.rig.name}, {date.today().isoformat()}"
    write_page(page, what, series, fitted, longest_ms)
    console.print(f"page with the fit: {page}")


@calibrate.command()
def wheel(
    setup: SetupFile,
    around_cm: Annotated[
        float,
        typer.Option(parser=number(1, 500), help="Distance of one turn, cm (1 to 500)."),
    ],
    turns: Annotated[
        int, typer.Option(min=1, max=100, metavar="INTEGER", help="Turns by hand.")
    ] = 10,
) -> None:
    """Turn the wheel or ball by hand, and save the distance per count."""
    console = new_console()
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
    console.print(f"saved in {written}; sessions with this setup use it from now on")


def _turned(
    control: ManualControl,
    counts: Callable[[], int],
    turns: int,
    way: str,
    cm: float,
    console: Console,
) -> float:
    """Return the distance per count, cm; negative if the counts decreased."""
    mark = "mark the wheel and the frame, then press Enter"
    control.poll_during(partial(typer.prompt, mark, default="", show_default=False))
    began = counts()
    turn = f"turn it {way} by {turns} turns until the marks meet again, then press Enter"
    control.poll_during(partial(typer.prompt, turn, default="", show_default=False))
    found = counts() - began
    if abs(found) < _MIN_COUNTS * turns:
        raise Refused(
            f"{turns} turns gave {found} counts; check the encoder's plug and start again"
        )
    console.print(f"{found:+d} counts in {turns} turns: {cm / found:.5f} cm per count")
    return cm / found


@calibrate.command()
def screen(
    setup: SetupFile,
    name: Annotated[str, typer.Option("--screen", help="Name of the screen in the setup.")],
    levels: Annotated[
        int, typer.Option(min=4, max=33, metavar="INTEGER", help="Levels to measure.")
    ] = 9,
) -> None:
    """Measure the gamma table of a screen with a photometer, and save it."""
    from rig.cli.bringup.calibrate_screen import calibrate_screen

    calibrate_screen(setup, name, levels, new_console())


def _weigh(
    control: ManualControl, name: str, lengths_ms: list[float], pulses: int, console: Console
) -> Iterator[Weighing]:
    for length_ms in lengths_ms:
        begin = f"{length_ms:g} ms: tare the dish again, then press Enter"
        control.poll_during(partial(typer.prompt, begin, default="", show_default=False))
        for _ in track(control.pulses(name, length_ms, pulses), "pulses", pulses, console=console):
            pass
        mass_mg = control.poll_during(lambda: ask("weight now, mg"))
        if mass_mg <= 0:
            raise Refused(f"water cannot weigh {mass_mg:g} mg; tare the scale and start again")
        yield Weighing(length_ms, pulses, mass_mg)


def _show(series: list[Weighing], fitted: Fit, console: Console) -> None:
    """Print the series, the fitted line, and the deviation of each series from the line."""
    most = max(one.ul_each for one in series)
    table = Table("pulse", "ul/pulse", "residual", "", title="calibration")
    for one, off in zip(series, fitted.residuals, strict=True):
        on_line = fitted.ul_per_ms * (one.open_ms - fitted.dead_ms)
        bar = Text("█" * round(_BAR * one.ul_each / most), "cyan")
        at = min(_BAR, round(_BAR * on_line / most))
        bar = (
            Text(bar.plain.ljust(at)[:at], "cyan") + Text("│", "bold") + Text(bar.plain[at:], "red")
        )
        table.add_row(f"{one.open_ms:g} ms", f"{one.ul_each:.3f}", f"{off:+.1%}", bar)
    console.print(table)
    console.print(f"{fitted.ul_per_ms:.4f} ul/ms after a dead time of {fitted.dead_ms:.1f} ms")
