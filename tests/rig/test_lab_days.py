"""Days of a lab never go back, even when the local clock changes between summer and winter time."""

import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from datetime import time as clock_time

import pytest

from rig.settings.lab import Lab

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
