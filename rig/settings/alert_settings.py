"""The settings of alerts in ~/.config/rig/alerts.toml, which contains passwords and is private."""

import os
import re
import stat
from datetime import time
from pathlib import Path

import msgspec

from rig.errors import Refused
from rig.settings.config import convert
from rig.settings.toml import read_toml

_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which alerts are sent, and by which channels."""

    channels: list[str]
    """Addresses of the apprise library, for example "mailto://user:password@lab.org"."""
    faults: bool = True
    session_end: bool = True
    water_at: str = ""
    """Time of day at which water that is still missing is reported, HH:MM; "": never."""

    @property
    def water_time(self) -> time | None:
        """The time of day in `water_at`; None for never."""
        return time.fromisoformat(self.water_at) if self.water_at else None


def alerts_file() -> Path:
    """Return the path of this user's alerts.toml."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA")
    return (Path(home) if home else Path.home() / ".config") / "rig" / "alerts.toml"


def read_alerts() -> AlertSettings | None:
    """Return the settings of alerts; None if there are none.

    Raises:
        Refused: The file is not valid, or other users can read it.
    """
    path = alerts_file()
    if not path.exists():
        return None
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Refused(
            f"{path} can be read by other users, and contains passwords; run: chmod 600 {path}"
        )
    settings = convert(read_toml(path), AlertSettings, str(path))
    if not settings.channels:
        raise Refused(f"{path}: channels is empty; list at least one, or delete the file")
    if settings.water_at and not _TIME.fullmatch(settings.water_at):
        raise Refused(
            f'{path}: water_at = "{settings.water_at}" is not a time; write, for example, "18:30"'
        )
    return settings
