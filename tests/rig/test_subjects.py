"""The animals' record: what is written down comes back, and a session ends in it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from rig.errors import Refused
from rig.session.preflight import book, water_of_day
from rig.session.subjects import (
    RECORD_FILE,
    Row,
    Weighing,
    find,
    record,
    supplement_ml,
    underweight,
)
from rig.settings.config import read_session
from tests.live import Live
from tests.rig.animals import REAL, TODAY, VR2, begin, known, session, today
from tests.rig.test_water import closed, ended, valves

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


def test_a_record_made_before_weights_told_when_is_read(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / RECORD_FILE)) as old:
        old.executescript(
            "create table weight (name text not null, day text not null, grams real not null,"
            "condition text not null, note text not null);"
            "insert into weight values ('VR2', '2026-01-01', 24.0, 'bright', '');"
        )
    for _ in range(2):
        with record(tmp_path) as open_record:
            assert open_record.weights("VR2") == [Weighing("2026-01-01", 24.0, "bright", "")]


def test_logs_win_over_the_record_and_the_record_knows_what_was_moved(tmp_path: Path) -> None:
    known(tmp_path, (TODAY, 24.0))
    folder = today(tmp_path)
    closed(folder, [*valves(4), ended(4)])
    day = TODAY.isoformat()
    with record(tmp_path) as open_record:
        open_record.book("VR2", Row(folder.name, day, "train1", 600.0, "done"))
        open_record.book("VR2", Row(f"{folder.name}0", day, "train1", 100.0, "done"))
    assert [one.water_ul for one in water_of_day(tmp_path, "VR2", TODAY)] == [12.0, 100.0]
    assert begin(tmp_path, session(REAL))[0].given_today_ul == 112.0


def test_an_ended_session_is_booked_once(tmp_path: Path) -> None:
    known(tmp_path)
    folder = today(tmp_path)
    closed(folder, [*valves(4), ended(4)])
    (folder / "settings.json").write_bytes(msgspec.json.encode(session(REAL)))
    book(folder, "crashed")
    assert "supplement due 0.988 ml" in book(folder, "all trials done")
    with record(tmp_path) as open_record:
        rows = open_record.sessions("VR2")
    expected = Row(folder.name, TODAY.isoformat(), "train1", 12.0, "all trials done")
    assert rows == [expected]


def test_the_record_gives_back_what_was_written(tmp_path: Path) -> None:
    known(tmp_path, (TODAY, 24.0), (TODAY, 23.5))
    assert find(tmp_path, "VR2") == VR2
    assert find(tmp_path, "VR3") is None
    with record(tmp_path) as open_record:
        assert [one.grams for one in open_record.weights("VR2")] == [24.0, 23.5]
        with pytest.raises(Refused, match="already in the record"):
            open_record.add(VR2)
        assert open_record.sessions("VR2") == []


def test_a_record_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / RECORD_FILE).write_text("not a database, but long enough to look like one" * 9)
    with pytest.raises(Refused, match="no water is lost"):
        find(tmp_path, "VR2")


def test_the_supplement_is_the_need_less_what_was_drunk() -> None:
    assert supplement_ml(VR2, 250.0) == 0.75
    assert supplement_ml(VR2, 1200.0) == 0.0
    free = msgspec.structs.replace(VR2, restricted=False)
    assert supplement_ml(free, 0.0) == 0.0
    assert not underweight(free, [], TODAY)


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
    with record(tmp_path) as open_record:
        (row,) = open_record.sessions("VR2")
        assert open_record.get("VR2").stage == "train1"
    assert (row.folder, row.water_ul, row.reason) == (live.folder.name, 0.0, "time is up")


def test_an_animal_does_not_run_a_stage_that_is_not_for_its_cohort(tmp_path: Path) -> None:
    setup = tmp_path / "bench.toml"
    setup.write_text(BENCH)
    known(tmp_path, (TODAY, 24.0), subject=msgspec.structs.replace(VR2, cohort="pretrained"))
    with Live(tmp_path, setup=setup, subject="VR2") as live:
        code, output = live.end()
    assert code == 2
    assert "stage train1 is not for cohort pretrained" in output
    assert not list(tmp_path.glob("sub-*"))
