"""Whether a session may begin: the animal, its weight, its water today, its open sessions.

The animal's devices are those of [nodes.hardware]; each class declares whether it is simulated.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from rig.errors import Refused
from rig.session.subjects import RECORD_FILE, Row, Subject, find, record, supplement_ml, underweight
from rig.session.water_totals import WaterGiven, day_of, given, is_open, session_folders
from rig.settings.config import SessionSettings, blocks, read_session
from rig.settings.device_factory import HARDWARE, animal_devices, is_simulated


def of_record(session: SessionSettings, data: Path, console: Console) -> SessionSettings:
    """Return the session with the cohort that the animal's record names, if there is one."""
    subject = find(data, session.subject)
    if subject is None or session.task.get("cohort") == subject.cohort:
        return session
    console.print(f"{subject.name} is of cohort {subject.cohort}, by its record")
    return msgspec.structs.replace(session, task={**session.task, "cohort": subject.cohort})


def admit(session: SessionSettings, data: Path, override: str, console: Console) -> SessionSettings:
    """Return the session with the animal's water of today; say aloud what was overridden.

    Raises Refused if it may not begin, or may not without an override.
    """
    subject = find(data, session.subject)
    real, simulated = animal_devices(session)
    if subject is not None and simulated:
        raise Refused(
            f"{subject.name} is a real animal and {simulated[0]} is simulated; "
            "take a setup of real devices, or another name for a simulated animal"
        )
    if subject is not None and _has_cue(session) and not _sounders(session):
        raise Refused(
            f"the task has a cue, and nothing in the setup sounds it for {subject.name}; add "
            '[nodes.display.sound], or a hardware output with on = "cue", or set cue = false'
        )
    objections = list(_objections(session, data, subject, real))
    if objections and not override:
        raise Refused(f'{"; ".join(objections)}; or say why it may run: --override "REASON"')
    today_ul = _water_today_ul(session, data)
    if objections:
        override = f"{override} (against: {'; '.join(objections)})"
        console.print(Text(f"OVERRIDDEN: {override}", "bold red"))
    if subject is None and not real:
        banner = f" SIMULATED ANIMAL {session.subject}: no mouse, no water, no weight "
        console.print(Text(banner, "bold black on yellow"))
    return msgspec.structs.replace(session, given_today_ul=today_ul, override=override)


def _has_cue(session: SessionSettings) -> bool:
    facts = blocks(session.task)
    return any(block.get("cue") and block.get("picture") == "corridor" for block in facts)


def _sounders(session: SessionSettings) -> list[str]:
    """Return the classes of the real devices that make the cue heard."""
    sound = session.nodes.get("display", {}).get("sound")
    outputs = session.nodes.get(HARDWARE, {}).get("outputs", {}).values()
    tables = [sound or {}, *[table for table in outputs if table.get("on") == "cue"]]
    named = [str(table["is"]) for table in tables if "is" in table]
    return [path for path in named if not is_simulated(path, "the cue's output")]


def water_of_day(data: Path, name: str, day: date) -> list[WaterGiven]:
    """Return what each of the animal's sessions of a day gave.

    Read from the session folders; what the record alone knows of was moved away, and counts too.
    """
    found = [given(folder) for folder in session_folders(data / f"sub-{name}", day)]
    if find(data, name) is not None:
        there = {one.folder.name for one in found}
        with record(data) as open_record:
            rows = open_record.sessions(name)
        found += [
            WaterGiven(data / f"sub-{name}" / row.folder, row.water_ul)
            for row in rows
            if row.day == day.isoformat() and row.folder not in there
        ]
    return found


def book(folder: Path, reason: str) -> str:
    """Write an ended session into the record, if the record knows its animal.

    Returns what is to be done for the animal now, in one sentence; "" for one nobody knows.
    """
    session = read_session(folder)
    data = folder.parent.parent
    subject = find(data, session.subject)
    if subject is None:
        return ""
    day = day_of(folder) or date.today()
    row = Row(folder.name, day.isoformat(), session.task_name, given(folder).water_ul, reason)
    with record(data) as open_record:
        open_record.book(subject.name, row)
        open_record.move(subject.name, str(session.task["stage"]))
    drunk_ul = sum(one.water_ul for one in water_of_day(data, subject.name, day))
    due = f"supplement due {supplement_ml(subject, drunk_ul):.3f} ml; " * subject.restricted
    how = f"rig subject weigh {subject.name} GRAMS --after --condition TEXT --note TEXT"
    return f"{subject.name} was given {drunk_ul:g} ul on {day}; {due}write down: {how}"


def _objections(
    session: SessionSettings, data: Path, subject: Subject | None, real: list[str]
) -> Iterator[str]:
    name = session.subject
    if subject is None and real:
        yield f"subject {name} is not in {data / RECORD_FILE}; add it: rig subject add {name}"
    if subject is not None:
        with record(data) as open_record:
            weights = open_record.weights(name)
        if why := underweight(subject, weights, date.today()):
            yield why
    for folder in session_folders(data / f"sub-{name}"):
        if is_open(folder):
            yield f"{folder} was never closed; run: rig recover {folder}"


def _water_today_ul(session: SessionSettings, data: Path) -> float:
    """Return what the animal was given today. Raises Refused if that is the day's limit."""
    today = water_of_day(data, session.subject, date.today())
    total_ul = sum(one.water_ul for one in today)
    if HARDWARE not in session.nodes:
        return total_ul
    limit_ul = float(session.nodes[HARDWARE]["guard"]["max_day_ul"])
    for one in today:
        if one.unreadable:
            raise Refused(
                f"what {one.folder} gave cannot be known and counts as the day's whole water of "
                f"{limit_ul:g} ul: {one.unreadable}; run: rig recover {one.folder}; if "
                "that does not help, run it tomorrow"
            )
    if session.task["cohort"] not in session.task["water_for"]:
        return total_ul
    if total_ul + max(block["reward_ul"] for block in blocks(session.task)) > limit_ul:
        raise Refused(
            f"{session.subject} was given {total_ul:g} ul today and the day's limit is "
            f"{limit_ul:g} ul; run it tomorrow"
        )
    return total_ul
