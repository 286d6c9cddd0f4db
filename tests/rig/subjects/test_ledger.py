"""The ledger has all water that an animal was given, whatever happens to folders and clocks."""

import shutil
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rig.clock import monotonic_ns
from rig.errors import Refused
from rig.messages import Valve
from rig.settings.config import SessionSettings
from rig.settings.lab import LAB_FILE, Lab, read_lab
from rig.subjects import booking as bookings
from rig.subjects.begun_water import BegunWater, remove_begun
from rig.subjects.booking import (
    close_booking,
    days_of_water,
    next_number,
    open_booking,
    water_of_day,
)
from rig.subjects.ledger import Ledger, Supplement
from rig.subjects.record import RECORD_FILE, open_record
from rig.subjects.record_check import CHECK_FILE
from rig.subjects.session_identity import save_settings, session_of
from rig.subjects.water_reserve import RESERVE_FILE
from rig.transport.log import JOURNAL_FOLDER
from tests.rig.animals import (
    SIMULATED,
    TODAY,
    begun,
    closed,
    cut_off,
    ended,
    in_folder,
    reserve,
    valves,
)
from tests.rig.flip_bits import silent_record_flips, write_record


def run(data: Path, rewards: int, number: int = 1, at: float | None = None) -> Path:
    """Have a session of VR2 run to its end; return its folder."""
    session = begun(at=at)
    folder = in_folder(data, session, number)
    open_booking(data, session, folder)
    closed(folder, [*valves(rewards), ended(rewards)])
    close_booking(data, session, folder, "done")
    return folder


def killed(data: Path, rewards: int, at: float | None = None) -> tuple[SessionSettings, Path]:
    """Have a session of VR2 killed before it is closed; return it and its folder."""
    session = begun(at=at)
    folder = in_folder(data, session)
    open_booking(data, session, folder)
    cut_off(folder, valves(rewards))
    reserve(folder, 15.0)
    return session, folder


def today(data: Path) -> tuple[Any, Any]:
    water = water_of_day(data, "VR2")
    return pytest.approx(water.at_least_ul, abs=0.01), pytest.approx(water.at_most_ul, abs=0.01)


def move(folder: Path) -> None:
    folder.rename(folder.parents[2] / "elsewhere")


def rename(folder: Path) -> None:
    folder.rename(folder.with_name(f"{folder.name}_good"))


def copy(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name(f"{folder.name} - Copy"))
    shutil.copytree(folder, folder.with_name(f"backup_{folder.name}"))


def empty(folder: Path) -> None:
    for path in folder.rglob("*.mcap"):
        path.write_bytes(b"")


