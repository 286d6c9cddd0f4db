"""rig subject: keep the record of the animals: their data, weights and water."""

import time
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from behavior.trials.task_settings import COHORTS
from rig.cli import record_entries as entries
from rig.cli.numbers import number
from rig.cli.record_entries import NEED_ML, SEXES, WEIGHT_G, day_data, known
from rig.cli.sessions.run import Data, Rehearse
from rig.cli.terminal import new_console
from rig.settings.config import check_subject_name
from rig.settings.lab import read_lab
from rig.subjects.booking import DayWater, days_of_water, session_folders, subject_folder
from rig.subjects.booking import water_of_day as water_on
from rig.subjects.ledger import Ledger
from rig.subjects.record import (
    Subject,
    Weighing,
    find,
    has_record,
    open_record,
    rehearsal,
)
from rig.subjects.welfare import supplement_ml, underweight

subject = typer.Typer(
    help="Keep the animals' record: who they are, what they weigh, what they were given.",
    no_args_is_help=True,
)
_FACTS = ("birth_date", "sex", "genotype", "project", "experimenter")


def _checked(name: str) -> str:
    check_subject_name(name)
    return name


Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the animal.", callback=_checked)]
Note = Annotated[str, typer.Option(help="A note, kept with this entry.")]
BirthDate = Annotated[str | None, typer.Option(help="Birth date, YYYY-MM-DD.")]
Sex = Annotated[str | None, typer.Option(help=f"{', '.join(SEXES)} (U: unknown, O: other).")]
Genotype = Annotated[str | None, typer.Option(help="Its genotype.")]
Project = Annotated[str | None, typer.Option(help="The project it belongs to.")]
Experimenter = Annotated[str | None, typer.Option(help='Experimenter, such as "Doe, Jane".')]


@subject.command()
def add(
    name: Name,
    cohort: Annotated[str, typer.Option(help=f"Its cohort: {', '.join(COHORTS)}.")],
    stage: Annotated[str, typer.Option(help="Its stage of training, such as train1.")],
    baseline_g: Annotated[
        float, typer.Option(parser=number(*WEIGHT_G), help="Weight before any restriction, g.")
    ],
    restricted: Annotated[
        bool, typer.Option("--restricted/--free", help="Whether its water is restricted.")
    ],
    data: Data,
    need_ml: Annotated[
        float, typer.Option(parser=number(*NEED_ML), help="Water it must drink per day, ml.")
    ] = 1.0,
    birth_date: BirthDate = None,
    sex: Sex = None,
    genotype: Genotype = None,
    project: Project = None,
    experimenter: Experimenter = None,
) -> None:
    """Add an animal to the record. Its sessions then run on real devices only."""
    facts = _facts(birth_date, sex, genotype, project, experimenter)
    added = Subject(name, cohort, stage, baseline_g, restricted, need_ml)
    entries.add(data, msgspec.structs.replace(added, **facts))
    new_console().print(f"added {name} to the record of {data}")


@subject.command()
def edit(
    name: Name,
    data: Data,
    cohort: Annotated[str | None, typer.Option(help=f"One of {', '.join(COHORTS)}.")] = None,
    stage: Annotated[str | None, typer.Option(help="Its stage of training.")] = None,
    baseline_g: Annotated[
        float | None, typer.Option(parser=number(*WEIGHT_G), help="Baseline weight, g.")
    ] = None,
    restricted: Annotated[
        bool | None, typer.Option("--restricted/--free", help="Whether its water is restricted.")
    ] = None,
    need_ml: Annotated[
        float | None, typer.Option(parser=number(*NEED_ML), help="Water per day, ml.")
    ] = None,
    active: Annotated[
        bool | None, typer.Option("--active", help="Mark a retired animal as active again.")
    ] = None,
    birth_date: BirthDate = None,
    sex: Sex = None,
    genotype: Genotype = None,
    project: Project = None,
    experimenter: Experimenter = None,
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
    given |= _facts(birth_date, sex, genotype, project, experimenter)
    entries.edit(data, name, given)
    show(name, data)


@subject.command()
def retire(name: Name, data: Data) -> None:
    """Mark an animal as retired: it runs no more sessions, and its record stays."""
    entries.edit(data, name, {"retired": True})
    new_console().print(f"{name} is retired; to take it back: rig subject edit {name} --active")


@subject.command(name="list")
def list_(data: Data) -> None:
    """List the animals of the record."""
    table = Table("name", "cohort", "stage", "baseline", "water", "last weight")
    if not has_record(data):
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
    condition: Annotated[str, typer.Option(help="How the animal looks.")] = "",
    note: Note = "",
    after: Annotated[
        bool, typer.Option("--after", help="Weighed after a session, so its water is included.")
    ] = False,
    rehearse: Rehearse = False,
) -> None:
    """Enter today's weight, and show what is due. A restricted animal needs one to run."""
    data = day_data(data, name, rehearse)
    entries.weigh(data, name, grams, condition, note, after)
    show(name, data)


@subject.command()
def give(
    name: Name,
    ml: Annotated[str, typer.Argument(metavar="ML", help="Amount of water, ml, e.g. 0.75.")],
    data: Data,
    note: Note = "",
    rehearse: Rehearse = False,
) -> None:
    """Enter water that an animal was given by hand, outside a session."""
    data = day_data(data, name, rehearse)
    entries.give(data, name, ml, note)
    show(name, data)


@subject.command()
def show(name: Name, data: Data, rehearse: Rehearse = False) -> None:
    """Show an animal: its weight, its water today, the supplement due."""
    data = day_data(data, name, rehearse)
    animal = known(data, name)
    today = water_on(data, name)
    with open_record(data) as record:
        weights, sessions = record.weights(name), Ledger(record).sessions(name)
    table = Table(title=name, show_header=False)
    table.add_row(
        "cohort, stage", f"{animal.cohort}, {animal.stage}{' (retired)' * animal.retired}"
    )
    for key in _FACTS:
        if value := getattr(animal, key):
            table.add_row(key.replace("_", " "), value)
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
    data = day_data(data, name, rehearse)
    animal = known(data, name)
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
        known(data, name)
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


def _facts(*values: str | None) -> dict[str, str]:
    """Return the facts of an animal that were given as options."""
    given = zip(_FACTS, values, strict=True)
    return {name: value.strip() for name, value in given if value is not None}


def _weight_text(weighing: Weighing, animal: Subject) -> str:
    share = weighing.grams / animal.baseline_g
    texts = ("after a session" * weighing.after, weighing.condition, weighing.note)
    rest = "".join(f", {text}" for text in texts if text)
    return f"{weighing.day}: {weighing.grams:g} g ({share:.1%}){rest}"


def _remarks(water_: DayWater) -> list[str]:
    unreadable = [f"{one.folder} cannot be read: {one.why}" for one in water_.unreadable]
    left_open = [f"{f} was never closed; run: rig recover {f}" for f in water_.open_folders]
    return [*water_.remarks, *left_open, *unreadable]
