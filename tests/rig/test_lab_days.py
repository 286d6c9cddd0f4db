"""Days of a lab never go back, even when the local clock changes between summer and winter time."""

import sys
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from importlib.resources import files
from pathlib import Path

import pytest

from rig.settings import lab as lab_settings
from rig.settings.lab import LAB_FILE, Lab, read_lab

HOUR_S = 3600.0


@pytest.fixture(params=["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def local_time(request: pytest.FixtureRequest) -> Iterator[None]:
    if sys.platform == "win32":
        pytest.skip("Windows cannot change the time zone of a process")
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", request.param)
            time.tzset()
            yield
        time.tzset()


@pytest.mark.parametrize("starts", [clock_time(0), clock_time(1, 45), clock_time(2, 30)])
def test_days_follow_each_other_through_a_year(local_time: None, starts: clock_time) -> None:
    lab, at = Lab(starts), datetime(2026, 1, 1, 12).timestamp()
    before = lab.day_of(at)
    for _ in range(2 * 24 * 365):
        at += HOUR_S / 2
        day = lab.day_of(at)
        assert day - before in (timedelta(0), timedelta(days=1))
        assert lab.start_of(day) <= at < lab.start_of(day + timedelta(days=1))
        before = day


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no TZ")
def test_a_day_of_a_lab_with_a_time_zone_does_not_depend_on_tz(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LAB_FILE).write_text('time_zone = "Europe/Berlin"')
    at = datetime.fromisoformat("2026-11-30T23:30+01:00").timestamp()
    for zone in ("UTC", "Pacific/Kiritimati", "America/Los_Angeles"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        lab = read_lab(tmp_path)
        assert lab.day_of(at) == date(2026, 11, 30)
        assert lab.day_of(at + HOUR_S) == date(2026, 12, 1)
        assert lab.wrong_zone() == ""
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no TZ")
def test_a_tz_that_is_not_that_of_the_computer_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_computer = tmp_path / "localtime"
    of_computer.write_bytes(files("tzdata.zoneinfo.Europe").joinpath("Berlin").read_bytes())
    monkeypatch.setattr(lab_settings, "_COMPUTER_ZONE", of_computer)
    wrong = {}
    for zone in ("Europe/Paris", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        wrong[zone] = Lab().wrong_zone()
    monkeypatch.undo()
    time.tzset()
    assert wrong["Europe/Paris"] == ""
    assert wrong["Asia/Tokyo"].startswith("TZ = Asia/Tokyo is not the time zone of this computer")
