"""Enter sessions in the water ledger, from their settings and folders."""

import math
import time
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import msgspec

from rig.clock import monotonic_ns, suspended_s
from rig.errors import Refused
from rig.settings.config import SETTINGS_FILE, SessionSettings
from rig.settings.device_factory import HARDWARE
from rig.settings.lab import is_rehearsal, read_lab
from rig.subjects.begun_water import began_since_restart, remove_begun
from rig.subjects.ledger import FUTURE_S, Booking, Ledger, Water, in_words, water_between
from rig.subjects.record import has_record, open_record
from rig.subjects.session_identity import session_of
from rig.subjects.session_water import SessionWater, WaterCount, began, is_closed, read_water
from rig.transport.log import JOURNAL_FOLDER, LOG_FILE

_LONGEST_PAUSE_S = 3600.0
"""Longest time by which a session may exceed its `minutes`, seconds."""
CLOCK_STEP_S = 10.0
"""Smallest step of the computer's clock that is taken as such, seconds."""
_MAX_DAY_UL = 1000.0
"""The guard's default limit, microlitres, for a setup whose defaults were not filled in."""
_FROM_FOLDER = "entered from its folder"
"""Reason of the end of a session that was not in the ledger."""
_SESSION_FILES = (SETTINGS_FILE, LOG_FILE, JOURNAL_FOLDER)


class UnreadableFolder(msgspec.Struct, frozen=True):
    """A session folder whose session cannot be identified."""

    folder: Path
    day: date
    why: str


class DayWater(msgspec.Struct, frozen=True):
    """An animal's water of one day, and the warnings about it."""

    entries: tuple[Water, ...]
    at_least_ul: float
    at_most_ul: float
    open_folders: tuple[Path, ...] = ()
    """Folders of sessions that were never closed, of any day."""
    unreadable: tuple[UnreadableFolder, ...] = ()
    """Session folders that could not be read, of any day."""
    remarks: tuple[str, ...] = ()
    """Sentences on entries dated in the future, on sessions whose folder is missing, and on
    sessions that were not in the ledger."""

    @property
    def text(self) -> str:
        """The amount of water as text."""
        return in_words(self.at_least_ul, self.at_most_ul)


def subject_folder(data: Path, name: str) -> Path:
    """Return the folder of an animal's sessions."""
    return data / f"sub-{name}"


def session_folders(folder: Path) -> list[Path]:
    """Return the sessions in an animal's folder, in order, including renamed folders."""
    if not folder.is_dir():
        return []
    found = [
        path
        for path in folder.iterdir()
        if path.is_dir() and (path.name.startswith("ses-") or _holds_session(path))
    ]
    return sorted(found, key=lambda path: (path.name.split("_")[0], _number(path.name), path.name))


def next_number(data: Path, name: str, day: date) -> int:
    """Return the number of a day's next session: one above all in the ledger and the folders."""
    prefix = f"ses-{day:%Y%m%d}_"
    folder = subject_folder(data, name)
    taken = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if has_record(data):
        with open_record(data) as record:
            taken |= {booking.folder for booking in Ledger(record).sessions(name)}
    return 1 + max((_number(one) for one in taken if one.startswith(prefix)), default=0)


def open_booking(data: Path, session: SessionSettings, folder: Path) -> None:
    """Enter a session in the ledger before its Start, with the largest amount that it may give.

    Raises Refused if the record cannot be written.
    """
    with open_record(data) as record:
        Ledger(record).open(_opened(session, folder.name), time.time())


def close_booking(
    data: Path,
    session: SessionSettings,
    folder: Path,
    reason: str,
    count: WaterCount | None = None,
    step_s: float | None = None,
) -> Booking:
    """Enter the water that a session gave, and the stage that its animal has reached.

    Args:
        data: The data folder.
        session: The session's settings.
        folder: The session's folder, which may be missing.
        reason: Why the session ended; a row that is already closed keeps its reason.
        count: The driver's messages that launch received.
        step_s: Time by which the computer's clock was set forward during the session, s; None if
            `reason` does not say so yet. The clock that was set is taken as right, or water could
            be entered on a day that is over.

    Returns:
        The row that is in the ledger now.
    """
    same, _ = _folders(data, session.subject)
    copies = same.get(session.id, _Copies(session)).folders
    water = _read_best({folder, *copies}, session.id, count)
    with open_record(data) as record:
        ledger = Ledger(record)
        old = ledger.get(session.id)
        if old is None:
            old = _opened(session, folder.name)
            ledger.open(old)
        if step_s is None:
            step_s = _clock_step_s(session, old.began)
            reason += clock_step(step_s)
        zero = old.began + _forward(step_s)
        closed = _closed(old, zero, water, old.reason if old.closed else reason)
        if _is_entered(closed, old) or not ledger.close(closed):
            return old
        if not closed.unknown_ul:
            remove_begun(session.id)
        subject = record.find(session.subject)
        if subject is not None and not old.closed:
            record.edit(msgspec.structs.replace(subject, stage=str(session.task["stage"])))
        return closed


