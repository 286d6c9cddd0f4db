"""An older copy of the record, or one that lacks rows, is not taken for the record."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.errors import Refused
from rig.subjects import record as records
from rig.subjects.booking import water_of_day
from rig.subjects.ledger import Ledger, Supplement
from rig.subjects.record import RECORD_FILE, find, open_record
from rig.subjects.record_check import CHECK_FILE, write_digests
from tests.rig.animals import VR2, known

PAGE_BYTES = 4096
NOON = 9e9
"""A time in the future: it counts today."""


def give(data: Path, ul: float) -> None:
    with open_record(data) as record:
        Ledger(record).give("VR2", Supplement(NOON, ul))


def given_ul(data: Path) -> float:
    return water_of_day(data, "VR2").at_most_ul


def put_back_an_older_copy(data: Path) -> None:
    shutil.copy(data / "before", data / RECORD_FILE)


def put_in_that_of_another_folder(data: Path) -> None:
    known(data / "other")
    shutil.copy(data / "other" / RECORD_FILE, data / RECORD_FILE)


def remove(data: Path) -> None:
    (data / RECORD_FILE).unlink()


def empty(data: Path) -> None:
    (data / RECORD_FILE).write_bytes(b"")


def put_back_a_journal(data: Path) -> None:
    (data / f"{RECORD_FILE}-journal").write_bytes((data / "journal").read_bytes())


@pytest.mark.parametrize(
    "damage",
    [
        put_back_an_older_copy,
        put_in_that_of_another_folder,
        remove,
        empty,
        put_back_a_journal,
    ],
)
def test_a_record_that_lacks_what_was_written_last_is_refused(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    known(tmp_path)
    give(tmp_path, 100.0)
    shutil.copy(tmp_path / RECORD_FILE, tmp_path / "before")
    (tmp_path / "journal").write_bytes(journal_of_giving(tmp_path, 500.0))
    assert given_ul(tmp_path) == 600.0
    damage(tmp_path)
    for _ in range(2):
        with pytest.raises(Refused, match=f"delete .*{CHECK_FILE}, and enter the water"):
            given_ul(tmp_path)
        with pytest.raises(Refused, match=r"the record .* is"):
            find(tmp_path, "VR2")


def journal_of_giving(data: Path, ul: float) -> bytes:
    """Give water; return the rollback journal as it was on disk just before the commit."""
    path = data / f"{RECORD_FILE}-journal"
    sql = sqlite3.connect(data / RECORD_FILE, isolation_level=None)
    sql.execute("pragma journal_mode = persist")
    with records.Record(sql, data / RECORD_FILE).transaction():
        sql.execute("insert into supplement values ('VR2', ?, ?, '')", (NOON, ul))
        head = path.read_bytes()[12:512]
    pages = path.read_bytes()[512:]
    sql.execute("pragma journal_mode = delete")
    sql.close()
    count = len(pages) // (PAGE_BYTES + 8)
    # SQLite writes magic and count when it syncs the journal, and clears them at the commit
    return bytes.fromhex("d9d505f920a163d7") + count.to_bytes(4, "big") + head + pages


def test_an_older_copy_can_be_accepted_by_the_operator(tmp_path: Path) -> None:
    known(tmp_path)
    shutil.copy(tmp_path / RECORD_FILE, tmp_path / "before")
    give(tmp_path, 500.0)
    put_back_an_older_copy(tmp_path)
    (tmp_path / CHECK_FILE).unlink()
    give(tmp_path, 200.0)
    assert given_ul(tmp_path) == 200.0


def test_a_kill_between_note_and_commit_leaves_a_record_that_can_be_opened(tmp_path: Path) -> None:
    known(tmp_path)
    before = (tmp_path / CHECK_FILE).read_text().strip()
    write_digests(tmp_path / RECORD_FILE, before, "of a transaction that was not committed")
    assert find(tmp_path, "VR2") == VR2
    assert (tmp_path / CHECK_FILE).read_text().strip() == before


def test_a_record_whose_note_cannot_be_written_is_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(tmp_path)

    def full(*_: object) -> None:
        raise Refused("the record cannot be written (No space left on device)")

    with monkeypatch.context() as patched:
        patched.setattr(records, "write_digests", full)
        with pytest.raises(Refused, match="No space left"):
            give(tmp_path, 500.0)
    assert given_ul(tmp_path) == 0.0
    give(tmp_path, 300.0)
    assert given_ul(tmp_path) == 300.0


@pytest.mark.parametrize("table", ["subject", "session"])
def test_a_flipped_bit_in_an_index_is_refused(tmp_path: Path, table: str) -> None:
    """A damaged index hides a row from a search, although the row is in its table."""
    known(tmp_path)
    with open_record(tmp_path) as record, record.transaction() as sql:
        row = ("a session", "VR2", "ses-1", "train1", 0.0, 1.0, 1, "[]", 0.0, "done")
        sql.execute("insert into session values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        query = "select rootpage from sqlite_master where name = ?"
        (page,) = sql.execute(query, (f"sqlite_autoindex_{table}_1",)).fetchone()
    path = tmp_path / RECORD_FILE
    data = bytearray(path.read_bytes())
    at = data.index(b"VR2" if table == "subject" else b"a session", (page - 1) * PAGE_BYTES)
    assert at < page * PAGE_BYTES
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(Refused, match="is damaged"):
        find(tmp_path, "VR2")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_in_place_of_the_digest_is_refused(tmp_path: Path) -> None:
    known(tmp_path)
    (tmp_path / CHECK_FILE).unlink()
    os.mkfifo(tmp_path / CHECK_FILE)
    with pytest.raises(Refused, match="is not a file"):
        find(tmp_path, "VR2")
