"""Enter data in the animals' record; commands and the panel follow the same rules.

Amounts are texts as they were typed. Every function raises Refused if an entry is not valid.
"""

import re
import time
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

import rig
from behavior.trials.task_settings import COHORTS
from rig.cli.numbers import number_in
from rig.errors import Refused
from rig.plain_text import is_plain
from rig.settings.config import check_subject_name
from rig.settings.lab import read_lab
from rig.settings.toml import read_toml
from rig.subjects.ledger import Ledger, Supplement
from rig.subjects.record import Subject, Weighing, find, names, open_record, rehearsal

WEIGHT_G = (5.0, 100.0)
NEED_ML = (0.0, 5.0)
SUPPLEMENT_ML = (0.001, 5.0)
SEXES = ("M", "F", "U", "O")
"""Male, female, unknown, other, as in NWB."""
MOST_TEXT = 200
"""Largest length of a condition, note, genotype or name of a person, characters."""
_PLAUSIBLE = (0.5, 1.5)
_FIRST_BIRTH = date(2000, 1, 1)
_EXPERIMENTER = re.compile(r"[^,]+, [^,]+")


def known(data: Path, name: str) -> Subject:
    """Return an animal of the record."""
    animal = find(data, name)
    if animal is None:
        there = ", ".join(names(data)) or "nobody"
        raise Refused(
            f"there is no subject {name} in the record of {data}, which contains {there}; add it: "
            f"rig subject add {name} (options: rig subject add --help), or check --data"
        )
    return animal


def day_data(data: Path, name: str, rehearse: bool) -> Path:
    """Return the data folder of a known animal; for a rehearsal it is another folder."""
    known(data, name)
    return rehearsal(data, name) if rehearse else data


def add(data: Path, subject: Subject) -> None:
    """Add an animal to the record."""
    check_subject_name(subject.name)
    _check(subject)
    with open_record(data) as record:
        record.add(subject)


def edit(data: Path, name: str, changes: dict[str, Any]) -> None:
    """Change some values of an animal in the record."""
    if not changes:
        raise Refused("nothing to change; name an option, for example --stage train2")
    changed = msgspec.structs.replace(known(data, name), **changes)
    if changes.keys() != {"retired"}:
        _check(changed)
    with open_record(data) as record:
        record.edit(changed)


def weigh(
    data: Path, name: str, grams: str, condition: str = "", note: str = "", after: bool = False
) -> Weighing:
    """Enter today's weight of an animal, g; `after` is True if it was weighed after a session."""
    weight_g = amount_in(grams, "g", "GRAMS", *WEIGHT_G)
    _check_texts({"condition": condition, "note": note})
    day = read_lab(data).day_of(time.time())
    weighing = Weighing(day.isoformat(), weight_g, condition, note, after)
    with open_record(data) as record:
        record.weigh(name, weighing)
    return weighing


def give(data: Path, name: str, ml: str, note: str = "") -> float:
    """Enter water that an animal was given by hand; return the amount, ml."""
    volume_ml = amount_in(ml, "ml", "ML", *SUPPLEMENT_ML)
    _check_texts({"note": note})
    with open_record(data) as record:
        Ledger(record).give(name, Supplement(time.time(), volume_ml * 1000, note))
    return volume_ml


def doubtful_weight(subject: Subject, grams: float) -> str:
    """Return why a weight is probably a mistake and must be confirmed; "" if it is plausible."""
    share = grams / subject.baseline_g
    if _PLAUSIBLE[0] <= share <= _PLAUSIBLE[1]:
        return ""
    return f"{grams:g} g is {share:.0%} of its baseline"


def amount_in(text: str, unit: str, name: str, low: float, high: float) -> float:
    """Return the amount in a typed text, with or without its unit."""
    try:
        value = number_in(text.lower().strip().removesuffix(unit))
    except ValueError as error:
        raise Refused(f"{name}: {error}") from None
    if not low <= value <= high:
        raise Refused(f"{name}: {value:g} is not from {low:g} to {high:g} {unit}; type it again")
    return value


def stages() -> dict[str, set[str]]:
    """Return the stages of the installed tasks, each with its cohorts."""
    found: dict[str, set[str]] = {}
    folder = Path(rig.__file__).parent.parent / "behavior" / "tasks"
    for path in sorted(folder.glob("*.toml")):
        task = read_toml(path)
        found.setdefault(str(task["stage"]), set()).update(task["cohorts"])
    return found


def _check(one: Subject) -> None:
    """Check the values in an animal's record."""
    _check_stage(one)
    for key, value, (low, high), unit in (
        ("--baseline-g", one.baseline_g, WEIGHT_G, "g"),
        ("--need-ml", one.need_ml, NEED_ML, "ml"),
    ):
        if not low <= value <= high:
            raise Refused(f"{key}: {value:g} is not from {low:g} to {high:g} {unit}; type it again")
    if one.sex and one.sex not in SEXES:
        raise Refused(f'--sex: "{one.sex}" is not one of {", ".join(SEXES)} (U: unknown, O: other)')
    if one.birth_date:
        _check_birth_date(one.birth_date)
    if one.experimenter and not _EXPERIMENTER.fullmatch(one.experimenter):
        raise Refused(
            f'--experimenter: "{one.experimenter}"; write family name, comma, given name, as in '
            '"Doe, Jane"'
        )
    facts = ("genotype", "project", "experimenter")
    _check_texts({f"--{name}": getattr(one, name) for name in facts})


def _check_birth_date(text: str) -> None:
    try:
        born = date.fromisoformat(text)
    except ValueError:
        raise Refused(
            f'--birth-date: "{text}" is not a date; write year, month and day, as in 2026-03-31'
        ) from None
    if not _FIRST_BIRTH <= born <= date.today():
        raise Refused(f"--birth-date: {born} is not between {_FIRST_BIRTH} and today; correct it")


def _check_stage(one: Subject) -> None:
    """Check an animal's cohort and stage against the installed tasks."""
    if one.cohort not in COHORTS:
        raise Refused(f'--cohort: "{one.cohort}" is not one of {", ".join(COHORTS)}')
    known_stages = stages()
    if one.stage not in known_stages:
        raise Refused(
            f'--stage: no task has stage "{one.stage}"; choose one of {", ".join(known_stages)}'
        )
    if one.cohort not in known_stages[one.stage]:
        fitting = ", ".join(stage for stage, fits in known_stages.items() if one.cohort in fits)
        raise Refused(
            f"--stage: {one.stage} is not for cohort {one.cohort}; choose one of {fitting}"
        )


def _check_texts(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        if len(text) > MOST_TEXT:
            raise Refused(f"{name}: {len(text)} characters; write at most {MOST_TEXT}")
        if not is_plain(text):
            raise Refused(f"{name}: it contains a character that cannot be printed; remove it")
