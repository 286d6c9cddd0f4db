"""rig alerts: test the channels, and report water that is still missing."""

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from rig.cli.alerts.channels import Channels
from rig.cli.sessions.run import Data
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.settings.alert_settings import AlertSettings, alerts_file, read_alerts
from rig.subjects.booking import water_of_day
from rig.subjects.record import RECORD_FILE, open_record
from rig.subjects.welfare import supplement_ml

alerts = typer.Typer(
    help="Alerts by mail, telephone or chat: test them, report missing water.",
    no_args_is_help=True,
)
_WITHIN_S = 30.0


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
    while True:
        now = datetime.now()
        due = datetime.combine(now.date(), at)
        due += timedelta(days=1) * (due <= now)
        new_console().print(f"missing water is reported at {due:%d %b %H:%M}   (Ctrl-C ends it)")
        time.sleep((due - now).total_seconds())
        _send_missing(data, channels)


def missing_water(data: Path) -> list[str]:
    """Return a line for each restricted animal that must still be given water today."""
    if not (data / RECORD_FILE).exists():
        raise Refused(f"{data} has no record of animals; give --data, or add one: rig subject add")
    with open_record(data) as record:
        animals = [one for one in record.subjects() if one.restricted and not one.retired]
    lines = []
    for animal in animals:
        today = water_of_day(data, animal.name)
        due_ml = supplement_ml(animal, today.at_least_ul)
        if due_ml > 0:
            text = f"{animal.name}: {due_ml:.3f} ml of {animal.need_ml:g} ml are missing"
            lines.append(f"{text} (given today: {today.text})")
    return lines


def _send_missing(data: Path, channels: Channels) -> None:
    lines = missing_water(data)
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
