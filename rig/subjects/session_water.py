"""The water of one session, read from its log, its driver's journal and its reserve file.

It is exact if the driver published its Ended and every Valve that it counts was read. Otherwise
the driver was killed or a file is damaged, and what had been reserved on disk bounds it: nothing
is given before it is reserved. Until the computer restarts, what was begun bounds it more closely:
to one reward.
"""

from pathlib import Path

import msgspec

from rig.messages import Ended, Message, Valve, Wheel, kind
from rig.settings.config import SETTINGS_FILE
from rig.settings.device_factory import HARDWARE
from rig.subjects.begun_water import read_begun
from rig.subjects.water_reserve import RESERVE_FILE, Unreadable, read_reserved
from rig.transport.envelope import Envelope
from rig.transport.log import JOURNAL_FOLDER, LOG_FILE, read, read_completeness, read_kinds

_ROUNDING_UL = 0.01


class SessionWater(msgspec.Struct, frozen=True):
    """What one session gave."""

    pulses: tuple[tuple[int, float], ...]
    """Time (ns of the session clock) and volume (microlitres) of each pulse."""
    unknown_ul: float | None
    """What it may have given beyond its pulses, microlitres; None if nothing bounds it."""
    last_t: int = 0
    """Time of the driver's last message on water, ns of the session clock."""

    @property
    def at_least_ul(self) -> float:
        """What it certainly gave, microlitres."""
        return sum(ul for _, ul in self.pulses)


class _Settings(msgspec.Struct):
    """What is needed here of the settings."""

    id: str = ""


class WaterCount:
    """The driver's Valves and its Ended, each once, from whatever source they come."""

    def __init__(self) -> None:
        self._valves: dict[tuple[int, int], Valve] = {}
        """By incarnation and sequence number."""
        self._counted: int | None = None
        self._read = self._ran = False
        self.last_t = 0

    def add(self, envelope: Envelope, message: Message) -> None:
        """Take one message; those of other processes are ignored."""
        if envelope.sender != HARDWARE:
            return
        self.last_t = max(self.last_t, message.t)
        self._read = True
        if isinstance(message, Wheel):
            self._ran = True
        elif isinstance(message, Valve):
            self._valves[envelope.incarnation, envelope.seq] = message
        elif isinstance(message, Ended):
            self._counted = message.messages.get(kind(Valve), (0, 0))[0]

    @property
    def exact(self) -> bool:
        """True if the driver reported how many Valves it published, and all are in the log."""
        return self._counted == len(self._valves)

    @property
    def never_ran(self) -> bool:
        """True if the driver was there and did nothing yet: it was killed before its Start."""
        return self._read and not self._ran and not self._valves

    def pulses(self) -> tuple[tuple[int, float], ...]:
        """Return time and volume of each Valve that opened, in order of time."""
        opened = {valve.id: valve for valve in self._valves.values() if not valve.refused}
        return tuple(sorted((valve.t, valve.volume_ul) for valve in opened.values()))


def read_water(folder: Path, count: WaterCount | None = None) -> SessionWater:
    """Return what a session gave: it may be running, cut off, closed or damaged.

    Args:
        folder: The session folder.
        count: What was received of the session already, if it ran in this process.
    """
    count = count or WaterCount()
    if not began(folder):
        return _water(folder, count)
    log, journal = folder / LOG_FILE, folder / JOURNAL_FOLDER / f"{HARDWARE}.mcap"
    try:
        if log.exists() and not count.exact:
            for envelope, message in read_kinds(log, {Valve, Ended}):
                count.add(envelope, message)
        for path in (log, journal):
            if path.exists() and not count.exact:
                for envelope, message in read(path):
                    count.add(envelope, message)
    except OSError:
        pass  # what was read counts, and what was reserved bounds the rest
    return _water(folder, count)


def began(folder: Path) -> bool:
    """Return False if the launching process died while it made the folder: nothing was started."""
    names = (SETTINGS_FILE, LOG_FILE, RESERVE_FILE, f"{JOURNAL_FOLDER}/{HARDWARE}.mcap")
    return any((folder / name).exists() for name in names)


def is_closed(folder: Path) -> bool:
    """Return whether the log of a session was finished, or the session never began."""
    log = folder / LOG_FILE
    try:
        return not began(folder) or (log.exists() and read_completeness(log) is not None)
    except OSError:
        return False


def _water(folder: Path, count: WaterCount) -> SessionWater:
    pulses = count.pulses()
    if any(not ul >= 0.0 for _, ul in pulses):
        return SessionWater((), None, count.last_t)
    given_ul = sum(ul for _, ul in pulses)
    unknown_ul = 0.0 if count.exact or not began(folder) else _unknown_ul(folder, count, given_ul)
    return SessionWater(pulses, unknown_ul, count.last_t)


def _unknown_ul(folder: Path, count: WaterCount, given_ul: float) -> float | None:
    """Return what may have been given beyond the pulses that were read; None if nothing bounds it.

    More pulses than were begun or reserved show that the file is damaged.
    """
    begun_ul = read_begun(_session_id(folder))
    if begun_ul is not None and given_ul <= begun_ul + _ROUNDING_UL:
        return _beyond(begun_ul, given_ul)
    try:
        reserved_ul = read_reserved(folder)
    except Unreadable:
        return None
    if reserved_ul is None:  # the driver reserves as it begins, before it can give any
        return 0.0 if count.never_ran else None
    return None if given_ul > reserved_ul + _ROUNDING_UL else _beyond(reserved_ul, given_ul)


def _session_id(folder: Path) -> str:
    """Return the id in the settings of a session; "" if they cannot be read."""
    try:
        return msgspec.json.decode((folder / SETTINGS_FILE).read_bytes(), type=_Settings).id
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return ""


def _beyond(total_ul: float, given_ul: float) -> float:
    """Return what of a total was not given for certain; 0 if that is only the total's rounding."""
    return total_ul - given_ul if total_ul > given_ul + _ROUNDING_UL else 0.0
