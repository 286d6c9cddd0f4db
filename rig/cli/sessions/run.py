"""rig run: one session, from settings to end table."""

import secrets
from pathlib import Path
from typing import Annotated

import msgspec
import typer

import rig
from rig.cli.numbers import number
from rig.cli.sessions.end_summary import end
from rig.cli.sessions.post_session import ask, at_a_terminal, water_due
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.session.launch import launch
from rig.session.live_page import Page
from rig.settings.config import ResolvedSession, resolve
from rig.settings.lab import default_data
from rig.settings.setting_errors import blamed_on
from rig.subjects.record import rehearsal

RECORDED_MOUSE = "behavior.animals:RecordedMouse"

Data = Annotated[
    Path,
    typer.Option(
        help="Data folder, with sub-NAME/ses-DATE_N [RIG_DATA, else `data` in "
        "~/.config/rig/rig.toml, else ~/rig-data].",
        default_factory=default_data,
        show_default=False,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(help="Random seed; default: a new one for each session.", min=0, max=2**63 - 1),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting; repeatable."),
]
Rehearse = Annotated[
    bool,
    typer.Option(
        "--rehearse",
        help="Practise on simulated devices, in DATA/rehearsal; nothing is entered in the record.",
    ),
]

Override = Annotated[
    str,
    typer.Option(metavar="REASON", help="Run although a check refuses; the reason is logged."),
]


def run(
    setup: Annotated[Path, typer.Argument(help="The rig: devices, screens, wiring (TOML).")],
    task: Annotated[Path, typer.Argument(help="What the animal experiences (TOML).")],
    subject: Annotated[str, typer.Option(help="Name of the animal: letters, digits, _ and -.")],
    data: Data,
    trials: Annotated[int | None, typer.Option(help="Stop after N trials.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            parser=number(0.0), help="Maximum session length, minutes; default: as in the task."
        ),
    ] = None,
    seed: Seed = None,
    mouse: Annotated[
        Path | None, typer.Option(help="A recorded mouse (csv.gz) in place of the simulated one.")
    ] = None,
    override: Override = "",
    rehearse: Rehearse = False,
    browser: Annotated[
        bool, typer.Option(help="Open the live page in a browser; its address is printed.")
    ] = True,
    page: Annotated[bool, typer.Option(help="Serve the live page.")] = True,
    sets: Sets = None,
) -> None:
    """Run one session.

    Keys: p pause or resume, w and Enter manual reward, n note, s stop after this trial, q stop now.

    Exit code 0: the session ended normally. 1: a failure ended it. 2: it was refused before
    anything moved.
    """
    package = Path(rig.__file__).parent
    _check_exists(setup, package / "setups")
    _check_exists(task, package.parent / "behavior" / "tasks")
    changes = []
    if mouse is not None:
        mouse_table = f"{{is='{RECORDED_MOUSE}', mouse_file={_toml_text(str(mouse.resolve()))}}}"
        changes.append(f"nodes.hardware.boards.bench.mouse={mouse_table}")
    changes += sets or []  # after the mouse, which they may change
    if trials is not None:
        changes.append(f"task.trials={trials}")
    if minutes is not None:
        changes.append(f"task.minutes={minutes}")
    shown = (Page.OPENED if browser else Page.SERVED) if page else Page.NONE
    run_session(setup, task, subject, seed, data, changes, override, rehearse, shown)


def _check_exists(path: Path, shipped: Path) -> None:
    if not path.exists():
        names = ", ".join(sorted(file.name for file in shipped.glob("*.toml")))
        raise Refused(f"there is no file {path}; check the path (in {shipped} there are: {names})")


def _toml_text(text: str) -> str:
    """Return a text as a TOML string: a JSON string is one, whatever quotes are in it."""
    return msgspec.json.encode(text).decode()


def run_session(
    setup: Path,
    task: Path,
    subject: str,
    seed: int | None,
    data: Path,
    changes: list[str],
    override: str = "",
    rehearse: bool = False,
    page: Page = Page.NONE,
) -> None:
    """Run a session and print its end table; exit with 1 if it failed."""
    console = new_console()
    data = data.absolute()
    drawn = secrets.randbelow(2**31) if seed is None else seed
    with blamed_on(changes):
        resolved = resolve(setup, task, subject, drawn, changes)
        if rehearse:
            data = rehearsal(data, subject)
            session = msgspec.structs.replace(resolved.session, rehearsal=True)
            resolved = ResolvedSession(session, resolved.files)
        console.print(f"data folder: {data}", soft_wrap=True)
        outcome = launch(resolved, data, console, override, page)
    end(outcome.folder, outcome.reason, console)
    if due := water_due(data, subject, outcome.booking):
        console.print(due, soft_wrap=True)
        if at_a_terminal():
            ask(subject, data, console)
    raise typer.Exit(1 if outcome.failed else 0)
