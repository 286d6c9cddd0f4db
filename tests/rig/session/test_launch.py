"""The end of a session: if the record cannot be written, log and water are still kept."""

from pathlib import Path

import pytest

from rig.session.launch import Unsettled, _End, _settle
from rig.settings.config import SETTINGS_FILE, read_session
from rig.subjects.booking import clock_step, open_booking, water_of_day
from rig.subjects.record import RECORD_FILE
from rig.subjects.session_water import WaterCount
from rig.transport.log import JOURNAL_FOLDER
from tests.rig.animals import begun, closed, ended, in_folder, valves


def test_a_record_damaged_during_a_session_is_reported_and_the_log_completed(
    tmp_path: Path,
) -> None:
    session = begun()
    folder = in_folder(tmp_path, session)
    open_booking(tmp_path, session, folder)
    whole = (tmp_path / RECORD_FILE).read_bytes()
    closed(folder, [*valves(4), ended(4)])
    (tmp_path / RECORD_FILE).write_text("not a database, but long enough to look like one" * 9)
    end = _End(folder, "done", False, WaterCount(""))
    with pytest.raises(Unsettled, match=rf"water is not entered .*rig recover {folder}"):
        _settle(end, folder, session, tmp_path)
    assert not (folder / JOURNAL_FOLDER).exists()
    (tmp_path / RECORD_FILE).write_bytes(whole)
    assert water_of_day(tmp_path, "VR2").at_most_ul == 12.0
    assert _settle(end, folder, session, tmp_path).booking.at_most_ul == 12.0


@pytest.mark.parametrize("left", [None, b"", b"{}", b'{"id": "of another session"}'])
def test_settings_that_were_removed_or_changed_during_a_session_are_written_again(
    tmp_path: Path, left: bytes | None
) -> None:
    session = begun()
    folder = in_folder(tmp_path, session)
    open_booking(tmp_path, session, folder)
    closed(folder, [*valves(4), ended(4)])
    (folder / SETTINGS_FILE).unlink()
    if left is not None:
        (folder / SETTINGS_FILE).write_bytes(left)
    outcome = _settle(_End(folder, "done", False, WaterCount("")), folder, session, tmp_path)
    assert read_session(folder) == session
    assert outcome.booking.at_most_ul == 12.0


@pytest.mark.parametrize(
    ("step_s", "text"),
    [
        (0.0, ""),
        (-9.0, ""),
        (9.0, ""),
        (-3600.0, "; the computer's clock was set back by 3600 s since the session began"),
        (60.0, "; the computer's clock was set forward by 60 s since the session began"),
    ],
)
def test_a_clock_that_was_set_during_the_session_is_reported(step_s: float, text: str) -> None:
    assert clock_step(step_s) == text
