"""The record of all animals of a data folder, in one SQLite file.

SQLite does not detect a flipped bit in a row, so the file contains a digest of all rows. The digest
is checked when the file is opened, and updated in each transaction that changes a row. It is also
in a file beside the record (`record_check`), so that an older copy does not pass for it.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from rig.errors import Refused
from rig.settings.lab import REHEARSAL_FOLDER
from rig.subjects.record_check import CHECK_FILE, check_is_latest, write_digests

RECORD_FILE = "subjects.sqlite"
_VERSION = 3
_FACTS = ("birth_date", "sex", "genotype", "project", "experimenter")
"""Columns of an animal that version 2 of the record does not have."""
_WAIT_S = 5.0
_DISK_ERRORS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)
"""Errors that SQLite reports if the disk is full or fails; the record is then not damaged."""
_IN_USE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
"""Errors that SQLite reports if another program keeps the record locked."""
_TABLES = """
create table subject (
    name text primary key, cohort text not null, stage text not null, baseline_g real not null,
    restricted integer not null, need_ml real not null, retired integer not null,
    birth_date text not null default '', sex text not null default '',
    genotype text not null default '', project text not null default '',
    experimenter text not null default '');
create table weight (
    name text not null references subject, day text not null, grams real not null,
    condition text not null, note text not null, after integer not null);
create table session (
    id text primary key, subject text not null, folder text not null, task text not null,
    began real not null, until real not null, closed integer not null, pulses text not null,
    unknown_ul real not null, reason text not null);
create table supplement (
    subject text not null, at real not null, ul real not null, note text not null);
create table clock (latest real not null);
create table digest (sha256 text not null);
insert into clock values (0.0);
insert into digest values ('');
"""
_HASHED = ("subject", "weight", "session", "supplement", "clock")


class Subject(msgspec.Struct, frozen=True):
    """An animal."""

    name: str
    cohort: str
    stage: str
    baseline_g: float
    restricted: bool
    need_ml: float
    """Water that the animal must drink per day, ml."""
    retired: bool = False
    """True if the animal runs no more sessions."""
    birth_date: str = ""
    """Date of birth, ISO 8601; empty if it is not known."""
    sex: str = ""
    """M, F, U (unknown) or O (other); empty if nothing was entered."""
    genotype: str = ""
    project: str = ""
    experimenter: str = ""
    """Family name, comma, given name, such as "Doe, Jane"."""


class Weighing(msgspec.Struct, frozen=True):
    """One weight, and how the animal looked; `day` is a day of the lab, ISO 8601."""

    day: str
    grams: float
    condition: str
    note: str
    after: bool = False
    """True if the animal was weighed after a session; the weight includes the session's water."""


class Record:
    """The animals and their weights; `open_record` opens it."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.sql, self._path = connection, path

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write everything inside the block to disk, either completely or not at all."""
        self.sql.execute("begin immediate")
        try:
            yield self.sql
            _renew_digest(self.sql, self._path)
            self.sql.execute("commit")
        except BaseException:
            if self.sql.in_transaction:
                self.sql.execute("rollback")
            raise
        with suppress(Refused, sqlite3.Error):  # the next one to open the record does it
            _settle_digest(self.sql, self._path)

    def add(self, subject: Subject) -> None:
        """Add an animal. Raises Refused if there is already an animal of this name."""
        if self.find(subject.name) is not None:
            raise Refused(f"subject {subject.name} is already in the record; choose another name")
        with self.transaction() as sql:
            row = msgspec.structs.astuple(subject)
            sql.execute(f"insert into subject values ({', '.join('?' * len(row))})", row)

    def edit(self, subject: Subject) -> None:
        """Replace the data of the animal with this name."""
        _, *columns = Subject.__struct_fields__
        with self.transaction() as sql:
            sql.execute(
                f"update subject set {', '.join(f'{name} = ?' for name in columns)} where name = ?",
                (*msgspec.structs.astuple(subject)[1:], subject.name),
            )

    def find(self, name: str) -> Subject | None:
        """Return an animal; None if it is unknown."""
        row = self.sql.execute("select * from subject where name = ?", (name,)).fetchone()
        return None if row is None else _subject(row)

    def subjects(self) -> list[Subject]:
        """Return all animals, ordered by name."""
        return [_subject(row) for row in self.sql.execute("select * from subject order by name")]

    def weigh(self, name: str, weighing: Weighing) -> None:
        """Add a weight."""
        with self.transaction() as sql:
            sql.execute(
                "insert into weight values (?, ?, ?, ?, ?, ?)",
                (name, *msgspec.structs.astuple(weighing)),
            )

    def weights(self, name: str) -> list[Weighing]:
        """Return an animal's weights, in the order in which they were added."""
        rows = self.sql.execute(
            "select day, grams, condition, note, after from weight where name = ? order by rowid",
            (name,),
        )
        return [
            Weighing(day, grams, condition, note, bool(after))
            for day, grams, condition, note, after in rows
        ]


