"""Read the water of one session from its log, its driver's journal and its reserve file.

The amount is exact if the driver published its Ended and every Valve that it counts was read.
Otherwise the driver was killed or a file is damaged. The largest possible amount is then the water
that was reserved on disk, because no water is given before it is reserved. Until the computer
restarts, the note of begun rewards limits the unknown water to one reward.
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
    """The water that one session gave."""

    pulses: tuple[tuple[int, float], ...]
    """Time (ns of the session clock) and volume (microlitres) of each pulse."""
    unknown_ul: float | None
    """Water that the session may have given in addition to its pulses, microlitres; None if it
    could be any amount."""
    last_t: int = 0
    """Session time of the driver's last message about water, ns."""

    @property
    def at_least_ul(self) -> float:
        """Water that the session certainly gave, microlitres."""
        return sum(ul for _, ul in self.pulses)


class WaterCount:
    """The driver's Valves and its Ended, each counted once, from one or several sources."""

    def __init__(self, session_id: str) -> None:
        """Count the messages of the session of that id."""
        self._session_id = session_id
        self._valves: dict[tuple[int, int], Valve] = {}
        """The Valves by incarnation and sequence number."""
        self._counted: int | None = None
        self._read = self._ran = False
        self.last_t = 0

    def add(self, envelope: Envelope, message: Message) -> None:
        """Add a message; ignore messages of other processes and other sessions."""
        if envelope.sender != HARDWARE or envelope.session not in ("", self._session_id):
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
        """True if the driver was running but was killed before Start, so that it gave no water."""
        return self._read and not self._ran and not self._valves

    def pulses(self) -> tuple[tuple[int, float], ...]:
        """Return time and volume of each Valve that opened, in order of time."""
        opened = {valve.id: valve for valve in self._valves.values() if not valve.refused}
        return tuple(sorted((valve.t, valve.volume_ul) for valve in opened.values()))


def read_water(folder: Path, session_id: str, count: WaterCount | None = None) -> SessionWater:
    """Return the water that a session gave; it may be running, cut off, closed or damaged.

    Args:
        folder: The session folder.
        session_id: The session's id.
        count: The driver's messages that were already received, if this process ran the session.
    """
    count = count or WaterCount(session_id)
    if not began(folder):
        return _water(folder, session_id, count)
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
        pass  # what was read counts, and the reserved water limits the rest
    return _water(folder, session_id, count)


def began(folder: Path) -> bool:
    """Return False if the launching process died while it created the folder, before any start."""
    names = (SETTINGS_FILE, LOG_FILE, RESERVE_FILE, f"{JOURNAL_FOLDER}/{HARDWARE}.mcap")
    return any((folder / name).exists() for name in names)


def is_closed(folder: Path) -> bool:
    """Return True if the log of a session was closed, or the session never began."""
    log = folder / LOG_FILE
    try:
        return not began(folder) or (log.exists() and read_completeness(log) is not None)
    except OSError:
        return False


def _water(folder: Path, session_id: str, count: WaterCount) -> SessionWater:
    pulses = count.pulses()
    if any(not ul >= 0.0 for _, ul in pulses):
        return SessionWater((), None, count.last_t)
    given_ul = sum(ul for _, ul in pulses)
    unknown_ul: float | None = 0.0
    if began(folder) and not count.exact:
        unknown_ul = _unknown_ul(folder, session_id, count, given_ul)
    return SessionWater(pulses, unknown_ul, count.last_t)


def _unknown_ul(folder: Path, session_id: str, count: WaterCount, given_ul: float) -> float | None:
    """Return the water that may have been given in addition to the pulses that were read, ul.

    None if it could be any amount. If there are more pulses than were begun or reserved, the file
    is damaged.
    """
    begun_ul = read_begun(session_id)
    if begun_ul is not None and given_ul <= begun_ul + _ROUNDING_UL:
        return _beyond(begun_ul, given_ul)
    try:
        reserved_ul = read_reserved(folder)
    except Unreadable:
        return None
    if reserved_ul is None:  # the driver reserves water at its start, before it can give any
        return 0.0 if count.never_ran else None
    return None if given_ul > reserved_ul + _ROUNDING_UL else _beyond(reserved_ul, given_ul)


def _beyond(total_ul: float, given_ul: float) -> float:
    """Return total_ul minus given_ul; 0 if the difference is only due to rounding of the total."""
    return total_ul - given_ul if total_ul > given_ul + _ROUNDING_UL else 0.0
