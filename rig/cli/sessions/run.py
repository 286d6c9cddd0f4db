"""rig run: one session, from settings to end table."""

import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import rig
from rig.cli.numbers import number
from rig.cli.sessions.end_summary import end
from rig.cli.sessions.post_session import ask, at_a_terminal
from rig.errors import Refused
from rig.session.launch import launch
from rig.session.preflight import book
from rig.settings.config import resolve
from rig.settings.setting_errors import blamed_on

RECORDED_MOUSE = "behavior.animals:RecordedMouse"

Data = Annotated[Path, typer.Option(help="Folder in which sub-NAME/ses-DATE_N is made.")]
Seed = Annotated[int | None, typer.Option(help="Seed of all that is drawn; else a new one.", min=0)]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting; repeatable."),
]

Override = Annotated[
    str,
    typer.Option(metavar="REASON", help="Run in spite of what speaks against it; logged."),
]


def run(
    setup: Annotated[Path, typer.Argument(help="What is bolted down, e.g. simulated.toml.")],
    task: Annotated[Path, typer.Argument(help="What the animal experiences, e.g. train1.toml.")],
    subject: Annotated[str, typer.Option(help="Name of the animal: letters and digits.")],
    trials: Annotated[int | None, typer.Option(help="End after so many trials.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(parser=number(0.0), help="Maximum session length, minutes [from the task]."),
    ] = None,
    seed: Seed = None,
    data: Data = Path("data"),
    mouse: Annotated[
        Path | None, typer.Option(help="A recorded mouse (csv.gz) in place of the simulated one.")
    ] = None,
    override: Override = "",
    sets: Sets = None,
) -> None:
    """Run one session.

    Keys: p pause or resume, w and Enter water by hand, n note, s stop after this trial, q stop now.

    Exit code 0: the session came to its end. 1: something failed and ended it. 2: it was refused
    before anything moved.
    """
    package = Path(rig.__file__).parent
    _must_be_there(setup, package / "setups")
    _must_be_there(task, package.parent / "behavior" / "tasks")
    changes = []
    if mouse is not None:
        path = str(mouse.resolve())
        changes.append(
            f"nodes.hardware.boards.bench.mouse={{is='{RECORDED_MOUSE}', mouse_file='{path}'}}"
        )
    changes += sets or []  # after the mouse, which they may change
    if trials is not None:
        changes.append(f"task.trials={trials}")
    if minutes is not None:
        changes.append(f"task.minutes={minutes}")
    run_session(setup, task, subject, seed, data, changes, override)


def _must_be_there(path: Path, shipped: Path) -> None:
    if not path.exists():
        names = ", ".join(sorted(file.name for file in shipped.glob("*.toml")))
        raise Refused(f"there is no file {path}; check the path (in {shipped} there are: {names})")


def run_session(
    setup: Path,
    task: Path,
    subject: str,
    seed: int | None,
    data: Path,
    changes: list[str],
    override: str = "",
) -> None:
    """Run a session and print its end table; exit with 1 if it failed."""
    console = Console()
    drawn = secrets.randbelow(2**31) if seed is None else seed
    with blamed_on(changes):
        outcome = launch(resolve(setup, task, subject, drawn, changes), data, console, override)
    end(outcome.folder, outcome.reason, console)
    if due := book(outcome.folder, outcome.reason):
        console.print(due, soft_wrap=True)
        if at_a_terminal():
            ask(subject, data, console)
    raise typer.Exit(1 if outcome.failed else 0)
