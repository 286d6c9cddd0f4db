"""Check if a session may begin: the animal, its weight, its water today, its open sessions.

The animal's devices are those of [nodes.hardware]; each class declares whether it is simulated.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from rig.errors import Refused
from rig.plain_text import as_plain
from rig.settings.config import SessionSettings
from rig.settings.device_factory import HARDWARE, animal_devices, is_simulated
from rig.settings.lab import read_lab
from rig.subjects.booking import DayWater, clock_behind_s, water_of_day
from rig.subjects.ledger import CLOCK_MAY_DIFFER_S
from rig.subjects.record import RECORD_FILE, Subject, find, open_record
from rig.subjects.welfare import underweight


def with_recorded_cohort(session: SessionSettings, data: Path, console: Console) -> SessionSettings:
    """Return the session with the cohort of the animal's record, if there is one."""
    subject = find(data, session.subject)
    if subject is None or session.task.get("cohort") == subject.cohort:
        return session
    console.print(Text(f"{subject.name} is of cohort {subject.cohort}, by its record"))
    return msgspec.structs.replace(session, task={**session.task, "cohort": subject.cohort})


class Objection(msgspec.Struct, frozen=True):
    """Why a session may not begin now."""

    text: str
    about: str
    """Subject of the objection: "animal", "weight", "water", "setup", "session", "clock", "disk".
    """
    final: bool = False
    """True if the operator cannot override it with a reason."""
    warning: bool = False
    """True if it is only a warning and does not prevent the session."""


def admit(session: SessionSettings, data: Path, override: str, console: Console) -> SessionSettings:
    """Return the session with the animal's water of today; print the overridden objections.

    Raises Refused if the session may not begin, or only with an override.
    """
    subject, override = find(data, session.subject), as_plain(override)
    found = objections(session, data)
    if final := [one.text for one in found if one.final]:
        raise Refused(f"{final[0]}{' (no --override helps)' * bool(override)}")
    water = water_of_day(data, session.subject)
    for remark in water.remarks:
        console.print(Text(remark, "bold yellow"))
    against = "; ".join(one.text for one in found)
    if against and not override:
        raise Refused(f'{against}; or give a reason: --override "REASON"')
    if against:
        override = f"{override} (against: {against})"
        console.print(Text(f"OVERRIDDEN: {override}", "bold red"))
    if session.rehearsal:
        banner = f" REHEARSAL with {session.subject}: the rig is simulated and nothing is booked "
        console.print(Text(banner, "bold white on red"))
    elif subject is None and not animal_devices(session)[0]:
        banner = f" SIMULATED ANIMAL {session.subject}: no mouse, no water, no weight "
        console.print(Text(banner, "bold black on yellow"))
    return msgspec.structs.replace(session, given_today_ul=water.at_most_ul, override=override)


def objections(session: SessionSettings, data: Path) -> list[Objection]:
    """Return all objections to a session now: about the animal, its weight and its water."""
    subject = find(data, session.subject)
    if never := list(_about_animal(session, subject)):
        return never
    water = water_of_day(data, session.subject)
    return [*_about_day(session, data, subject, water), *_about_water(session, data, water)]


def _about_animal(session: SessionSettings, subject: Subject | None) -> Iterator[Objection]:
    """Yield the objections to this animal on this rig, which cannot be overridden."""
    real, simulated = animal_devices(session)
    if session.rehearsal:
        if real:
            yield Objection(
                f"{real[0]} is a real device, and --rehearse is for simulated ones; use a setup of "
                "simulated devices, such as simulated.toml",
                "setup",
                final=True,
            )
        return
    if subject is None:
        return
    if subject.retired:
        yield Objection(
            f"{subject.name} is retired; if it runs again: rig subject edit {subject.name} "
            "--active",
            "animal",
            final=True,
        )
    if simulated:
        yield Objection(
            f"{subject.name} is a real animal and {simulated[0]} is simulated; use a setup of real "
            "devices, add --rehearse to practise, or use another name for a simulated animal",
            "setup",
            final=True,
        )
    if _has_cue(session) and not _cue_devices(session):
        yield Objection(
            f"the task has a cue, and nothing in the setup sounds it for {subject.name}; add "
            '[nodes.display.sound], or a hardware output with on = "cue" and sounds_cue = true, '
            "or set cue = false",
            "setup",
            final=True,
        )


def _blocks(session: SessionSettings) -> list[dict[str, Any]]:
    """Return the task's settings for each of its blocks."""
    return [{**session.task, **block} for block in session.task.get("blocks") or [{}]]


def _has_cue(session: SessionSettings) -> bool:
    return any(
        block.get("cue") and block.get("picture") == "corridor" for block in _blocks(session)
    )


def _cue_devices(session: SessionSettings) -> list[str]:
    """Return the classes of the real devices that sound the cue."""
    sound = session.nodes.get("display", {}).get("sound")
    outputs = session.nodes.get(HARDWARE, {}).get("outputs", {}).values()
    tables = [sound or {}, *[table for table in outputs if table.get("sounds_cue")]]
    named = [str(table["is"]) for table in tables if "is" in table]
    return [path for path in named if not is_simulated(path, "the cue's output")]


def _about_day(
    session: SessionSettings, data: Path, subject: Subject | None, water: DayWater
) -> Iterator[Objection]:
    """Yield the objections that can be overridden: weight, open sessions, the clock."""
    name = session.subject
    if subject is None and (animal_devices(session)[0] or session.rehearsal):
        yield Objection(
            f"subject {name} is not in {data / RECORD_FILE}; add it: rig subject add {name}",
            "animal",
        )
    if subject is not None:
        with open_record(data) as record:
            weights = record.weights(name)
        lab = read_lab(data)
        if why := underweight(subject, weights, lab.day_of(time.time())):
            yield Objection(why, "weight")
        if why := lab.wrong_zone():
            yield Objection(why, "clock")
    for folder in (*water.open_folders, *(one.folder for one in water.unreadable)):
        yield Objection(f"{folder} was never closed; run: rig recover {folder}", "session")
    if (behind_s := clock_behind_s(data)) > CLOCK_MAY_DIFFER_S:
        yield Objection(
            f"the clock of this machine was set back: it is {behind_s / 3600:.1f} h behind the "
            f"latest entry in {data / RECORD_FILE}; set the clock right",
            "clock",
        )


def _about_water(session: SessionSettings, data: Path, water: DayWater) -> Iterator[Objection]:
    """Yield why the daily limit does not allow another reward."""
    if HARDWARE not in session.nodes:
        return
    limit_ul = float(session.nodes[HARDWARE]["guard"]["max_day_ul"])
    today = read_lab(data).day_of(time.time())
    for one in water.unreadable:
        if one.day >= today:
            yield Objection(
                f"what {one.folder} gave cannot be known and counts as the day's whole water of "
                f"{limit_ul:g} ul: {one.why}; run: rig recover {one.folder}; if "
                "that does not help, run it tomorrow",
                "water",
                final=True,
            )
    if session.task["cohort"] not in session.task["water_for"]:
        return
    if water.at_most_ul + max(block["reward_ul"] for block in _blocks(session)) > limit_ul:
        yield Objection(
            f"{session.subject} was given {water.text} today and the day's limit is "
            f"{limit_ul:g} ul; run it tomorrow",
            "water",
            final=True,
        )