@pytest.mark.parametrize("change", [move, rename, copy, shutil.rmtree, empty])
def test_a_closed_session_stays_in_the_ledger_whatever_happens_to_its_folder(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    data = tmp_path / "data"
    folder = run(data, 5)
    assert today(data) == (15.0, 15.0)
    change(folder)
    assert today(data) == (15.0, 15.0)


@pytest.mark.parametrize("change", [move, shutil.rmtree, empty])
def test_a_session_that_was_killed_and_lost_counts_as_the_rest_of_the_day(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    data = tmp_path / "data"
    _, folder = killed(data, 4)
    assert today(data) == (12.0, 15.0)
    change(folder)
    (folder / RESERVE_FILE).unlink(missing_ok=True)
    assert today(data)[1] == 1000.0


def test_a_session_that_was_killed_is_booked_with_its_bounds(tmp_path: Path) -> None:
    session, folder = killed(tmp_path, 4)
    booked = close_booking(tmp_path, session, folder, "recovered")
    assert booked.at_least_ul == 12.0
    assert booked.at_most_ul == pytest.approx(15.0, abs=0.001)
    assert booked.text == "at least 12 ul, at most 15.001 ul"
    move(folder)
    assert today(tmp_path) == (12.0, 15.0)


def test_an_old_copy_does_not_lower_what_was_given(tmp_path: Path) -> None:
    session, folder = killed(tmp_path, 4)
    old = folder.with_name("a copy of it")
    shutil.copytree(folder, old)
    (folder / JOURNAL_FOLDER / "hardware.mcap").unlink()
    cut_off(folder, valves(7))
    reserve(folder, 15.0, 27.0)
    assert today(tmp_path) == (21.0, 27.0)
    assert close_booking(tmp_path, session, old, "recovered").at_most_ul > 26.9


def test_a_closed_row_is_never_lowered(tmp_path: Path) -> None:
    folder = run(tmp_path, 5)
    session = session_of(folder)
    empty(folder)
    kept = close_booking(tmp_path, session, folder, "again")
    assert (kept.at_least_ul, kept.reason) == (15.0, "done")
    assert today(tmp_path) == (15.0, 15.0)


def test_a_closed_row_keeps_its_reason_if_its_session_is_recovered(tmp_path: Path) -> None:
    folder = run(tmp_path, 5)
    kept = close_booking(tmp_path, session_of(folder), folder, "recovered")
    assert (kept.at_least_ul, kept.at_most_ul, kept.reason) == (15.0, 15.0, "done")


def test_a_number_is_not_used_again_after_its_folder_is_gone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert next_number(data, "VR2", TODAY) == 1
    move(run(data, 5, at=time.time()))
    assert next_number(data, "VR2", TODAY) == 2
    run(data, 5, 2, at=time.time())
    assert today(data) == (30.0, 30.0)


def test_the_start_of_a_session_is_that_of_its_row(tmp_path: Path) -> None:
    """Without the log's Start the settings are read, which have no checksum."""
    session, folder = killed(tmp_path, 4)
    before = today(tmp_path)
    (folder / JOURNAL_FOLDER / "launch.mcap").unlink()
    changed = msgspec.structs.replace(session, began="2019-01-01T12:00:00+00:00")
    save_settings(folder, changed)
    assert today(tmp_path) == before == (12.0, 15.0)
    close_booking(tmp_path, session_of(folder), folder, "recovered")
    assert today(tmp_path) == before


def test_an_older_record_that_lacks_a_session_is_reported(tmp_path: Path) -> None:
    run(tmp_path, 1)
    assert water_of_day(tmp_path, "VR2").remarks == ()
    older = {path: path.read_bytes() for path in tmp_path.glob("subjects.*")}
    run(tmp_path, 3, number=2)
    for path, data in older.items():
        path.write_bytes(data)
    for _ in range(2):  # also after it was entered
        (remark,) = water_of_day(tmp_path, "VR2").remarks
        assert "_2 was not in the record and was entered from its folder" in remark
    assert today(tmp_path) == (12.0, 12.0)


def test_folders_that_the_record_does_not_know_are_entered_once(tmp_path: Path) -> None:
    folder = run(tmp_path, 5)
    (tmp_path / RECORD_FILE).unlink()
    (tmp_path / CHECK_FILE).unlink()
    rename(folder)
    for _ in range(2):
        assert today(tmp_path) == (15.0, 15.0)
    with open_record(tmp_path) as record:
        assert len(Ledger(record).sessions("VR2")) == 1


def test_the_settings_are_read_from_the_journal_if_their_file_is_gone(tmp_path: Path) -> None:
    session, folder = killed(tmp_path, 4)
    (folder / "settings.json").write_text("{")
    assert session_of(folder) == session
    assert today(tmp_path) == (12.0, 15.0)
    (folder / JOURNAL_FOLDER / "launch.mcap").unlink()
    with pytest.raises(Refused, match="is not a session folder"):
        session_of(folder)


def test_a_folder_whose_session_is_unknown_is_named(tmp_path: Path) -> None:
    folder = in_folder(tmp_path, begun())
    cut_off(folder, valves(4))
    (folder / "settings.json").write_text("{")
    (folder / JOURNAL_FOLDER / "launch.mcap").unlink()
    (one,) = water_of_day(tmp_path, "VR2").unreadable
    assert one.folder == folder


def test_a_session_of_another_animal_or_a_rehearsal_in_the_folder_does_not_count(
    tmp_path: Path,
) -> None:
    for number, session in enumerate((begun(name="VR3"), begun()), 1):
        practised = msgspec.structs.replace(session, rehearsal=session.subject == "VR2")
        folder = in_folder(tmp_path, practised, number)
        if session.subject == "VR3":
            (tmp_path / "sub-VR2").mkdir(exist_ok=True)
            folder = folder.rename(tmp_path / "sub-VR2" / "ses-20260101_9")
        closed(folder, [*valves(4), ended(4)])
    assert today(tmp_path) == (0.0, 0.0)


def across_midnight(data: Path) -> tuple[float, Path]:
    """Run a session across last midnight: a reward each second, six before and four after."""
    midnight = Lab().start_of(TODAY)
    session = begun(at=midnight - 6.5)
    folder = in_folder(data, session)
    open_booking(data, session, folder)
    given = [v for v in valves(10) if isinstance(v, Valve)]
    seconds = [msgspec.structs.replace(v, t=v.id * 1_000_000_000 + 1) for v in given]
    closed(folder, [*seconds, ended(10)])
    close_booking(data, session, folder, "done")
    return midnight, folder


def test_water_counts_on_the_day_on_which_it_was_given(tmp_path: Path) -> None:
    across_midnight(tmp_path)
    assert today(tmp_path) == (9.0, 9.0)
    assert water_of_day(tmp_path, "VR2", TODAY - timedelta(days=1)).at_most_ul == 21.0
    assert days_of_water(tmp_path, "VR2") == [TODAY - timedelta(days=1), TODAY]


def test_water_of_a_clock_that_was_a_day_behind_counts_on_the_day_to_which_it_was_set(
    tmp_path: Path,
) -> None:
    day_s = 24 * 3600.0
    session = begun(at=time.time() - day_s)
    folder = in_folder(tmp_path, session)
    open_booking(tmp_path, session, folder)
    closed(folder, [*valves(4), ended(4)])
    close_booking(tmp_path, session, folder, "done", step_s=day_s)
    assert today(tmp_path) == (12.0, 12.0)
    close_booking(tmp_path, session, folder, "recovered")
    assert today(tmp_path) == (12.0, 12.0)


@pytest.mark.parametrize(("suspended", "given_ul"), [(0.0, 12.0), (3600.0, 0.0)])
def test_a_killed_session_counts_on_the_day_to_which_the_clock_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suspended: float, given_ul: float
) -> None:
    """The monotonic clock shows the step, unless the computer was suspended."""
    monkeypatch.setattr(bookings, "suspended_s", lambda: suspended)
    began = begun(at=time.time() - 24 * 3600.0)
    session = msgspec.structs.replace(began, t0_ns=monotonic_ns())
    folder = in_folder(tmp_path, session)
    open_booking(tmp_path, session, folder)
    note = BegunWater(session.id)
    try:
        closed(folder, [*valves(4), ended(4)])
        assert today(tmp_path) == (given_ul, given_ul)  # before it is recovered
        booking = close_booking(tmp_path, session, folder, "recovered")
        assert today(tmp_path) == (given_ul, given_ul)
        said = "the computer's clock was set forward by 86400 s since the session began"
        assert (said in booking.reason) == (given_ul > 0.0)
    finally:
        note.close()
        remove_begun(session.id)


def test_a_day_begins_when_the_lab_says(tmp_path: Path) -> None:
    midnight, _ = across_midnight(tmp_path)
    (tmp_path / LAB_FILE).write_text('day_starts = "07:30"')
    lab = read_lab(tmp_path)
    assert lab.day_of(midnight + 7.4 * 3600) == TODAY - timedelta(days=1)
    assert lab.day_of(midnight + 7.6 * 3600) == TODAY
    assert lab.start_of(TODAY) == midnight + 7.5 * 3600
    assert water_of_day(tmp_path, "VR2", TODAY - timedelta(days=1)).at_most_ul == 30.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("day_starts = 7", "is not a time; write"),
        ('day_starts = "24:00"', "is not a time; write"),
        (
            'day_start = "07:00"',
            'unknown key "day_start"; the keys are day_starts, time_zone and checklist',
        ),
        ('time_zone = "Berlin"', "is not a time zone; write"),
        ('time_zone = "../zone"', "is not a time zone; write"),
        ('time_zone = "Europe"', "is not a time zone; write"),
        ("time_zone = 2", "is not a time zone; write"),
        ('time_zone = ""', "is not a time zone; write"),
        ('checklist = "all"', "checklist is a list of texts"),
    ],
)
def test_a_wrong_setting_of_the_lab_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / LAB_FILE).write_text(text)
    with pytest.raises(Refused, match=sentence):
        read_lab(tmp_path)