@contextmanager
def open_record(data: Path) -> Iterator[Record]:
    """Open the record of a data folder; create it if there is none.

    Raises:
        Refused: The record is damaged, or cannot be opened.
    """
    path = data / RECORD_FILE
    try:
        data.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            check_is_latest(path, None)
        connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise Refused(f"{path} cannot be opened ({error}); check --data") from error
    try:
        connection.execute("pragma synchronous = extra")
        _prepare(connection, path)
        yield Record(connection, path)
    except sqlite3.OperationalError as error:
        # an error of Python's module, such as text that is not UTF-8, has no code of SQLite
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _IN_USE:
            raise Refused(
                f"the record {path} is in use by another program ({error}); end that program, or "
                "try again"
            ) from error
        if code in _DISK_ERRORS:
            raise Refused(
                f"the record {path} cannot be read or written ({error}); check that the disk has "
                "room and may be written to"
            ) from error
        raise Refused(_unusable(path, str(error))) from error
    except (sqlite3.Error, UnicodeDecodeError, OverflowError, msgspec.MsgspecError) as error:
        raise Refused(_unusable(path, str(error))) from error
    finally:
        connection.close()


def has_record(data: Path) -> bool:
    """Return whether a data folder has a record, or had one."""
    return (data / RECORD_FILE).exists() or (data / CHECK_FILE).exists()


def find(data: Path, name: str) -> Subject | None:
    """Return an animal of the record; None if it is unknown or there is no record."""
    if not has_record(data):
        return None
    with open_record(data) as record:
        return record.find(name)


def rehearsal(data: Path, name: str) -> Path:
    """Return the data folder for an animal's rehearsals; add the animal to the record in it."""
    practice = data / REHEARSAL_FOLDER
    subject = find(data, name)
    if subject is not None:
        with open_record(practice) as record:
            if record.find(name) is None:
                record.add(subject)
    return practice


def names(data: Path) -> list[str]:
    """Return the names of all animals of the record; none if there is no record."""
    if not has_record(data):
        return []
    with open_record(data) as record:
        return [subject.name for subject in record.subjects()]


def _prepare(sql: sqlite3.Connection, path: Path) -> None:
    """Create the tables of a new file, or check an old file and convert version 2.

    Raises:
        Refused: The file is damaged or of an unknown version.
    """
    sql.execute("begin immediate")
    try:
        (version,) = sql.execute("pragma user_version").fetchone()
        (tables,) = sql.execute("select count(*) from sqlite_master").fetchone()
        if version == 0 and tables == 0:
            check_is_latest(path, None)
            for statement in _TABLES.split(";"):
                sql.execute(statement)
            _renew_digest(sql, path)
            sql.execute(f"pragma user_version = {_VERSION}")
        elif version == 2:
            _check_rows(sql, path)
            for name in _FACTS:
                sql.execute(f"alter table subject add column {name} text not null default ''")
            _renew_digest(sql, path)
            sql.execute(f"pragma user_version = {_VERSION}")
        elif version != _VERSION:
            raise Refused(
                f"{path} is of another version of this program, or damaged (version {version}, "
                f"expected {_VERSION}); use the version that wrote it, or restore it from a backup"
            )
        else:
            _check_rows(sql, path)
        sql.execute("commit")
    finally:
        if sql.in_transaction:
            sql.execute("rollback")


def _check_rows(sql: sqlite3.Connection, path: Path) -> None:
    """Check that a record holds what was written last, and can be searched. Raises Refused.

    The digest is of the tables alone; a damaged index would hide a row from a search.
    """
    (found,) = sql.execute("pragma integrity_check(1)").fetchone()
    if found != "ok":
        raise Refused(_unusable(path, found))
    digest = _digest(sql)
    if sql.execute("select sha256 from digest").fetchall() != [(digest,)]:
        raise Refused(_unusable(path, "its rows do not match their digest"))
    check_is_latest(path, digest)


def _renew_digest(sql: sqlite3.Connection, path: Path) -> None:
    """Enter the digest of the rows as they are now, and note it before they are committed."""
    (before,) = sql.execute("select sha256 from digest").fetchone()
    after = _digest(sql)
    sql.execute("update digest set sha256 = ?", (after,))
    write_digests(path, before, after)


def _settle_digest(sql: sqlite3.Connection, path: Path) -> None:
    """Note that the record holds what was committed last, whoever committed it."""
    sql.execute("begin immediate")
    try:
        (digest,) = sql.execute("select sha256 from digest").fetchone()
        write_digests(path, digest)
    finally:
        sql.execute("rollback")


def _unusable(path: Path, why: str) -> str:
    return (
        f"the record {path} is damaged ({why}); restore it from a backup, or move it and "
        f"{CHECK_FILE} away and add the subjects again: the water of sessions is then read from "
        "the folders that are there"
    )


def _digest(sql: sqlite3.Connection) -> str:
    digest = hashlib.sha256()
    for table in _HASHED:
        for row in sql.execute(f"select * from {table} order by rowid"):
            digest.update(f"{table}{row!r}".encode())
    return digest.hexdigest()


def _subject(row: tuple[Any, ...]) -> Subject:
    fields = dict(zip(Subject.__struct_fields__, row, strict=True))
    return msgspec.convert(fields, Subject, strict=False)  # SQLite stores True and False as 1 and 0