def clock_step(step_s: float) -> str:
    """Return the text to add to the end reason if the computer's clock was set meanwhile, or "".

    The session clock is a different clock, so times in the log are right. If the clock was set
    forward, the water is entered at the time of the clock that was set.

    Args:
        step_s: Time by the computer's clock since the start, minus time by the session clock, s.
    """
    if abs(step_s) < CLOCK_STEP_S:
        return ""
    way = "forward" if step_s > 0 else "back"
    return f"; the computer's clock was set {way} by {abs(step_s):.0f} s since the session began"


def water_of_day(data: Path, name: str, day: date | None = None) -> DayWater:
    """Return an animal's water of today, or of another day of the lab.

    Entries dated in the future count as today's water. Sessions whose folders exist but that are
    not in the ledger are entered in it. Raises Refused if the record is damaged.
    """
    lab, now = read_lab(data), time.time()
    folders, unreadable = _folders(data, name)
    if not (folders or has_record(data)):
        return DayWater((), 0.0, 0.0, unreadable=tuple(unreadable))
    start = lab.start_of(day or lab.day_of(now))
    end = math.inf if day is None else lab.start_of(day + timedelta(days=1))
    with open_record(data) as record:
        ledger = Ledger(record)
        for id_, copies in folders.items():
            if ledger.get(id_) is None:
                ledger.open(_found(copies))
        bookings, supplements = ledger.sessions(name), ledger.supplements(name)
    entered = {one.folder for one in bookings}
    still_open = [one for one in bookings if not one.closed]
    bookings = [_refined(one, folders) for one in bookings]
    entries = water_between(bookings, supplements, start, end)
    missing = [_missing(one) for one in still_open if one.id not in folders and one.until >= start]
    return DayWater(
        entries,
        sum(one.at_least_ul for one in entries),
        sum(one.at_most_ul for one in entries),
        tuple(folders[one.id].folders[0] for one in still_open if one.id in folders),
        tuple(one for one in unreadable if one.folder.name not in entered),
        (*_future(entries, now), *missing, *_from_folders(bookings, entries)),
    )


def days_of_water(data: Path, name: str) -> list[date]:
    """Return the days of the lab on which an animal was given water or began a session."""
    lab = read_lab(data)
    water_of_day(data, name)  # enters the sessions that are not in the ledger yet
    if not has_record(data):
        return []
    with open_record(data) as record:
        ledger = Ledger(record)
        times = [one.began for one in ledger.sessions(name)]
        times += [at for one in ledger.sessions(name) for at, _ in one.pulses]
        times += [one.at for one in ledger.supplements(name)]
    return sorted({lab.day_of(at) for at in times})


def clock_behind_s(data: Path) -> float:
    """Return the time by which the clock is behind the latest entry of the ledger, seconds."""
    if not has_record(data):
        return 0.0
    with open_record(data) as record:
        return Ledger(record).behind_s(time.time())


class _Copies(msgspec.Struct):
    """A session, and the folders that contain it; there are several if a folder was copied."""

    session: SessionSettings
    folders: list[Path] = []


def _folders(data: Path, name: str) -> tuple[dict[str, _Copies], list[UnreadableFolder]]:
    """Return the sessions in an animal's folder by their ids, and the folders without an id."""
    found: dict[str, _Copies] = {}
    unreadable = []
    for folder in session_folders(subject_folder(data, name)):
        if not began(folder):
            continue
        try:
            session = session_of(folder)
        except Refused as refusal:
            unreadable.append(UnreadableFolder(folder, _day_in(folder), str(refusal)))
            continue
        if session.subject == name and session.rehearsal == is_rehearsal(data):
            found.setdefault(session.id, _Copies(session)).folders.append(folder)
    return found, unreadable


def _opened(session: SessionSettings, folder: str) -> Booking:
    """Return the row of a session that begins, which may give the rest of the daily limit."""
    limit_ul = 0.0
    if HARDWARE in session.nodes:
        guard = session.nodes[HARDWARE].get("guard", {})
        limit_ul = float(guard.get("max_day_ul", _MAX_DAY_UL))
    zero = _zero(session)
    return Booking(
        id=session.id,
        subject=session.subject,
        folder=folder,
        task=session.task_name,
        began=zero,
        until=zero + float(session.task.get("minutes", 0.0)) * 60 + _LONGEST_PAUSE_S,
        unknown_ul=max(0.0, limit_ul - session.given_today_ul),
    )


