"""rig check: test the devices and screens of a rig with the help of a person; save the results."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import tomli_w
import typer
import typer.core
from rich.console import Console
from rich.table import Table
from rich.text import Text

from behavior.manual.manual_control import open_devices
from rig.cli.bringup.check_screens import screens
from rig.cli.bringup.device_walkthrough import Result, loop_back, walk
from rig.cli.bringup.setup_argument import NoAnimal, SetupFile, no_animal, setup_session
from rig.cli.terminal import new_console
from rig.errors import Refused

_PATTERN_S = 10.0


class _OrAll(typer.core.TyperGroup):
    """A group in which `rig check SETUP` means `rig check devices SETUP`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = args and (args[0] in self.commands or args[0].startswith("-"))
        return super().resolve_command(ctx, args if known else ["devices", *args])


check = typer.Typer(
    help="Try the devices and screens of a rig: rig check SETUP.",
    no_args_is_help=True,
    cls=_OrAll,
)
check.command()(screens)


@check.command()
def devices(
    setup: SetupFile,
    loopback: Annotated[
        bool,
        typer.Option(
            "--loopback",
            help="Only measure the delay of the valve line, wired back to the lick line.",
        ),
    ] = False,
    yes: NoAnimal = False,
) -> None:
    """Try wheel, licks, valves, lines, cameras, outputs and screens, one after the other.

    Exit code 1: something failed.
    """
    session = setup_session(setup)
    console = new_console()
    if session.nodes["hardware"].get("valve"):
        no_animal("the rig, and a dish under every spout", yes)
    with open_devices(session) as control:
        results = list(loop_back(control) if loopback else walk(control, console))
        warnings = control.warnings
    _print(results, session.rig.name, warnings, console)
    kept = _keep(setup, session.rig.name, results)  # saved before the next question is asked
    if "display" in session.nodes and not loopback:
        results.append(_screens(setup))
        _print(results[-1:], session.rig.name, [], console)
        kept = _keep(setup, session.rig.name, results)
    console.print(f"results saved in {kept}")
    raise typer.Exit(1 if any(one.verdict == "fail" for one in results) else 0)


def _print(results: list[Result], rig: str, warnings: list[str], console: Console) -> None:
    table = Table("", "device", "result", title=f"rig {rig}")
    for one in results:
        style = {"pass": "green", "fail": "bold red", "skipped": "yellow"}[one.verdict]
        table.add_row(Text(one.verdict, style), one.what, one.found)
    console.print(table)
    for sentence in warnings:
        console.print(Text(sentence, "yellow"))


def _screens(setup: Path) -> Result:
    if not typer.confirm(f"Show the calibration pattern for {_PATTERN_S:g} s now?"):
        return Result("screens", "skipped", "run it later: rig check screens SETUP")
    try:
        screens(setup, _PATTERN_S)
    except Refused as refused:
        return Result("screens", "fail", str(refused))
    good = typer.confirm("Level horizon, unbroken lines at the seams, patch at its photodiode?")
    return Result("screens", "pass" if good else "fail", "confirmed by the operator")


def _keep(setup: Path, rig: str, results: list[Result]) -> Path:
    """Write the results beside the setup, in place of older results."""
    path = setup.with_name(f"{setup.stem}.checked.toml")
    rows: dict[str, Any] = {one.what: f"{one.verdict}: {one.found}" for one in results}
    at = datetime.now().astimezone().isoformat(timespec="seconds")
    path.write_text(tomli_w.dumps({"rig": rig, "checked": at, "results": rows}))
    return path
