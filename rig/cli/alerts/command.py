"""rig alerts: test the channels, and report water that is still missing."""

import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Annotated, Protocol

import typer
from rich.text import Text

from rig.cli.alerts.channels import Channels
from rig.cli.sessions.run import Data
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.settings.alert_settings import AlertSettings, alerts_file, read_alerts
from rig.settings.lab import read_lab
from rig.subjects.booking import water_of_day
from rig.subjects.record import has_record, open_record
from rig.subjects.welfare import supplement_ml

alerts = typer.Typer(
    help="Alerts by mail, telephone or chat: test them, report missing water.",
    no_args_is_help=True,
)
_WITHIN_S = 30.0
_LOOK_S = 60.0
"""How often the clock is read while waiting, s: it may be set, and the computer may sleep."""


class Sender(Protocol):
    """Where a text is sent."""

    def send(self, title: str, text: str) -> None:
        """Send a text; never waits."""


@alerts.command()
def test() -> None:
    """Send a test text by every channel of ~/.config/rig/alerts.toml."""
    settings = _settings()
    channels = Channels(settings.channels)
    channels.send("rig: test", "Alerts of the rig reach you here.")
    _report(channels)


@alerts.command()
def water(
    data: Data,
    wait: Annotated[
        bool, typer.Option("--wait", help="Report every day at water_at, until Ctrl-C.")
    ] = False,
) -> None:
    """Report the animals that must still be given water today; nothing if there are none."""
    settings = _settings()
    channels = Channels(settings.channels)
    if not wait:
        _send_missing(data, channels)
        _report(channels)
        return
    at = settings.water_time
    if at is None:
        raise Refused(f'{alerts_file()} has no water_at; add, for example, water_at = "18:30"')
    report_daily(data, channels, at)


def report_daily(
    data: Path,
    channels: Sender,
    at: clock_time,
    now: Callable[[], datetime] = datetime.now,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Report missing water every day at a time of day, until interrupted.

    A record that cannot be read is reported instead, and read again on the next day.
    """
    while True:
        due = datetime.combine(now().date(), at)
        due += timedelta(days=1) * (due <= now())
        new_console().print(f"missing water is reported at {due:%d %b %H:%M}   (Ctrl-C ends it)")
        while (left_s := (due - now()).total_seconds()) > 0:
            sleep(min(left_s, _LOOK_S))
        try:
            _send_missing(data, channels, read_lab(data).day_of(due.timestamp()))
        except Refused as refusal:
            new_console().print(Text(str(refusal)))
            channels.send("rig: missing water is not known", str(refusal))


def missing_water(data: Path, day: date | None = None) -> list[str]:
    """Return a line for each restricted animal that must still be given water today.

    `day` is another day of the lab than today.
    """
    if not has_record(data):
        raise Refused(f"{data} has no record of animals; give --data, or add one: rig subject add")
    with open_record(data) as record:
        animals = [one for one in record.subjects() if one.restricted and not one.retired]
    lines = []
    for animal in animals:
        today = water_of_day(data, animal.name, day)
        due_ml = supplement_ml(animal, today.at_least_ul)
        if due_ml > 0:
            text = f"{animal.name}: {due_ml:.3f} ml of {animal.need_ml:g} ml are missing"
            lines.append(f"{text} (given today: {today.text})")
    return lines


def _send_missing(data: Path, channels: Sender, day: date | None = None) -> None:
    lines = missing_water(data, day)
    for line in lines:
        new_console().print(line)
    if lines:
        channels.send(f"rig: {len(lines)} animals without their water", "\n".join(lines))
    else:
        new_console().print("no animal needs more water today")


def _settings() -> AlertSettings:
    settings = read_alerts()
    if settings is None:
        raise Refused(
            f"there is no {alerts_file()}; write it, with a line such as channels = "
            '["mailto://user:password@lab.org"], and make it private: chmod 600'
        )
    return settings


def _report(channels: Channels) -> None:
    """Print the channels that sent the text. Raises Refused if one of them failed."""
    wrong = channels.close(_WITHIN_S)
    for channel in channels.all:
        if channel.sent:
            new_console().print(Text(f"{channel.name}: sent"))
    if wrong:
        raise Refused("; ".join(wrong))
