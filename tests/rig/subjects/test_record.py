"""The animals' record: entries are read back, and the end of a session is entered."""

import hashlib
import resource
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from rig.errors import Refused
from rig.settings.config import read_session
from rig.subjects.ledger import Ledger
from rig.subjects.record import RECORD_FILE, Weighing, find, open_record
from rig.subjects.record_check import CHECK_FILE
from rig.subjects.welfare import supplement_ml, underweight
from tests.live import Live
from tests.rig.animals import REAL, TODAY, VR2, known

BENCH = f"""
[rig]
name = "bench"
disk_mb_s = 0.1
[nodes.hardware]
run = "behavior.hardware"
boards.b = {{ is = "{REAL}:Board" }}
wheel = {{ is = "{REAL}:Wheel", board = "b" }}
lick.centre = {{ is = "{REAL}:Lick", board = "b" }}
valve.centre = {{ is = "{REAL}:Valve", board = "b" }}
[nodes.task]
run = "behavior.task"
"""


def test_the_record_gives_back_what_was_written(tmp_path: Path) -> None:
    known(tmp_path, (TODAY, 24.0), (TODAY, 23.5))
    assert find(tmp_path, "VR2") == VR2
    assert find(tmp_path, "VR3") is None
    with open_record(tmp_path) as record:
        assert [one.grams for one in record.weights("VR2")] == [24.0, 23.5]
        with pytest.raises(Refused, match="already in the record"):
            record.add(VR2)
        assert Ledger(record).sessions("VR2") == []


def test_a_record_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / RECORD_FILE).write_text("not a database, but long enough to look like one" * 9)
    with pytest.raises(Refused, match="restore it from a backup"):
        find(tmp_path, "VR2")


def as_of_version_2(data: Path) -> sqlite3.Connection:
    """Remove from a record what version 3 added."""
    sql = sqlite3.connect(data / RECORD_FILE, isolation_level=None)
    for name in ("birth_date", "sex", "genotype", "project", "experimenter"):
        sql.execute(f"alter table subject drop column {name}")
    digest = hashlib.sha256()
    for table in ("subject", "weight", "session", "supplement", "clock"):
        for row in sql.execute(f"select * from {table} order by rowid"):
            digest.update(f"{table}{row!r}".encode())
    sql.execute("update digest set sha256 = ?", (digest.hexdigest(),))
    sql.execute("pragma user_version = 2")
    (data / CHECK_FILE).unlink()
    return sql


def test_a_record_of_version_2_is_brought_up_with_everything_in_it(tmp_path: Path) -> None:
    known(tmp_path, (TODAY, 24.0))
    as_of_version_2(tmp_path).close()
    assert find(tmp_path, "VR2") == VR2
    with open_record(tmp_path) as record:
        assert [one.grams for one in record.weights("VR2")] == [24.0]
        record.edit(msgspec.structs.replace(VR2, sex="F"))
    assert find(tmp_path, "VR2") == msgspec.structs.replace(VR2, sex="F")


def test_a_damaged_record_of_version_2_is_refused(tmp_path: Path) -> None:
    known(tmp_path, (TODAY, 24.0))
    sql = as_of_version_2(tmp_path)
    sql.execute("update weight set grams = 25.0")
    sql.close()
    with pytest.raises(Refused, match="do not match their digest"):
        find(tmp_path, "VR2")


def test_a_record_on_a_full_disk_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the limit would cut off a .pyc file
    known(tmp_path, (TODAY, 24.0))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, unlimited[1]))
        with (
            pytest.raises(Refused, match="check that the disk has room"),
            open_record(tmp_path) as record,
        ):
            record.weigh("VR2", Weighing(TODAY.isoformat(), 23.0, "", ""))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert find(tmp_path, "VR2") == VR2


def test_a_record_in_use_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(tmp_path)
    monkeypatch.setattr("rig.subjects.record._WAIT_S", 0.01)
    with closing(sqlite3.connect(tmp_path / RECORD_FILE, isolation_level=None)) as backup:
        backup.execute("begin exclusive")
        with pytest.raises(Refused, match=r"is in use by another program \(database is locked\)"):
            find(tmp_path, "VR2")
    assert find(tmp_path, "VR2") == VR2


def test_the_supplement_is_the_need_less_what_was_drunk() -> None:
    assert supplement_ml(VR2, 250.0) == 0.75
    assert supplement_ml(VR2, 1200.0) == 0.0
    free = msgspec.structs.replace(VR2, restricted=False)
    assert supplement_ml(free, 0.0) == 0.0
    assert not underweight(free, [], TODAY)


@pytest.mark.session
def test_a_session_of_a_real_animal_is_in_the_record_at_its_end(tmp_path: Path) -> None:
    setup = tmp_path / "bench.toml"
    setup.write_text(BENCH)
    mine = msgspec.structs.replace(VR2, cohort="unrewarded", stage="habituation")
    known(tmp_path, (TODAY, 24.0), subject=mine)
    args = ("--minutes", "0.03")
    silent = ("task.grey_before_s=0.2", "task.grey_after_s=0.2", "task.cue=false")
    with Live(tmp_path, *silent, setup=setup, args=args, subject="VR2") as live:
        code, output = live.end()
    assert code == 0, output
    assert "supplement due 1.000 ml" in output
    assert "VR2 is of cohort unrewarded, by its record" in output
    assert read_session(live.folder).task["cohort"] == "unrewarded"
    with open_record(tmp_path) as record:
        (row,) = Ledger(record).sessions("VR2")
        subject = record.find("VR2")
    assert subject is not None and subject.stage == "train1"
    assert (row.folder, row.at_most_ul, row.reason) == (live.folder.name, 0.0, "time is up")
    assert row.closed and row.id == read_session(live.folder).id
    assert live.folder.stat().st_mode & 0o777 == 0o750


@pytest.mark.session
def test_an_animal_does_not_run_a_stage_that_is_not_for_its_cohort(tmp_path: Path) -> None:
    setup = tmp_path / "bench.toml"
    setup.write_text(BENCH)
    known(tmp_path, (TODAY, 24.0), subject=msgspec.structs.replace(VR2, cohort="pretrained"))
    with Live(tmp_path, setup=setup, subject="VR2") as live:
        code, output = live.end()
    assert code == 2
    assert "stage train1 is not for cohort pretrained" in output
    assert not list(tmp_path.glob("sub-*"))
