"""rig check: walk through what is bolted down, and keep with the rig what passed and failed."""

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
from rig.cli.bringup.setup_argument import NoAnimal, no_animal, setup_session
from rig.errors import Refused

_PATTERN_S = 10.0


class _OrAll(typer.core.TyperGroup):
    """A group in which `rig check SETUP`, with no part named, is `rig check devices SETUP`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = args and (args[0] in self.commands or args[0].startswith("-"))
        return super().resolve_command(ctx, args if known else ["devices", *args])


check = typer.Typer(
    help="Walk through what is bolted down: rig check SETUP, or one part of it.",
    no_args_is_help=True,
    cls=_OrAll,
)
check.command()(screens)


@check.command()
def devices(
    setup: Annotated[Path, typer.Argument(help="What is bolted down.")],
    loopback: Annotated[
        bool, typer.Option("--loopback", help="The valve's line is wired to the lick line.")
    ] = False,
    yes: NoAnimal = False,
) -> None:
    """Try wheel, licks, valves, lines, cameras, outputs, screens. Exit code 1: something failed."""
    session = setup_session(setup)
    console = Console()
    if session.nodes["hardware"].get("valve"):
        no_animal("the rig, and a dish under every spout", yes)
    with open_devices(session) as control:
        results = list(loop_back(control) if loopback else walk(control, console))
        said = control.warnings
    _tell(results, session.rig.name, said, console)
    kept = _keep(setup, session.rig.name, results)  # also if there is no answer any more
    if "display" in session.nodes and not loopback:
        results.append(_screens(setup))
        _tell(results[-1:], session.rig.name, [], console)
        kept = _keep(setup, session.rig.name, results)
    console.print(f"kept in {kept}")
    raise typer.Exit(1 if any(one.verdict == "fail" for one in results) else 0)


def _tell(results: list[Result], rig: str, said: list[str], console: Console) -> None:
    table = Table("", "what", "found", title=f"rig {rig}")
    for one in results:
        style = {"pass": "green", "fail": "bold red", "skipped": "yellow"}[one.verdict]
        table.add_row(Text(one.verdict, style), one.what, one.found)
    console.print(table)
    for sentence in said:
        console.print(Text(sentence, "yellow"))


def _screens(setup: Path) -> Result:
    if not typer.confirm(f"Show the screens' pattern for {_PATTERN_S:g} s now?"):
        return Result("screens", "skipped", "later: rig check screens SETUP")
    try:
        screens(setup, _PATTERN_S)
    except Refused as refused:
        return Result("screens", "fail", str(refused))
    good = typer.confirm("Is the horizon level, no line broken at a seam, the patch at its diode?")
    return Result("screens", "pass" if good else "fail", "seen by the person at the rig")


def _keep(setup: Path, rig: str, results: list[Result]) -> Path:
    """Write the results beside the setup, in place of those before."""
    path = setup.with_name(f"{setup.stem}.checked.toml")
    rows: dict[str, Any] = {one.what: f"{one.verdict}: {one.found}" for one in results}
    at = datetime.now().astimezone().isoformat(timespec="seconds")
    path.write_text(tomli_w.dumps({"rig": rig, "checked": at, "results": rows}))
    return path
