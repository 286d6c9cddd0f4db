"""The water ledger: one row for each session, opened before its first reward, closed at its end.

The key of a row is the id of the session. The animal was given at least the water of the pulses,
and at most `unknown_ul` more. See docs/decisions/water_ledger.md.
"""

from collections.abc import Iterable

import msgspec

from rig.subjects.record import Record

Pulse = tuple[float, float]
"""Time (seconds since 1970) and volume (microlitres) of a pulse."""
CLOCK_MAY_DIFFER_S = 300.0
"""Longest time by which the clock may be behind the ledger's latest time, seconds."""
FUTURE_S = 60.0
"""An entry at least this far ahead of the clock is reported as dated in the future, seconds."""
SUPPLEMENT = "supplement"
"""Name of the source of water that was given by hand."""
_MARGIN_UL = 1e-6
_SHOWN_UL = 0.005


class Booking(msgspec.Struct, frozen=True):
    """A session in the ledger."""

    id: str
    subject: str
    folder: str
    """Original name of the session folder."""
    task: str
    began: float
    """Start of the session, seconds since 1970."""
    until: float
    """Latest time at which the session may have given water, seconds since 1970."""
    closed: bool = False
    pulses: tuple[Pulse, ...] = ()
    unknown_ul: float = 0.0
    """Water that the session may have given in addition to its pulses, microlitres."""
    reason: str = ""
    """Why the session ended."""

    @property
    def at_least_ul(self) -> float:
        """Water that the session certainly gave, microlitres."""
        return sum(ul for _, ul in self.pulses)

    @property
    def at_most_ul(self) -> float:
        """Largest amount of water that the session may have given, microlitres."""
        return self.at_least_ul + self.unknown_ul

    @property
    def text(self) -> str:
        """The water as a phrase."""
        return in_words(self.at_least_ul, self.at_most_ul)


class Supplement(msgspec.Struct, frozen=True):
    """Water given by hand outside a session."""

    at: float
    """Time, seconds since 1970."""
    ul: float
    note: str = ""


class Water(msgspec.Struct, frozen=True):
    """The water that a session or a person gave an animal between two times."""

    source: str
    """Name of the session folder, or "supplement"."""
    at_least_ul: float
    at_most_ul: float
    latest: float
    """Time of the last pulse or supplement, seconds since 1970."""
    task: str = ""
    open: bool = False
    """True if the session was never closed."""

    @property
    def text(self) -> str:
        """The water as a phrase."""
        return in_words(self.at_least_ul, self.at_most_ul)


class Ledger:
    """The water of all animals of a record."""

    def __init__(self, record: Record) -> None:
        self._record, self._sql = record, record.sql

    def open(self, booking: Booking, now: float | None = None) -> None:
        """Add the row of a session; `now` is the time (s since 1970) if the session begins now."""
        with self._record.transaction() as sql:
            sql.execute("insert into session values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _row(booking))
            if now is not None:
                sql.execute("update clock set latest = max(latest, ?)", (now,))

    def close(self, booking: Booking) -> bool:
        """Enter the water that a session gave in its row; return True if the row was changed.

        The water in a row that is already closed is never reduced, so that a damaged log cannot
        hide water.
        """
        old = self.get(booking.id)
        if old is None:
            raise KeyError(f"session {booking.id} was never entered")
        if old.closed and (
            booking.at_least_ul < old.at_least_ul - _MARGIN_UL
            or booking.unknown_ul > old.unknown_ul + _MARGIN_UL
        ):
            return False
        with self._record.transaction() as sql:
            sql.execute(
                "update session set until = ?, closed = ?, pulses = ?, unknown_ul = ?, reason = ? "
                "where id = ?",
                (*_row(booking)[5:], booking.id),
            )
        return True

    def get(self, id_: str) -> Booking | None:
        """Return the row of a session; None if it is not in the ledger."""
        row = self._sql.execute("select * from session where id = ?", (id_,)).fetchone()
        return None if row is None else _booking(row)

    def sessions(self, subject: str) -> list[Booking]:
        """Return an animal's sessions, in the order in which they began."""
        rows = self._sql.execute(
            "select * from session where subject = ? order by began, rowid", (subject,)
        )
        return [_booking(row) for row in rows]

    def give(self, subject: str, supplement: Supplement) -> None:
        """Enter water given by hand."""
        with self._record.transaction() as sql:
            row = (subject, *msgspec.structs.astuple(supplement))
            sql.execute("insert into supplement values (?, ?, ?, ?)", row)
            sql.execute("update clock set latest = max(latest, ?)", (supplement.at,))

    def supplements(self, subject: str) -> list[Supplement]:
        """Return an animal's supplements, in the order in which they were entered."""
        rows = self._sql.execute(
            "select at, ul, note from supplement where subject = ? order by rowid", (subject,)
        )
        return [Supplement(*row) for row in rows]

    def behind_s(self, now: float) -> float:
        """Return the time by which `now` is behind the latest time in the ledger, seconds."""
        (latest,) = self._sql.execute("select latest from clock").fetchone()
        return float(latest) - now


def in_words(at_least_ul: float, at_most_ul: float) -> str:
    """Return an amount of water as text: "12 ul", or "at least 12 ul, at most 27 ul"."""
    if at_most_ul - at_least_ul < _SHOWN_UL:
        return f"{at_most_ul:g} ul"
    return f"at least {at_least_ul:g} ul, at most {at_most_ul:g} ul"


def water_between(
    bookings: Iterable[Booking], supplements: Iterable[Supplement], start: float, end: float
) -> tuple[Water, ...]:
    """Return the water that was given from `start` up to `end` (seconds since 1970).

    Water that a session may have given in addition to its pulses counts in any period in which the
    session may have been running.
    """
    found = [_between(one, start, end) for one in bookings]
    by_hand = [Water(SUPPLEMENT, o.ul, o.ul, o.at) for o in supplements if start <= o.at < end]
    return (*(one for one in found if one is not None), *by_hand)


def _between(booking: Booking, start: float, end: float) -> Water | None:
    """Return the water that a session gave from `start` to `end`; None if it did not run then."""
    pulses = [(at, ul) for at, ul in booking.pulses if start <= at < end]
    may_run = booking.began < end and booking.until >= start
    unknown_ul = booking.unknown_ul if may_run else 0.0
    began_then = start <= booking.began < end
    if not (pulses or unknown_ul or began_then):
        return None
    ul = sum(ul for _, ul in pulses)
    latest = max([at for at, _ in pulses], default=booking.began)
    return Water(booking.folder, ul, ul + unknown_ul, latest, booking.task, open=not booking.closed)


def _row(booking: Booking) -> tuple[object, ...]:
    fields = msgspec.structs.asdict(booking)
    fields["closed"] = int(booking.closed)
    fields["pulses"] = msgspec.json.encode(booking.pulses).decode()
    return tuple(fields.values())


def _booking(row: tuple[object, ...]) -> Booking:
    *head, closed, pulses, unknown_ul, reason = row
    decoded = msgspec.json.decode(str(pulses), type=tuple[Pulse, ...])
    return msgspec.convert(
        dict(
            zip(
                Booking.__struct_fields__,
                (*head, bool(closed), decoded, unknown_ul, reason),
                strict=True,
            )
        ),
        Booking,
    )
