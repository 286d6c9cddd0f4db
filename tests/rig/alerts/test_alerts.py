"""Channels, the texts that are sent, and missing water."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from datetime import time as clock_time
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rig.cli.alerts.channels import Channels
from rig.cli.alerts.command import missing_water, report_daily
from rig.cli.alerts.session_process import SessionAlerts
from rig.cli.main import app
from rig.errors import Refused
from rig.messages import Fault, Message, Stop, TrialEnd
from rig.monitor.state import MonitorState
from rig.settings.alert_settings import AlertSettings, read_alerts
from rig.subjects.ledger import Ledger, Supplement
from rig.subjects.record import Subject, open_record
from tests.analysis.logs import MS, corridor, enveloped
from tests.rig.alerts.receiver import receiver, write_alerts
from tests.rig.monitor.test_state import STARTED

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def test_a_test_text_reaches_every_channel(config: Path) -> None:
    with receiver() as one, receiver() as other:
        write_alerts(config, one.address, other.address)
        result = CliRunner().invoke(app, ["alerts", "test"])
        assert result.exit_code == 0, result.output
        assert "channel 1 (json): sent" in result.output
        assert one.next() == other.next() == ("rig: test", "Alerts of the rig reach you here.")


def test_a_dead_channel_is_named_without_its_password(config: Path) -> None:
    with receiver(status=500) as dead, receiver() as good:
        secret = dead.address.replace("127", "user:secret@127")
        write_alerts(config, secret, good.address)
        result = CliRunner().invoke(app, ["alerts", "test"])
    assert isinstance(result.exception, Refused)
    assert str(result.exception) == ("channel 1 (json) failed; check its address in alerts.toml")
    assert "secret" not in result.output
    assert "channel 2 (json): sent" in result.output


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("channels = []", "channels is empty"),
        ("channels = ['nothing://x']", "not an address that apprise knows"),
        ("channels = ['json://x']\nwater_at = '25:00'", "is not a time"),
        ("channels = ['json://x']\nloud = true", "loud"),
        ("channels = 'json://x'", "channels"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(config: Path, text: str, why: str) -> None:
    write_alerts(config).write_text(text)
    result = CliRunner().invoke(app, ["alerts", "test"])
    assert isinstance(result.exception, Refused)
    assert why in str(result.exception)
    assert "\n" not in str(result.exception)


def test_settings_that_others_can_read_are_refused(config: Path) -> None:
    assert read_alerts() is None
    write_alerts(config, "json://x").chmod(0o640)
    with pytest.raises(Refused, match="chmod 600"):
        read_alerts()


def test_a_stalled_channel_delays_neither_the_others_nor_the_caller() -> None:
    with receiver(stalled=True) as stalled, receiver() as good:
        channels = Channels([stalled.address, good.address])
        begun = time.monotonic()
        for number in range(100):
            channels.send("fault", str(number))
        assert time.monotonic() - begun < 1.0
        received = [good.next()]
        assert received[0][0] == "fault"
        assert channels.close(1.0)[0] == "channel 1 (json) did not answer within 1 s"


class Kept:
    """Collect what would be sent."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []

    def send(self, title: str, body: str) -> None:
        self.texts.append((title, body))


def fold(state: MonitorState, *messages: Message | tuple[str, Message]) -> None:
    for envelope, message in enveloped(messages):
        state.handle(envelope, message)


def test_the_first_fault_is_sent_at_once_and_the_next_ones_together() -> None:
    state, kept = MonitorState(), Kept()
    alerts = SessionAlerts(AlertSettings(channels=[]), kept)
    fold(state, STARTED, ("stream", Fault(1, "frame 5 is missing")))
    alerts.look(state, 0.0)
    alerts.look(state, 1.0)
    assert kept.texts == [("VR2 on left: fault", "stream: frame 5 is missing")]
    for number in range(12):
        fold(state, ("stream", Fault(2, f"frame {number} is missing")))
        alerts.look(state, 2.0 + number)
    assert len(kept.texts) == 1
    alerts.look(state, 61.0)
    assert kept.texts[1][1].count("\n") == 10
    assert kept.texts[1][1].endswith("and 2 more")


def test_the_end_is_sent_once_with_what_the_animal_got() -> None:
    state, kept = MonitorState(), Kept()
    alerts = SessionAlerts(AlertSettings(channels=[], faults=False), kept)
    fold(state, STARTED, corridor(0, "leaf1", 1), TrialEnd(60_000 * MS, 0, "done"))
    fold(state, ("hardware", Fault(60_000 * MS, "valve")), Stop(60_000 * MS, "time is up", ()))
    alerts.look(state, 0.0)
    alerts.look(state, 1.0)
    alerts.lost(state)
    assert kept.texts == [
        (
            "VR2 on left: session ended",
            "time is up. 1 trials in 1 min, 0.0 ul in this session, 1 faults.",
        )
    ]