def _closed(old: Booking, zero: float, water: SessionWater, reason: str) -> Booking:
    """Return a row with the water that its session gave; `zero` is its start, s since 1970."""
    pulses = tuple((zero + t / 1e9, ul) for t, ul in water.pulses)
    unknown_ul = water.unknown_ul
    if unknown_ul is None:
        unknown_ul = max(0.0, old.at_most_ul - water.at_least_ul)
    last = zero + water.last_t / 1e9
    return msgspec.structs.replace(
        old,
        closed=True,
        pulses=pulses,
        unknown_ul=unknown_ul,
        until=max(old.until, last + _LONGEST_PAUSE_S) if unknown_ul else max(zero, last),
        reason=reason,
    )


def _is_entered(closed: Booking, old: Booking) -> bool:
    """Return True if a closed row already has this amount of water, whatever its times."""
    volumes_ul = [[ul for _, ul in one.pulses] for one in (closed, old)]
    return old.closed and volumes_ul[0] == volumes_ul[1] and closed.unknown_ul == old.unknown_ul


def _found(copies: _Copies) -> Booking:
    """Return the row of a session that is known only from its folders."""
    session, folders = copies.session, copies.folders
    opened = _opened(session, folders[0].name)
    if not any(is_closed(folder) for folder in folders):
        return opened
    return _closed(
        opened, _zero_now(session, opened.began), _read_best(folders, session.id), _FROM_FOLDER
    )


def _refined(booking: Booking, folders: dict[str, _Copies]) -> Booking:
    """Return an open row, completed from its folders; the row in the ledger is not changed."""
    if booking.closed or booking.id not in folders:
        return booking
    copies = folders[booking.id]
    read_now = _closed(
        booking,
        _zero_now(copies.session, booking.began),
        _read_best(copies.folders, copies.session.id),
        "",
    )
    return msgspec.structs.replace(read_now, closed=False)


def _read_best(folders: Iterable[Path], id_: str, count: WaterCount | None = None) -> SessionWater:
    """Return the water that a session gave, from the copies of its folder.

    It is an exact value if a copy gives one, or else the largest.
    """
    read = [read_water(folder, id_, count) for folder in folders]
    exact = [one for one in read if one.unknown_ul == 0.0]

    def most_ul(one: SessionWater) -> float:
        return math.inf if one.unknown_ul is None else one.at_least_ul + one.unknown_ul

    return max(exact or read, key=most_ul)


def _future(entries: Iterable[Water], now: float) -> Iterator[str]:
    for one in entries:
        if one.latest > now + FUTURE_S:
            at = datetime.fromtimestamp(one.latest).isoformat(" ", "minutes")
            yield f"{one.source} is dated in the future ({at}) and counts today; check the clock"


def _from_folders(bookings: Iterable[Booking], entries: Iterable[Water]) -> Iterator[str]:
    shown = {one.source for one in entries}
    for one in bookings:
        if one.reason == _FROM_FOLDER and one.folder in shown:
            yield (
                f"session {one.folder} was not in the record and was entered from its folder; if "
                "the record is an older copy, enter the water that was given by hand since"
            )


def _missing(booking: Booking) -> str:
    return (
        f"session {booking.folder} was never closed and its folder is missing: it counts as up to "
        f"{booking.at_most_ul:g} ul; put the folder back, then run rig recover"
    )


def _zero(session: SessionSettings) -> float:
    """Return the start of a session by its settings, s since 1970; the ledger may say better."""
    return datetime.fromisoformat(session.began).timestamp() if session.began else 0.0


def _zero_now(session: SessionSettings, began: float) -> float:
    """Return the start of a session by the clock as it is now; `began` is its start then."""
    return began + _forward(_clock_step_s(session, began))


def _forward(step_s: float) -> float:
    return step_s if step_s > CLOCK_STEP_S else 0.0


def _clock_step_s(session: SessionSettings, began: float) -> float:
    """Return the time by which the computer's clock was set since a session began, s.

    It is known, by the monotonic clock, until the computer is restarted or suspended; then 0.
    """
    known = session.began and began_since_restart(session.id) and suspended_s() < CLOCK_STEP_S
    return time.time() - began - (monotonic_ns() - session.t0_ns) / 1e9 if known else 0.0


def _holds_session(folder: Path) -> bool:
    return any((folder / name).exists() for name in _SESSION_FILES)


def _day_in(folder: Path) -> date:
    """Return the date in a folder's name, or else the date of its last change."""
    try:
        return date.fromisoformat(folder.name.removeprefix("ses-").split("_")[0])
    except ValueError:
        return date.fromtimestamp(folder.stat().st_mtime)


def _number(name: str) -> int:
    number = name.rpartition("_")[2]
    return int(number) if number.isdecimal() else 0
