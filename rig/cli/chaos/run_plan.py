"""Carry out the plan of a seed, from its first session to its last check."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from rig.cli.chaos import checks
from rig.cli.chaos.attack import Arena, Ran
from rig.cli.chaos.commands import read_session_by_all, run_command
from rig.cli.chaos.plan import Plan
from rig.cli.chaos.truth_valve import TruePulse, read_pulses
from rig.subjects.ledger import Booking


class _Session(msgspec.Struct):
    """A session of the plan, and its outcome."""

    ran: Ran
    before: Booking | None
    """Its row in the ledger before any damage."""
    recovered: str = ""
    """Output of `rig recover`; "" if it was not run."""


def carry_out(plan: Plan, root: Path) -> list[str]:
    """Carry out a plan in an empty folder; return a sentence for each check that failed."""
    arena = Arena(root, plan)
    sessions: list[_Session] = []
    problems: list[str] = []
    for number in range(len(plan.sessions)):
        blocked = any(one.before is not None and _is_open(arena, one) for one in sessions)
        found = [*_run(arena, number, sessions, blocked)]
        found += checks.check_day(arena.data, [*read_pulses(arena.pulses)], plan.max_day_ul)
        problems += [f"session {number + 1}: {text}" for text in found]
    for number, session in enumerate(sessions):
        found = [*_check(arena, session)]
        problems += [f"session {number + 1}, in the end: {text}" for text in found]
    problems += checks.check_day(arena.data, [*read_pulses(arena.pulses)], plan.max_day_ul)
    return problems


def _run(arena: Arena, number: int, sessions: list[_Session], blocked: bool) -> Iterator[str]:
    """Run a session, damage it, and recover it if the plan says so before the next session."""
    ran = arena.run(number)
    yield from checks.check_end(ran)
    yield from checks.check_day(arena.data, [*read_pulses(arena.pulses)], arena.plan.max_day_ul)
    if blocked and not (ran.code < 0 or (ran.code == 2 and "rig recover" in ran.output)):
        yield f"it was not refused, although one before it was never closed: {ran.output[-300:]}"
    name = ran.folder.name if ran.folder else ""
    session = _Session(ran, checks.bookings(arena.data).get(name))
    sessions.append(session)
    arena.damage(ran)
    wanted = ran.plan.recover
    if ran.folder and (wanted == "always" or (wanted == "if open" and _is_open(arena, session))):
        yield from _recover(session)


def _recover(session: _Session) -> Iterator[str]:
    assert session.ran.folder is not None
    code, session.recovered = run_command("recover", str(session.ran.folder))
    if code not in (0, 1, 2) or "Traceback" in session.recovered:
        yield f"rig recover: exit code {code}: {session.recovered[-600:]}"
    if code == 0 and "the log is whole" not in session.recovered:
        yield f"rig recover: exit code 0 without a whole log: {session.recovered[-600:]}"


def _check(arena: Arena, session: _Session) -> Iterator[str]:
    """Check a session that has ended, after recovering it if it is still open."""
    ran, folder = session.ran, session.ran.folder
    if folder is None:
        return
    if not session.recovered and _is_open(arena, session):
        yield from _recover(session)
    pulses = [p for p in read_pulses(arena.pulses) if p.folder == str(folder)]
    booking = checks.bookings(arena.data).get(folder.name)
    yield from checks.check_valve(pulses)
    yield from checks.check_booking(ran, booking, session.before, pulses)
    yield from checks.check_reason(ran, booking, session.recovered)
    printed = read_session_by_all(folder)
    yield from checks.check_readers(printed)
    yield from checks.check_log(ran, folder, printed["info"])


def _is_open(arena: Arena, session: _Session) -> bool:
    """Return True if the ledger still waits for the end of a session."""
    if session.ran.folder is None:
        return False
    booking = checks.bookings(arena.data).get(session.ran.folder.name)
    return booking is None or not booking.closed


def true_pulses(root: Path) -> list[TruePulse]:
    """Return the pulses of a plan that was carried out."""
    return [*read_pulses(root / "truth" / "pulses.jsonl")]
