"""Yoked triggers: repeat those of another session, in the same trials at the same positions."""

import csv
import math
from pathlib import Path
from typing import NamedTuple

from analysis.triggers.settings import TriggerSettings
from analysis.triggers.signals import Moment
from analysis.triggers.trigger import Now, Requests
from rig.errors import Refused
from rig.messages import Message


class Raised(NamedTuple):
    """Trial and position at which the other session's line rose, and for how long it was up."""

    trial: int
    position_m: float
    up_ms: float


def read_raised(path: Path, rule: str) -> list[Raised]:
    """Read the lines that rose for a trigger, from the triggers.csv that `rig export` writes.

    Shams and refused triggers are left out, because they raised no line.

    Raises:
        Refused: The file is not a triggers.csv, or no line rose for a trigger of that name.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        raised = [(row["rule"], _raised(row)) for row in rows if row["up_ms"]]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise Refused(
            f"yoked_file {path} is not a table of triggers ({error!r}); give the triggers.csv that "
            "rig export FOLDER csv writes"
        ) from error
    own = [one for name, one in raised if name == rule and one.up_ms > 0]
    if not own:
        names = sorted({name for name, one in raised if one.up_ms > 0})
        raise Refused(
            f'yoked_file {path}: no line rose for a trigger "{rule}"; give this trigger the name '
            f"of one of: {', '.join(names) or 'none, since no line rose at all'}"
        )
    return own


def _raised(row: dict[str, str]) -> Raised:
    """Convert a row of the table. Raises ValueError or KeyError if it is not valid."""
    found = Raised(int(row["trial"]), float(row["line_position_m"]), float(row["up_ms"]))
    if not math.isfinite(found.position_m + found.up_ms):
        raise ValueError(f"trial {found.trial}: no position or length")
    return found


class YokedTrigger:
    """A trigger that raises its line in the same trials, at the same positions, as another session.

    A pulse has the length in this trigger's settings; a held line is up as long as in the other
    session.
    """

    of_frames = False

    def __init__(self, settings: TriggerSettings, raised: list[Raised], requests: Requests) -> None:
        self._settings, self._requests = settings, requests
        self._raised: dict[int, list[Raised]] = {}
        for one in raised:
            self._raised.setdefault(one.trial, []).append(one)

    def judge(self, moment: Moment, now: Now) -> list[Message]:
        """Handle the next tick; return the messages to publish."""
        waiting = self._raised.get(moment.trial, [])
        position_m = float(moment.values.get("position_m") or 0.0)
        if not waiting or position_m < waiting[0].position_m:
            return []
        one = waiting.pop(0)
        up_ms = self._settings.pulse_ms or min(one.up_ms, self._settings.hold_ms)
        request = self._requests.request(moment, now, up_ms, hold=False)
        return [] if request is None else [request]

    def release(self, t: int) -> list[Message]:
        """Return no message, because a yoked line ends by itself."""
        return []