def test_water_of_unknown_time_counts_on_every_possible_day(tmp_path: Path) -> None:
    session, folder = killed(tmp_path, 4, at=Lab().start_of(TODAY) - 600)
    shutil.rmtree(folder)
    assert water_of_day(tmp_path, "VR2", TODAY - timedelta(days=1)).at_most_ul == 1000.0
    assert today(tmp_path)[1] == 1000.0
    assert (
        "folder is missing: it counts as up to 1000 ul" in water_of_day(tmp_path, "VR2").remarks[0]
    )
    assert session.id


def test_entries_dated_in_the_future_count_and_are_reported(tmp_path: Path) -> None:
    tomorrow = time.time() + 24 * 3600
    run(tmp_path, 5, at=tomorrow)
    with open_record(tmp_path) as record:
        Ledger(record).give("VR2", Supplement(tomorrow, 500.0))
    water = water_of_day(tmp_path, "VR2")
    assert (water.at_least_ul, water.at_most_ul) == (515.0, 515.0)
    assert [text.split(" is dated in the future")[0] for text in water.remarks] == [
        f"ses-{datetime.fromtimestamp(tomorrow):%Y%m%d}_1",
        "supplement",
    ]


def test_a_clock_that_was_set_back_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, 5)
    assert bookings.clock_behind_s(tmp_path) < 1.0
    yesterday = time.time() - 24 * 3600
    monkeypatch.setattr(time, "time", lambda: yesterday)
    assert bookings.clock_behind_s(tmp_path) == pytest.approx(24 * 3600, abs=60)
    assert today(tmp_path) == (15.0, 15.0)


def test_a_record_with_a_flipped_bit_is_refused_or_unchanged(tmp_path: Path) -> None:
    write_record(tmp_path, animals=2, days=3, pulses=100)
    assert silent_record_flips(tmp_path, flips=200, seed=1) == []


def test_simulated_animals_are_entered_as_well(tmp_path: Path) -> None:
    session = begun(SIMULATED, "demo")
    folder = in_folder(tmp_path, session)
    open_booking(tmp_path, session, folder)
    closed(folder, [*valves(5), ended(5)])
    close_booking(tmp_path, session, folder, "done")
    assert water_of_day(tmp_path, "demo").at_most_ul == 15.0
