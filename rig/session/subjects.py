"""The animals' record: who they are, what they weighed, what each session gave them.

It is an index and a notebook, in SQLite: what a session gave is summed from its log, not from here.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import msgspec

from rig.errors import Refused

RECORD_FILE = "subjects.sqlite"
MIN_WEIGHT_SHARE = 0.8
"""A water-restricted animal under this share of its baseline weight does not run."""
_WAIT_S = 5.0
_TABLES = """
create table if not exists subject (
    name text primary key, cohort text not null, stage text not null, baseline_g real not null,
    restricted integer not null, need_ml real not null);
create table if not exists weight (
    name text not null references subject, day text not null, grams real not null,
    condition text not null, note text not null, after integer not null default 0);
create table if not exists session (
    name text not null references subject, folder text not null, day text not null,
    task text not null, water_ul real not null, reason text not null,
    primary key (name, folder));
"""
_AFTER = "alter table weight add column after integer not null default 0"
"""What a record lacks that was made before weights told whether a session came before them."""


class Subject(msgspec.Struct, frozen=True):
    """An animal."""

    name: str
    cohort: str
    stage: str
    baseline_g: float
    restricted: bool
    need_ml: float
    """What it must drink a day."""


class Weighing(msgspec.Struct, frozen=True):
    """One weight, and how the animal looked; day is a local date."""

    day: str
    grams: float
    condition: str
    note: str
    after: bool = False
    """Whether it was taken after a session, with the water of that session in it."""


class Row(msgspec.Struct, frozen=True):
    """One session of an animal, as it stood at its end; folder is the session folder's name."""

    folder: str
    day: str
    task: str
    water_ul: float
    reason: str


class Record:
    """The record of all animals of a data folder."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Stand on an open connection; `record` opens one."""
        self._sql = connection

    def add(self, subject: Subject) -> None:
        """Write an animal down. Raises Refused if there is one of that name."""
        if self.find(subject.name) is not None:
            raise Refused(f"subject {subject.name} is already in the record; choose another name")
        with self._sql:
            self._sql.execute(
                "insert into subject values (?, ?, ?, ?, ?, ?)", msgspec.structs.astuple(subject)
            )

    def find(self, name: str) -> Subject | None:
        """Return an animal; None if it is unknown."""
        row = self._sql.execute("select * from subject where name = ?", (name,)).fetchone()
        return None if row is None else _subject(row)

    def names(self) -> list[str]:
        """Return the names of all animals, in order."""
        return [
            str(name) for (name,) in self._sql.execute("select name from subject order by name")
        ]

    def get(self, name: str) -> Subject:
        """Return an animal. Raises Refused if it is unknown."""
        subject = self.find(name)
        if subject is None:
            raise Refused(f"there is no subject {name} in the record; add it: rig subject add")
        return subject

    def weigh(self, name: str, weighing: Weighing) -> None:
        """Write a weight down."""
        with self._sql:
            self._sql.execute(
                "insert into weight values (?, ?, ?, ?, ?, ?)",
                (name, *msgspec.structs.astuple(weighing)),
            )

    def weights(self, name: str) -> list[Weighing]:
        """Return an animal's weights, in the order in which they were written down."""
        rows = self._sql.execute(
            "select day, grams, condition, note, after from weight where name = ? order by rowid",
            (name,),
        )
        return [
            Weighing(day, grams, how, note, bool(after)) for day, grams, how, note, after in rows
        ]

    def book(self, name: str, row: Row) -> None:
        """Write a session down, in place of what was written of it before."""
        with self._sql:
            self._sql.execute(
                "insert or replace into session values (?, ?, ?, ?, ?, ?)",
                (name, *msgspec.structs.astuple(row)),
            )

    def move(self, name: str, stage: str) -> None:
        """Write down to which stage an animal has come."""
        with self._sql:
            self._sql.execute("update subject set stage = ? where name = ?", (stage, name))

    def sessions(self, name: str) -> list[Row]:
        """Return an animal's sessions, in order of days."""
        rows = self._sql.execute(
            "select folder, day, task, water_ul, reason from session where name = ? "
            "order by day, rowid",
            (name,),
        )
        return [Row(*row) for row in rows]


@contextmanager
def record(data: Path) -> Iterator[Record]:
    """Open the record of a data folder; make it if there is none. Raises Refused."""
    path = data / RECORD_FILE
    try:
        data.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_WAIT_S)
    except (OSError, sqlite3.Error) as error:
        raise Refused(f"{path} cannot be opened ({error}); check --data") from error
    try:
        connection.execute("pragma journal_mode = wal")
        connection.executescript(_TABLES)
        if "after" not in {row[1] for row in connection.execute("pragma table_info(weight)")}:
            connection.execute(_AFTER)
        yield Record(connection)
    except sqlite3.Error as error:
        raise Refused(
            f"the record {path} cannot be used ({error}); move it away and add the subjects again: "
            "no water is lost, it stands in the logs"
        ) from error
    finally:
        connection.close()


def find(data: Path, name: str) -> Subject | None:
    """Return an animal of the record; None if it is unknown or there is no record."""
    if not (data / RECORD_FILE).exists():
        return None
    with record(data) as open_record:
        return open_record.find(name)


def names(data: Path) -> list[str]:
    """Return the names of all animals of the record; none if there is no record."""
    if not (data / RECORD_FILE).exists():
        return []
    with record(data) as open_record:
        return open_record.names()


def underweight(subject: Subject, weights: list[Weighing], today: date) -> str:
    """Return why a water-restricted animal may not run today; "" if it may."""
    if not subject.restricted:
        return ""
    name = subject.name
    todays = [weighing for weighing in weights if weighing.day == today.isoformat()]
    if all(weighing.after for weighing in todays):
        how = f"weigh it: rig subject weigh {name} GRAMS"
        if not todays:
            return f"{name} was not weighed today; {how}"
        last = f"{todays[-1].grams:g} g were taken after one"
        return f"{name} was not weighed today before a session (its {last}); {how}"
    before = max(at for at, weighing in enumerate(todays) if not weighing.after)
    grams = min(weighing.grams for weighing in todays[before:])  # water drunk since is no weight
    share = grams / subject.baseline_g
    if share < MIN_WEIGHT_SHARE:
        return (
            f"{name} weighs {grams:g} g, {share:.1%} of its {subject.baseline_g:g} g "
            f"(the limit is {MIN_WEIGHT_SHARE:.0%}); give it water instead"
        )
    return ""


def supplement_ml(subject: Subject, drunk_ul: float) -> float:
    """Return what a water-restricted animal must still be given today, ml."""
    return max(0.0, subject.need_ml - drunk_ul / 1000) if subject.restricted else 0.0


def _subject(row: tuple[str, str, str, float, int, float]) -> Subject:
    name, cohort, stage, baseline_g, restricted, need_ml = row
    return Subject(name, cohort, stage, baseline_g, bool(restricted), need_ml)
