"""The checks that must pass after a plan; each yields a sentence for every problem."""

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from rig.cli.chaos.attack import REWARD_UL, SUBJECT, Ran
from rig.cli.chaos.mcap_messages import Key, messages_in
from rig.cli.chaos.truth_valve import TruePulse
from rig.cli.sessions.end_summary import SUMMARY_FILE
from rig.messages import kind
from rig.subjects.booking import water_of_day
from rig.subjects.ledger import Booking, Ledger
from rig.subjects.record import has_record, open_record
from rig.transport.log import LOG_FILE, read_bytes

_MAX_OPEN_MS, _MIN_GAP_MS, _MAX_PER_MINUTE = 150.0, 200.0, 30
_LATE_MS = 50.0
"""Longest delay of a valve behind the guard's time on a busy computer, ms."""
_ROUNDING_UL = 0.01
_NOT_KEPT = ("Heartbeat",)
"""Messages that are published before all processes listen; the first may be missing in a log."""
_IN_ORDER = (0, 1, 2)
"""Expected exit codes: success, failure, refusal."""


def check_end(ran: Ran) -> Iterator[str]:
    """Check the exit code and reason of a session, and that no process or lock is left."""
    killed = any(act.endswith("kill launch") for act in ran.done)
    early = ran.folder is None and any(act.endswith("terminate launch") for act in ran.done)
    allowed = (*_IN_ORDER, *[-9] * killed, *[-15] * early)
    if ran.code not in allowed:
        yield f"exit code {ran.code}: {ran.output[-300:]}"
    if "Traceback" in ran.output or "an error in the program" in ran.output:
        yield f"a traceback: {ran.output[-600:]}"
    if ran.code in (1, 2) and not ran.output.strip():
        yield "it ended without a word"
    if ran.code == 0 and "process failed" in ran.output:
        yield "it ended with exit code 0 although a process failed"
    for command in ran.processes_left:
        yield f"a process is left: {command}"
    for name in ran.locks_left:
        yield f"the lock {name} is still held"
    for path in ran.folder.glob("*.err.txt") if ran.folder else ():
        if "Traceback" in path.read_text(errors="replace"):
            yield f"a traceback in {path.name}: {path.read_text()[-600:]}"


def published(ran: Ran) -> dict[Key, int]:
    """Return every message that the processes wrote to their journals before publication."""
    return {key: crc for path in ran.journals.glob("*.mcap") for key, crc in messages_in(path)}


def check_log(ran: Ran, folder: Path, info: tuple[int, str]) -> Iterator[str]:
    """Check the log, and the output of `rig info`, against the published messages."""
    code, printed = info
    log, truth = folder / LOG_FILE, published(ran)
    printed_whole = code == 0 and "log: whole" in printed
    if not log.exists():
        if code != 2:
            yield f"there is no log, and info exits with {code}"
        return
    still_damaged = ran.damaged_log == log.read_bytes() if ran.damaged_log else False
    if printed_whole and still_damaged:
        yield "a damaged log passes for whole"
    read = [
        ((envelope.sender, kind(message), envelope.incarnation, envelope.seq))
        for envelope, message, _ in read_bytes(log)
    ]
    if len(set(read)) != len(read):
        yield f"{len(read) - len(set(read))} messages are in the log twice"
    if extra := [key for key in read if key not in truth and key[0] != "hub"]:
        yield f"{len(extra)} messages in the log were never published: {extra[:3]}"
    if not still_damaged:
        alone = messages_in(log)
        if [key for key, _ in alone] != read:
            yield f"the reader finds {len(read)} messages of {len(alone)} in the log"
        if changed := [key for key, crc in alone if truth.get(key, crc) != crc]:
            yield f"{len(changed)} messages were changed: {changed[:3]}"
    missing = [key for key in truth.keys() - set(read) if _must_be_kept(key)]
    if printed_whole and missing:
        yield f"{len(missing)} messages are missing in a log that passes for whole: {missing[:3]}"
    if code != 2 and not printed_whole and "; missing: " not in printed:
        yield "info does not say what is missing"
    may_lack = ran.damaged & {"log", "journal"} or any("may grow" in act for act in ran.done)
    if not printed_whole and not may_lack and _began(truth):
        yield f"the log is not whole, and nothing was damaged: {_first_lines(printed)}"


def _must_be_kept(key: Key) -> bool:
    """Return True if a message must be in the log.

    The recorder's own Ended need not be, as the recorder closes the log before it publishes it.
    """
    sender, name, _, _ = key
    return name not in _NOT_KEPT and sender != "recorder"


def _began(truth: dict[Key, int]) -> bool:
    return ("launch", "Start", 0, 0) in truth


