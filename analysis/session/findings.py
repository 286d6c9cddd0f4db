"""Everything that went wrong in a session, in one list: for its end table and its report."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pandas as pd

from analysis.session.session import Session

LAUNCH_DIED = "the launching process died"
"""The reason that is given if the log contains no reason for the end of the session."""
_OPERATOR_ENDS = {"Ctrl-C", "SIGTERM", "SIGHUP", "stopped by the operator"}


class Finding(msgspec.Struct, frozen=True):
    """One kind of problem in a session, and how often it occurred."""

    process: str
    """The process that found it, or that failed."""
    name: str
    """As listed in docs/reference/findings.md."""
    count: int
    t_s: float | None
    """Session time of its first occurrence, s; None if it has no time."""
    text: str
    """The text of its first occurrence."""


def findings(
    session: Session, frames_written: int | None = None, reason: str | None = None
) -> list[Finding]:
    """Return everything that went wrong in a session, most serious first; empty if nothing did.

    Args:
        session: The session.
        frames_written: Imaging pages in the files; None if that is not known.
        reason: Why the session ended, according to the launching process; None: as logged.
    """
    return [
        *_failed_end(session, reason or session.end_reason),
        *_lost_messages(session),
        *_faults(session),
        *_violations(session),
        *_integrity(session),
        *_frames_missed(session, frames_written),
        *_late_flips(session),
    ]


def _failed_end(session: Session, reason: str | None) -> Iterator[Finding]:
    """Yield the reason if the session failed, and the processes that did not end normally."""
    ends = session.ends
    failed = ends[ends.failed.astype(bool)]
    expected = [name for name in session.settings.get("nodes", {}) if name != "recorder"]
    killed = [name for name in expected if name not in set(ends.sender)] if len(ends) else []
    for name, t_s, text in zip(failed.sender, failed.t_s, failed.reason, strict=True):
        yield Finding(str(name), "process failed", 1, float(t_s), str(text))
    for name in killed:
        text = f"{name} did not report its end: it crashed or was killed"
        yield Finding(name, "process killed", 1, None, text)
    if reason is None:
        text = f"the log has no reason for the end of the session: {LAUNCH_DIED}"
        yield Finding("launch", "session failed", 1, None, text)
    elif not _is_orderly(reason, ends):
        yield Finding("launch", "session failed", 1, None, f"the session ended with: {reason}")


def _is_orderly(reason: str, ends: pd.DataFrame) -> bool:
    """Return True if the reason comes from the operator or from a process that did not fail."""
    own = ends.reason[~ends.failed.astype(bool)]
    return not len(ends) or reason in _OPERATOR_ENDS or bool((own == reason).any())


def _lost_messages(session: Session) -> Iterator[Finding]:
    log = session.completeness
    if log is None:
        yield Finding("recorder", "log incomplete", 1, None, "the log was never closed")
    elif not log.whole:
        text = f"the log is not whole; missing: {log.missing or 'messages'}"
        yield Finding("recorder", "log incomplete", 1, None, text)
    for (sender, kind, _), missing in session.gaps.items():
        text = f"{missing} {kind} messages of {sender} are missing from the log"
        yield Finding(sender, "messages lost", missing, None, text)


def _faults(session: Session) -> Iterator[Finding]:
    """Yield the faults of each process, without those that a verdict or another finding repeats."""
    named = {
        f"trial {trial}: {name}:"
        for trial, names in zip(session.verdicts.trial, session.verdicts.violations, strict=True)
        for name in names
    }
    found = session.integrity
    explained = set(found.text[found.findings.map(len) > 0]) if len(found) else set()
    faults = session.faults
    is_repeated = [
        text in explained or any(text.startswith(start) for start in named) for text in faults.text
    ]
    rest = faults[~pd.Series(is_repeated, index=faults.index, dtype=bool)]
    for process, group in rest.groupby("sender", sort=False):
        first = group.iloc[0]
        yield Finding(str(process), "fault", len(group), float(first.t_s), str(first.text))


def _violations(session: Session) -> Iterator[Finding]:
    verdicts = session.verdicts.explode("violations").dropna(subset="violations")
    for name, group in verdicts.groupby("violations", sort=False):
        first, more = group.iloc[0], len(group) - 1
        text = f"in trial {first.trial}" + (f" and {more} more" if more else "")
        yield Finding("referee", str(name), len(group), float(first.t_s), text)


def _integrity(session: Session) -> Iterator[Finding]:
    checks = session.integrity
    if not len(checks):
        return
    found = checks[["t_s", "findings", "text"]].explode("findings").dropna(subset="findings")
    for name, group in found.groupby("findings", sort=False):
        first = group.iloc[0]
        yield Finding("integrity", str(name), len(group), float(first.t_s), str(first.text))


def _frames_missed(session: Session, written: int | None) -> Iterator[Finding]:
    streamed = len(session.frames)
    if written is not None and written != streamed:
        text = f"{written} imaging pages are in the files, {streamed} were streamed"
        yield Finding("stream", "frames missed", abs(written - streamed), None, text)


def _late_flips(session: Session) -> Iterator[Finding]:
    late: Any = session.flips[session.flips.late.astype(bool)]
    if len(late):
        text = f"{len(late)} of {len(session.flips)} flips came late"
        yield Finding("display", "late flip", len(late), float(late.t_s.iloc[0]), text)