def test_a_session_that_is_cut_off_is_reported() -> None:
    state, kept = MonitorState(), Kept()
    alerts = SessionAlerts(AlertSettings(channels=[]), kept)
    fold(state, STARTED)
    alerts.look(state, 0.0)
    alerts.lost(state)
    assert kept.texts[0][0] == "VR2 on left: session cut off"


def test_missing_water_is_that_of_restricted_animals_at_work(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with open_record(data) as record:
        record.add(Subject("VR1", "task", "train1", 25.0, restricted=True, need_ml=1.0))
        record.add(Subject("VR2", "naive", "train1", 25.0, restricted=False, need_ml=1.0))
        record.add(Subject("VR3", "task", "train1", 25.0, True, 1.0, retired=True))
    (line,) = missing_water(data)
    assert line.startswith("VR1: 1.000 ml of 1 ml are missing")


class Days:
    """A clock that advances only by waiting; it ends the wait at a given time."""

    def __init__(self, now: datetime, until: datetime) -> None:
        self.time, self.until = now, until
        self.sent: list[tuple[datetime, str]] = []
        self.due: list[tuple[datetime, Callable[[], object]]] = []

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 60
        self.time += timedelta(seconds=seconds)
        while self.due and self.due[0][0] <= self.time:
            self.due.pop(0)[1]()
        if self.time > self.until:
            raise KeyboardInterrupt

    def send(self, title: str, text: str) -> None:
        self.sent.append((self.time, f"{title}: {text}"))


def wait(data: Path, days: Days, at: str) -> list[tuple[str, str]]:
    """Report daily until the end of the days; return when and what was sent."""
    with pytest.raises(KeyboardInterrupt):
        report_daily(data, days, clock_time.fromisoformat(at), days.now, days.sleep)
    return [(f"{when:%d %H:%M}", text.partition(" (given")[0]) for when, text in days.sent]


def given(data: Path, at: datetime, ul: float) -> None:
    with open_record(data) as record:
        Ledger(record).give("VR1", Supplement(at.timestamp(), ul, ""))


@pytest.fixture
def restricted(tmp_path: Path) -> Path:
    """Return a data folder with an animal that needs 1 ml a day."""
    data = tmp_path / "data"
    data.mkdir()
    with open_record(data) as record:
        record.add(Subject("VR1", "task", "train1", 25.0, restricted=True, need_ml=1.0))
    return data


MISSES = "rig: 1 animals without their water: VR1: {} ml of 1 ml are missing"


def test_water_is_reported_every_day_and_that_of_yesterday_does_not_count(restricted: Path) -> None:
    days = Days(datetime(2026, 11, 30, 17, 0), datetime(2026, 12, 3, 18, 0))
    for at, ul in (
        (datetime(2026, 11, 30, 18, 0), 400.0),
        (datetime(2026, 11, 30, 19, 0), 600.0),  # too late for the first report
        (datetime(2026, 12, 2, 0, 5), 1000.0),
    ):
        days.due.append((at, partial(given, restricted, at, ul)))
    assert wait(restricted, days, "18:30") == [
        ("30 18:30", MISSES.format("0.600")),
        ("01 18:30", MISSES.format("1.000")),
    ]


def test_a_report_after_midnight_is_of_the_lab_s_day(restricted: Path) -> None:
    (restricted / "lab.toml").write_text('day_starts = "07:00"\n')
    days = Days(datetime(2026, 11, 30, 17, 0), datetime(2026, 12, 2, 6, 0))
    given(restricted, datetime(2026, 11, 30, 20, 0), 1000.0)
    assert wait(restricted, days, "00:30") == [("02 00:30", MISSES.format("1.000"))]


def test_a_record_that_cannot_be_read_is_reported_and_read_again(
    restricted: Path, tmp_path: Path
) -> None:
    days = Days(datetime(2026, 11, 30, 17, 0), datetime(2026, 12, 2, 12, 0))
    elsewhere = tmp_path / "elsewhere"
    restricted.rename(elsewhere)  # like a disk that is not mounted
    days.due.append((datetime(2026, 12, 1, 9, 0), lambda: elsewhere.replace(restricted)))
    first, second = wait(restricted, days, "18:30")
    assert first[0] == "30 18:30"
    assert first[1].startswith(f"rig: missing water is not known: {restricted} has no record")
    assert second == ("01 18:30", MISSES.format("1.000"))


def test_missing_water_is_sent(tmp_path: Path, config: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with open_record(data) as record:
        record.add(Subject("VR1", "task", "train1", 25.0, restricted=True, need_ml=1.0))
    with receiver() as channel:
        write_alerts(config, channel.address)
        result = CliRunner().invoke(app, ["alerts", "water", "--data", str(data)])
        assert result.exit_code == 0, result.output
        assert channel.next()[0] == "rig: 1 animals without their water"
    result = CliRunner().invoke(app, ["alerts", "water", "--data", str(data), "--wait"])
    assert "no water_at" in str(result.exception)