def check_readers(printed: dict[str, tuple[int, str]]) -> Iterator[str]:
    """Check that each command is either right, or reports that something is missing."""
    code, text = printed["info"]
    whole = code == 0 and "log: whole" in text
    for verb, (exit_code, output) in printed.items():
        if exit_code not in _IN_ORDER or "Traceback" in output:
            yield f"rig {verb}: exit code {exit_code}: {output[-600:]}"
        if not whole and exit_code != 2 and "not whole" not in output:
            yield f"rig {verb} is silent about what is missing: {output[-300:]}"
    code, text = printed["replay --verify"]
    if code == 0 and (not whole or "identical: " not in text):
        yield f"replay --verify passes: {_first_lines(text)}"
    if code == 1 and whole and "nothing verified" not in text:
        yield f"replay --verify fails on a whole log: {_first_lines(text)}"


def check_reason(ran: Ran, booking: Booking | None, recovered: str) -> Iterator[str]:
    """Check that a session that began has an end with a reason, in the ledger and its summary."""
    assert ran.folder is not None
    if not _began(published(ran)):
        return
    if booking is None or not booking.closed or not booking.reason:
        yield f"the ledger gives no reason for its end: {booking}; recover said: {recovered}"
    summary = ran.folder / SUMMARY_FILE
    if summary.exists():
        if not json.loads(summary.read_bytes()).get("end_reason"):
            yield "its summary gives no reason for its end"
    elif "no summary: " not in recovered:
        yield f"there is no summary, and recover said: {recovered}"


def bookings(data: Path) -> dict[str, Booking]:
    """Return the rows of the ledger by the names of the session folders."""
    if not has_record(data):
        return {}
    with open_record(data) as record:
        return {one.folder: one for one in Ledger(record).sessions(SUBJECT)}


def check_day(data: Path, pulses: Sequence[TruePulse], limit_ul: float) -> Iterator[str]:
    """Check the day's water in the ledger, and against its limit."""
    given_ul = sum(pulse.volume_ul for pulse in pulses)
    water = water_of_day(data, SUBJECT)
    if not water.at_least_ul - _ROUNDING_UL <= given_ul <= water.at_most_ul + _ROUNDING_UL:
        yield f"{given_ul:g} ul were given today and the ledger says {water.text}"
    if given_ul > limit_ul + _ROUNDING_UL:
        yield f"{given_ul:g} ul were given today and the limit is {limit_ul:g} ul"


def check_booking(
    ran: Ran, booking: Booking | None, before: Booking | None, pulses: Sequence[TruePulse]
) -> Iterator[str]:
    """Check the row of a session against its true pulses.

    Args:
        ran: The session.
        booking: Its row now.
        before: Its row before anything was damaged.
        pulses: Its true pulses.
    """
    given_ul = sum(pulse.volume_ul for pulse in pulses)
    if booking is None:
        if _began(published(ran)) or pulses:
            yield f"{given_ul:g} ul were given, and the ledger does not know the session"
        return
    if booking.at_most_ul < given_ul - _ROUNDING_UL:
        yield f"{given_ul:g} ul were given and the ledger says {booking.text}"
    if booking.at_least_ul > given_ul + _ROUNDING_UL:
        yield f"{given_ul:g} ul were given and the ledger says {booking.text} at least"
    settled = before is not None and before.closed
    if before is not None and settled and not _is_closer(booking, before):
        yield f"a row that was settled was changed from {before} to {booking}"
    if not settled and ran.damaged:
        return  # what cannot be read counts as more, and was never less than was given
    if _began(published(ran)) and booking.at_most_ul > given_ul + REWARD_UL + _ROUNDING_UL:
        yield f"{given_ul:g} ul were given and the ledger says {booking.text}: too much"


def _is_closer(booking: Booking, before: Booking) -> bool:
    """Return True if a settled row is unchanged, or gives the water more exactly."""
    return (
        booking.reason == before.reason
        and booking.at_least_ul >= before.at_least_ul - _ROUNDING_UL
        and booking.at_most_ul <= before.at_most_ul + _ROUNDING_UL
    )


def check_valve(pulses: Sequence[TruePulse]) -> Iterator[str]:
    """Check the limits of one session's pulses at every instant."""
    for pulse in pulses:
        if pulse.open_ms > _MAX_OPEN_MS:
            yield f"the valve was open for {pulse.open_ms:g} ms"
    for one, following in pairwise(pulses):
        gap_ms = (following.opened_ns - one.opened_ns) / 1e6 - one.open_ms
        if gap_ms < _MIN_GAP_MS - _LATE_MS:
            yield f"the valve was shut for {gap_ms:.0f} ms between two pulses"
    for at, first in enumerate(pulses):
        within = [p for p in pulses[at:] if p.opened_ns - first.opened_ns < 60e9]
        if len(within) > _MAX_PER_MINUTE:
            yield f"there were {len(within)} pulses in a minute"


def _first_lines(text: str) -> str:
    return " | ".join(text.strip().splitlines()[:6])
