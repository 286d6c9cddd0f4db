"""rig subject: the animals' record: who they are, what they weigh, what they were given."""

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

import rig
from behavior.trials.task_settings import COHORTS
from rig.cli.numbers import number, number_in
from rig.cli.sessions.run import Data, Rehearse
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.settings.config import check_subject_name
from rig.settings.lab import read_lab
from rig.settings.toml import read_toml
from rig.subjects.booking import DayWater, days_of_water, session_folders, subject_folder
from rig.subjects.booking import water_of_day as water_on
from rig.subjects.ledger import Ledger, Supplement
from rig.subjects.record import (
    RECORD_FILE,
    Subject,
    Weighing,
    find,
    names,
    open_record,
    rehearsal,
)
from rig.subjects.welfare import supplement_ml, underweight

subject = typer.Typer(
    help="Keep the animals' record: who they are, what they weigh, what they were given.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="Name of the animal.")]
Note = Annotated[str, typer.Option(help="Anything else.")]
_WEIGHT_G = (5.0, 100.0)
_NEED_ML = (0.0, 5.0)
_SUPPLEMENT_ML = (0.001, 5.0)


@subject.command()
def add(
    name: Name,
    cohort: Annotated[str, typer.Option(help=f"Its cohort: {', '.join(COHORTS)}.")],
    stage: Annotated[str, typer.Option(help="Its stage of training, such as train1.")],
    baseline_g: Annotated[
        float, typer.Option(parser=number(*_WEIGHT_G), help="Weight before any restriction, g.")
    ],
    restricted: Annotated[
        bool, typer.Option("--restricted/--free", help="Whether its water is restricted.")
    ],
    data: Data,
    need_ml: Annotated[
        float, typer.Option(parser=number(*_NEED_ML), help="Water it must drink per day, ml.")
    ] = 1.0,
) -> None:
    """Add an animal to the record. Its sessions then run on real devices only."""
    check_subject_name(name)
    added = Subject(name, cohort, stage, baseline_g, restricted, need_ml)
    _check_stage(added)
    with open_record(data) as record:
        record.add(added)
    new_console().print(f"added {name} to the record of {data}")


@subject.command()
def edit(
    name: Name,
    data: Data,
    cohort: Annotated[str | None, typer.Option(help=f"One of {', '.join(COHORTS)}.")] = None,
    stage: Annotated[str | None, typer.Option(help="Its stage of training.")] = None,
    baseline_g: Annotated[
        float | None, typer.Option(parser=number(*_WEIGHT_G), help="Baseline weight, g.")
    ] = None,
    restricted: Annotated[
        bool | None, typer.Option("--restricted/--free", help="Whether its water is restricted.")
    ] = None,
    need_ml: Annotated[
        float | None, typer.Option(parser=number(*_NEED_ML), help="Water per day, ml.")
    ] = None,
    active: Annotated[
        bool | None, typer.Option("--active", help="Take it back from retirement.")
    ] = None,
) -> None:
    """Change the record of an animal; values that are omitted stay as they are."""
    changes = {
        "cohort": cohort,
        "stage": stage,
        "baseline_g": baseline_g,
        "restricted": restricted,
        "need_ml": need_ml,
        "retired": None if active is None else not active,
    }
    given = {key: value for key, value in changes.items() if value is not None}
    if not given:
        raise Refused("nothing to change; name an option, for example --stage train2")
    changed = msgspec.structs.replace(_known(data, name), **given)
    if stage is not None or cohort is not None:
        _check_stage(changed)
    with open_record(data) as record:
        record.edit(changed)
    show(name, data)


@subject.command()
def retire(name: Name, data: Data) -> None:
    """Mark an animal as retired: it runs no more sessions, and its record stays."""
    retired = msgspec.structs.replace(_known(data, name), retired=True)
    with open_record(data) as record:
        record.edit(retired)
    new_console().print(f"{name} is retired; to take it back: rig subject edit {name} --active")


@subject.command(name="list")
def list_(data: Data) -> None:
    """List the animals of the record."""
    table = Table("name", "cohort", "stage", "baseline", "water", "last weight")
    if not (data / RECORD_FILE).exists():
        new_console().print(f"there is no record in {data}; add an animal: rig subject add")
        return
    with open_record(data) as record:
        for one in record.subjects():
            weights = record.weights(one.name)
            last = f"{weights[-1].day}: {weights[-1].grams:g} g" if weights else "-"
            water_ = "restricted" if one.restricted else "free"
            state = " (retired)" * one.retired
            baseline = f"{one.baseline_g:g} g"
            table.add_row(f"{one.name}{state}", one.cohort, one.stage, baseline, water_, last)
    new_console().print(table)


@subject.command()
def weigh(
    name: Name,
    grams: Annotated[str, typer.Argument(metavar="GRAMS", help="Its weight now, e.g. 23.8.")],
    data: Data,
    condition: Annotated[str, typer.Option(help="How it looks.")] = "",
    note: Note = "",
    after: Annotated[
        bool, typer.Option("--after", help="Measured after a session, with its water in it.")
    ] = False,
    rehearse: Rehearse = False,
) -> None:
    """Enter today's weight, and show what is due. A restricted animal needs one to run."""
    weight = _amount(grams, "g", "GRAMS", *_WEIGHT_G)
    data = _practice(data, name, rehearse)
    day = read_lab(data).day_of(time.time())
    with open_record(data) as record:
        record.weigh(name, Weighing(day.isoformat(), weight, condition, note, after))
    show(name, data)


@subject.command()
def give(
    name: Name,
    ml: Annotated[str, typer.Argument(metavar="ML", help="What it was given, ml, e.g. 0.75.")],
    data: Data,
    note: Note = "",
    rehearse: Rehearse = False,
) -> None:
    """Enter water that an animal was given by hand, outside a session."""
    volume_ml = _amount(ml, "ml", "ML", *_SUPPLEMENT_ML)
    data = _practice(data, name, rehearse)
    with open_record(data) as record:
        Ledger(record).give(name, Supplement(time.time(), volume_ml * 1000, note))
    show(name, data)


@subject.command()
def show(name: Name, data: Data, rehearse: Rehearse = False) -> None:
    """Show an animal: its weight, its water today, the supplement due."""
    data = _practice(data, name, rehearse)
    animal = _known(data, name)
    today = water_on(data, name)
    with open_record(data) as record:
        weights, sessions = record.weights(name), Ledger(record).sessions(name)
    table = Table(title=name, show_header=False)
    table.add_row(
        "cohort, stage", f"{animal.cohort}, {animal.stage}{' (retired)' * animal.retired}"
    )
    table.add_row("baseline", f"{animal.baseline_g:g} g")
    for last in weights[-1:]:
        table.add_row("last weight", _weight_text(last, animal))
    table.add_row("water", "restricted" if animal.restricted else "free")
    table.add_row("sessions", f"{len(sessions)}")
    table.add_row("water today", today.text)
    if animal.restricted:
        due_ml = supplement_ml(animal, today.at_least_ul)
        table.add_row("supplement due", f"{due_ml:.3f} ml of {animal.need_ml:g} ml a day")
    console = new_console()
    console.print(table)
    why = underweight(animal, weights, read_lab(data).day_of(time.time()))
    for text in (*_remarks(today), *([why] if why else [])):
        console.print(text, style="bold red", soft_wrap=True)


@subject.command()
def weights(name: Name, data: Data, rehearse: Rehearse = False) -> None:
    """Show every weight of an animal, with condition and notes."""
    data = _practice(data, name, rehearse)
    animal = _known(data, name)
    table = Table("day", "weight", "of baseline", "", "condition", "note", title=name)
    today = read_lab(data).day_of(time.time()).isoformat()
    with open_record(data) as record:
        for one in record.weights(name):
            share = f"{one.grams / animal.baseline_g:.1%}"
            when = "after a session" * one.after + " in the future!" * (one.day > today)
            table.add_row(one.day, f"{one.grams:g} g", share, when, one.condition, one.note)
    new_console().print(table)


@subject.command()
def water(name: Name, data: Data, rehearse: Rehearse = False) -> None:
    """Show all water that an animal was given, by day, session and task."""
    if rehearse:
        data = rehearsal(data, name)
    days = days_of_water(data, name)
    if find(data, name) is None and not days and not session_folders(subject_folder(data, name)):
        _known(data, name)
    console = new_console()
    if not days:
        console.print(f"{name} has no session in {data} and was given nothing")
    table = Table("day", "session", "task", "water")
    for day in days:
        one_day = water_on(data, name, day)
        for one in one_day.entries:
            still_open = " (never closed)" * one.open
            table.add_row("", one.source, one.task, f"{one.text}{still_open}")
        table.add_row(f"{day}", "all", "", one_day.text, end_section=True)
    if days:
        console.print(table)
    for text in _remarks(water_on(data, name)):
        console.print(text, style="bold red", soft_wrap=True)


def _practice(data: Path, name: str, rehearse: bool) -> Path:
    """Return the data folder of a command on a known animal. Raises Refused."""
    _known(data, name)
    return rehearsal(data, name) if rehearse else data


def _known(data: Path, name: str) -> Subject:
    animal = find(data, name)
    if animal is None:
        there = ", ".join(names(data)) or "nobody"
        raise Refused(
            f"there is no subject {name} in the record of {data}, which knows {there}; add it: "
            f"rig subject add {name} (options: rig subject add --help), or check --data"
        )
    return animal


def _weight_text(weighing: Weighing, animal: Subject) -> str:
    share = weighing.grams / animal.baseline_g
    texts = ("after a session" * weighing.after, weighing.condition, weighing.note)
    rest = "".join(f", {text}" for text in texts if text)
    return f"{weighing.day}: {weighing.grams:g} g ({share:.1%}){rest}"


def _remarks(water_: DayWater) -> list[str]:
    unreadable = [f"{one.folder} cannot be read: {one.why}" for one in water_.unreadable]
    left_open = [f"{f} was never closed; run: rig recover {f}" for f in water_.open_folders]
    return [*water_.remarks, *left_open, *unreadable]


def _check_stage(one: Subject) -> None:
    """Check an animal's cohort and stage against the installed tasks. Raises Refused."""
    if one.cohort not in COHORTS:
        raise Refused(f'--cohort: "{one.cohort}" is not one of {", ".join(COHORTS)}')
    stages = _stages()
    if one.stage not in stages:
        raise Refused(
            f'--stage: no task has stage "{one.stage}"; choose one of {", ".join(stages)}'
        )
    if one.cohort not in stages[one.stage]:
        fitting = ", ".join(stage for stage, cohorts in stages.items() if one.cohort in cohorts)
        raise Refused(
            f"--stage: {one.stage} is not for cohort {one.cohort}; choose one of {fitting}"
        )


def _stages() -> dict[str, set[str]]:
    """Return the stages of the tasks that are installed, each with the cohorts it is for."""
    stages: dict[str, set[str]] = {}
    folder = Path(rig.__file__).parent.parent / "behavior" / "tasks"
    for path in sorted(folder.glob("*.toml")):
        task = read_toml(path)
        stages.setdefault(str(task["stage"]), set()).update(task["cohorts"])
    return stages


def _amount(text: str, unit: str, name: str, low: float, high: float) -> float:
    """Return an amount as people type it, with or without its unit. Raises Refused."""
    try:
        value = number_in(text.lower().strip().removesuffix(unit))
    except ValueError as error:
        raise Refused(f"{name}: {error}") from None
    if not low <= value <= high:
        raise Refused(f"{name}: {value:g} is not from {low:g} to {high:g} {unit}; type it again")
    return value
