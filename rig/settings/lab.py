"""Settings of a whole lab: its data folder, when and where a day begins, and its checklist."""

import os
import re
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from rig.errors import Refused
from rig.settings.toml import read_toml

DATA_VARIABLE = "RIG_DATA"
LAB_FILE = "lab.toml"
"""Name of the file in the data folder, so that all users of the data have the same days."""
REHEARSAL_FOLDER = "rehearsal"
"""Name of the folder in the data folder that is a separate data folder for rehearsals."""
_USER_FILE = "rig/rig.toml"
_COMPUTER_ZONE = Path("/etc/localtime")
"""File with the computer's time zone, on Linux and macOS."""
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def default_data() -> Path:
    """Return the data folder if `--data` is omitted; it does not depend on the current folder.

    It is the value of RIG_DATA, or else of `data` in ~/.config/rig/rig.toml, or else ~/rig-data.
    Raises Refused if a relative path is set.
    """
    user_file = _user_file()
    named = {
        f"the environment variable {DATA_VARIABLE}": os.environ.get(DATA_VARIABLE, ""),
        str(user_file): read_toml(user_file).get("data", "") if user_file.exists() else "",
    }
    for where, folder in named.items():
        if folder and not Path(str(folder)).is_absolute():
            raise Refused(f'{where}: data folder "{folder}" is not absolute; write its whole path')
        if folder:
            return Path(str(folder))
    return Path.home() / "rig-data"


def is_rehearsal(data: Path) -> bool:
    """Return True if a data folder is for rehearsals."""
    return data.name == REHEARSAL_FOLDER


CHECKLIST = (
    "It is head-fixed, and the wheel or ball turns freely",
    "The spout is in reach of its tongue, and a drop hangs from it",
    "The screens show grey, and the room is dark",
    "The microscope is focused, armed, and saves to the right folder",
)
"""The checklist on the panel before a session, unless the lab has its own checklist."""


class Lab(msgspec.Struct, frozen=True):
    """The time at which a day of the lab begins, for water and weights; and its checklist."""

    day_starts: time = time()
    checklist: tuple[str, ...] = CHECKLIST
    time_zone: ZoneInfo | None = None
    """The time zone of the days; None: local time, which depends on TZ."""

    def day_of(self, at: float) -> date:
        """Return the day to which a moment (seconds since 1970) belongs."""
        day = datetime.fromtimestamp(at, self.time_zone).date()
        return day if at >= self.start_of(day) else day - timedelta(days=1)

    def start_of(self, day: date) -> float:
        """Return when a day begins (seconds since 1970)."""
        return datetime.combine(day, self.day_starts, self.time_zone).timestamp()

    def wrong_zone(self) -> str:
        """Return a sentence if local time is not that of the computer, because TZ is set; or "".

        A day of water would begin at another time than in other terminals.
        """
        zone = os.environ.get("TZ")
        if not zone or self.time_zone is not None or not _COMPUTER_ZONE.exists():
            return ""
        with _COMPUTER_ZONE.open("rb") as file:
            computers = datetime.now(ZoneInfo.from_file(file)).utcoffset()
        if computers == datetime.now().astimezone().utcoffset():
            return ""
        return (
            f"TZ = {zone} is not the time zone of this computer, so days of water begin at another "
            f"time than before; unset TZ, or set time_zone in {LAB_FILE} in the data folder"
        )


def read_lab(data: Path) -> Lab:
    """Return the lab's settings from lab.toml in the data folder. Raises Refused if not valid."""
    path = data / LAB_FILE
    if not path.exists():
        return Lab()
    table = read_toml(path)
    text, items = table.pop("day_starts", "00:00"), table.pop("checklist", list(CHECKLIST))
    zone = table.pop("time_zone", None)
    if table:
        raise Refused(
            f'{path}: unknown key "{next(iter(table))}"; the keys are day_starts, time_zone and '
            "checklist"
        )
    if not (isinstance(items, list) and all(isinstance(item, str) for item in items)):
        raise Refused(f'{path}: checklist is a list of texts, such as ["The spout is in reach"]')
    if not (isinstance(text, str) and _TIME.fullmatch(text)):
        raise Refused(f'{path}: day_starts = {text!r} is not a time; write, for example, "07:00"')
    return Lab(time.fromisoformat(text), tuple(items), _time_zone(zone, path))


def _time_zone(name: object, path: Path) -> ZoneInfo | None:
    """Return the time zone of that name; None if there is no name. Raises Refused."""
    try:
        return None if name is None else ZoneInfo(str(name))
    except (KeyError, ValueError, OSError) as error:  # KeyError: there is no such zone
        raise Refused(
            f"{path}: time_zone = {name!r} is not a time zone; write, for example, "
            '"America/New_York"'
        ) from error


def _user_file() -> Path:
    config = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(config) if config else Path.home() / ".config") / _USER_FILE
