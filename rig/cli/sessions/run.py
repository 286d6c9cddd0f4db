"""rig run: run one session, from the settings to the end table."""

import secrets
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer

import rig
from rig.cli.numbers import number, whole_number
from rig.cli.sessions.end_summary import end
from rig.cli.sessions.post_session import ask, at_a_terminal, water_due
from rig.cli.sessions.session_argument import data_of, session_in
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.session.continuation import check_version, continued
from rig.session.launch import Outcome, launch
from rig.session.live_page import Page
from rig.settings.config import ResolvedSession, resolve
from rig.settings.lab import default_data
from rig.settings.setting_errors import blamed_on
from rig.subjects.record import rehearsal
from rig.subjects.session_identity import session_of

RECORDED_MOUSE = "behavior.animals:RecordedMouse"

Data = Annotated[
    Path,
    typer.Option(
        help="Data folder, with sub-NAME/ses-DATE_N; default: RIG_DATA, or `data` in "
        "~/.config/rig/rig.toml, or ~/rig-data.",
        default_factory=default_data,
        show_default=False,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        parser=whole_number(0, 2**63 - 1), help="Random seed; default: a new one for each session."
    ),
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
    typer.Option(metavar="REASON", help="Run even though a check refuses; the reason is logged."),
]


def run(
    data: Data,
    setup: Annotated[
        Path | None,
        typer.Argument(metavar="SETUP", help="The rig: devices, screens, wiring (TOML)."),
    ] = None,
    task: Annotated[
        Path | None, typer.Argument(metavar="TASK", help="What the animal experiences (TOML).")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Name of the animal: letters, digits, _ and -.")
    ] = None,
    interrupted: Annotated[
        Path | None,
        typer.Option(
            "--continue",
            metavar="SESSION_DIR",
            help="Continue this interrupted session of today, with its own setup and task.",
        ),
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Stop after N trials.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            parser=number(0.0), help="Maximum session length, minutes; default: that of the task."
        ),
    ] = None,
    seed: Seed = None,
    mouse: Annotated[
        Path | None, typer.Option(help="A recorded mouse (csv.gz) in place of the simulated one.")
    ] = None,
    override: Override = "",
    rehearse: Rehearse = False,
    no_browser: Annotated[
        bool,
        typer.Option("--no-browser", help="Print the live page's address; do not open a browser."),
    ] = False,
    no_page: Annotated[bool, typer.Option("--no-page", help="Serve no live page.")] = False,
    sets: Sets = None,
) -> None:
    """Run one session.

    Keys: p pause or resume, w and Enter manual reward, n note, s stop after this trial, q stop now.

    Exit code: 0 ended normally, 1 ended by a failure, 2 refused before anything moved.
    """
    shown = Page.NONE if no_page else Page.SERVED if no_browser else Page.OPENED
    if interrupted is not None:
        given = (setup, task, subject, trials, minutes, seed, mouse)
        if rehearse or any(value is not None for value in given):
            raise Refused(
                "--continue takes setup, task, animal and seed from the session; give only its "
                "folder, and --override, --set nodes... or --set rig... where needed"
            )
        continue_session(interrupted, sets or [], override, shown)
    if setup is None or task is None or subject is None:
        raise Refused("name a setup, a task and --subject, or --continue SESSION_DIR")
    changes = _changes(mouse, sets or [], trials, minutes)
    run_session(setup, task, subject, seed, data, changes, override, rehearse, shown)


def _changes(
    mouse: Path | None, sets: list[str], trials: int | None, minutes: float | None
) -> list[str]:
    """Return the changes that the options mean, as `--set` texts."""
    changes = []
    if mouse is not None:
        mouse_table = f"{{is='{RECORDED_MOUSE}', mouse_file={_toml_text(str(mouse.resolve()))}}}"
        changes.append(f"nodes.hardware.boards.bench.mouse={mouse_table}")
    changes += sets  # last, because they may change the mouse
    if trials is not None:
        changes.append(f"task.trials={trials}")
    if minutes is not None:
        changes.append(f"task.minutes={minutes}")
    return changes


def _check_exists(path: Path, shipped: Path) -> None:
    if not path.exists():
        names = ", ".join(sorted(file.name for file in shipped.glob("*.toml")))
        raise Refused(f"there is no file {path}; check the path (in {shipped} there are: {names})")


def _toml_text(text: str) -> str:
    """Return a text as a TOML string; every JSON string is one."""
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
    package = Path(rig.__file__).parent
    _check_exists(setup, package / "setups")
    _check_exists(task, package.parent / "behavior" / "tasks")
    data = data.absolute()
    drawn = secrets.randbelow(2**31) if seed is None else seed
    with blamed_on(changes):
        resolved, data = resolve_day(setup, task, subject, drawn, data, changes, rehearse)
        outcome = _launched(resolved, data, override, page)
    _finish(outcome, data, subject)


def continue_session(folder: Path, sets: list[str], override: str, page: Page) -> None:
    """Run the next part of an interrupted session; exit with 1 if it failed."""
    folder = session_in(folder)
    check_version(folder)
    subject = session_of(folder).subject
    data = data_of(folder, session_of(folder))
    with blamed_on(sets):
        resolved = continued(folder, data, sets)
        point = resolved.session.task["resume"]
        console = new_console()
        console.print(f"continuing {folder.name} at trial {point['trial']}", soft_wrap=True)
        console.print(f"{subject} was given {point['given_ul']:g} ul at most in it so far")
        outcome = _launched(resolved, data, override, page)
    _finish(outcome, data, subject)


def _launched(resolved: ResolvedSession, data: Path, override: str, page: Page) -> Outcome:
    console = new_console()
    console.print(f"data folder: {data}", soft_wrap=True)
    return launch(resolved, data, console, override, page)


def _finish(outcome: Outcome, data: Path, subject: str) -> NoReturn:
    """Print the end table, and ask for the weight; exit with 1 if the session failed."""
    console = new_console()
    end(outcome.folder, outcome.reason, console)
    if due := water_due(data, subject, outcome.booking):
        console.print(due, soft_wrap=True)
        if at_a_terminal():
            ask(subject, data, console)
    raise typer.Exit(1 if outcome.failed else 0)


def resolve_day(
    setup: Path,
    task: Path,
    subject: str,
    seed: int,
    data: Path,
    changes: list[str],
    rehearse: bool,
) -> tuple[ResolvedSession, Path]:
    """Return the resolved session and its data folder; a rehearsal has another data folder."""
    resolved = resolve(setup, task, subject, seed, changes)
    if not rehearse:
        return resolved, data
    session = msgspec.structs.replace(resolved.session, rehearsal=True)
    return ResolvedSession(session, resolved.files), rehearsal(data, subject)
