"""rig subject: the animals' record: add, weigh, show, water."""

import re
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from behavior.trials.task_settings import COHORTS
from rig.cli.numbers import number
from rig.cli.sessions.post_session import grams_in
from rig.cli.sessions.run import Data
from rig.errors import Refused
from rig.session.preflight import water_of_day
from rig.session.subjects import (
    Subject,
    Weighing,
    find,
    names,
    record,
    supplement_ml,
    underweight,
)
from rig.session.water_totals import WaterGiven, day_of, session_folders

subject = typer.Typer(
    help="Keep the animals' record: who they are, what they weigh, what they were given.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="Name of the animal.")]


@subject.command()
def add(
    name: Name,
    cohort: Annotated[str, typer.Option(help=f"Its cohort: {', '.join(COHORTS)}.")],
    stage: Annotated[str, typer.Option(help="Where it stands in its training.")],
    baseline_g: Annotated[
        float,
        typer.Option(parser=number(5.0, 100.0), help="Weight before any restriction, g."),
    ],
    restricted: Annotated[
        bool, typer.Option("--restricted/--free", help="Whether its water is restricted.")
    ],
    need_ml: Annotated[
        float, typer.Option(parser=number(0.0, 5.0), help="Water it must drink per day, ml.")
    ] = 1.0,
    data: Data = Path("data"),
) -> None:
    """Write an animal into the record. Its sessions then run on real devices only."""
    if not re.fullmatch(r"[A-Za-z0-9]+", name):
        raise Refused(f"subject {name!r}: use letters and digits only, as in VR2")
    if cohort not in COHORTS:
        raise Refused(
            f"--cohort {cohort}: there is no such cohort; there are: {', '.join(COHORTS)}"
        )
    with record(data) as open_record:
        open_record.add(Subject(name, cohort, stage, baseline_g, restricted, need_ml))
    Console().print(f"{name} is in the record of {data}")


@subject.command()
def weigh(
    name: Name,
    grams: Annotated[str, typer.Argument(metavar="GRAMS", help="Its weight now, as in 23.8.")],
    condition: Annotated[str, typer.Option(help="How it looks.")] = "",
    note: Annotated[str, typer.Option(help="Anything else.")] = "",
    after: Annotated[
        bool, typer.Option("--after", help="Taken after a session, with its water in it.")
    ] = False,
    data: Data = Path("data"),
) -> None:
    """Write today's weight down, and show what is due. Before its session an animal needs one."""
    try:
        weight = grams_in(grams)
    except ValueError as error:
        raise Refused(f"GRAMS: {error}") from None
    if not 5.0 <= weight <= 100.0:
        raise Refused(f"GRAMS {weight:g}: a mouse weighs from 5 to 100 g; type the weight again")
    _known(data, name)
    with record(data) as open_record:
        open_record.weigh(name, Weighing(date.today().isoformat(), weight, condition, note, after))
    show(name, data)


@subject.command()
def show(name: Name, data: Data = Path("data")) -> None:
    """Show an animal: its weight, its water today, the supplement due."""
    animal = _known(data, name)
    with record(data) as open_record:
        weights = open_record.weights(name)
        sessions = open_record.sessions(name)
    today = water_of_day(data, name, date.today())
    drunk_ul = sum(one.water_ul for one in today)
    table = Table(title=name, show_header=False)
    table.add_row("cohort, stage", f"{animal.cohort}, {animal.stage}")
    table.add_row("baseline", f"{animal.baseline_g:g} g")
    for last in weights[-1:]:
        share = last.grams / animal.baseline_g
        texts = ("after a session" * last.after, last.condition, last.note)
        rest = "".join(f", {text}" for text in texts if text)
        table.add_row("last weight", f"{last.day}: {last.grams:g} g ({share:.1%}){rest}")
    table.add_row("water", "restricted" if animal.restricted else "free")
    table.add_row("sessions", f"{len(sessions)}")
    table.add_row("water today", f"{drunk_ul:g} ul{_unknown(today)}")
    if animal.restricted:
        due_ml = supplement_ml(animal, drunk_ul)
        table.add_row("supplement due", f"{due_ml:.3f} ml of {animal.need_ml:g} ml a day")
    Console().print(table)
    if why := underweight(animal, weights, date.today()):
        Console().print(Text(why, "bold red"))


@subject.command()
def water(name: Name, data: Data = Path("data")) -> None:
    """Show every microlitre the animal was given, by day and session, from its logs."""
    folders = session_folders(data / f"sub-{name}")
    days = {day for folder in folders if (day := day_of(folder)) is not None}
    if find(data, name) is not None:
        with record(data) as open_record:
            days |= {date.fromisoformat(row.day) for row in open_record.sessions(name)}
    elif not folders:
        _known(data, name)
    if not days:
        Console().print(f"{name} has no session in {data}, and was given nothing by one")
        return
    table = Table("day", "session", "water")
    for day in sorted(days):
        sessions = water_of_day(data, name, day)
        for one in sessions:
            table.add_row("", one.folder.name, one.unreadable or f"{one.water_ul:g} ul")
        total = f"{sum(one.water_ul for one in sessions):g} ul{_unknown(sessions)}"
        table.add_row(f"{day}", "all", total, end_section=True)
    Console().print(table)


def _known(data: Path, name: str) -> Subject:
    animal = find(data, name)
    if animal is None:
        there = ", ".join(names(data)) or "nobody"
        raise Refused(
            f"there is no subject {name} in the record of {data}, which knows {there}; add it: "
            f"rig subject add {name} (with --help it says what it needs), or check --data"
        )
    return animal


def _unknown(sessions: list[WaterGiven]) -> str:
    lost = [one.folder.name for one in sessions if one.unreadable]
    return f", and what {', '.join(lost)} gave is not known" if lost else ""
