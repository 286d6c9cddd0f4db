"""Continue an interrupted session: find where it ended, and make the settings of its next part.

The next part is a separate session, with its own folder, log and row in the water ledger. Its
settings are those of the interrupted session, with the state at its end as the task's `resume`
table (behavior.trials.resume).
"""

import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from rig.errors import Refused
from rig.messages import (
    Arm,
    Lick,
    Message,
    Position,
    SettingChange,
    Start,
    TrialEnd,
    TrialStart,
    Valve,
)
from rig.session.provenance import about
from rig.settings.calibration_overlay import measured_file
from rig.settings.config import ResolvedSession, SessionSettings, apply_sets, convert
from rig.settings.lab import read_lab
from rig.subjects.booking import session_folders, subject_folder
from rig.subjects.ledger import Ledger
from rig.subjects.record import find, has_record, open_record
from rig.subjects.session_identity import session_of
from rig.transport.log import LOG_FILE, read_completeness, read_kinds

_STATE: set[type[Message]] = {Start, Position, TrialStart, TrialEnd, Arm, Valve, Lick}
_ITS_OWN = ("task", "seed", "subject", "task_name", "id", "continues")
"""Sections that --set may not change in a continued session."""


def continued(folder: Path, data: Path, sets: list[str]) -> ResolvedSession:
    """Return the settings of the next part of a session, and their files.

    Args:
        folder: The folder of the interrupted session, or of its last part.
        data: The data folder.
        sets: `--set` texts, for changes of the rig in the meantime.

    Raises:
        Refused: The session cannot be continued.
    """
    if folder.parent != subject_folder(data, folder.parent.name.removeprefix("sub-")):
        raise Refused(f"{folder} is not in the data folder {data}; put it back to continue it")
    for text in sets:
        if text.partition("=")[0].strip().partition(".")[0] in _ITS_OWN:
            raise Refused(f"--set {text}: a continued session keeps its task; start a new session")
    _check_closed(folder)
    old = _recorded(folder)
    _check_same_day(folder, old, data)
    _check_not_continued(folder, old)
    _check_calibration(folder, old)
    _check_cohort(old, data)
    point = _resume_point(folder, old)
    point["given_ul"] = _water_before(old) + _given_ul(folder, old, data)
    changes = (message for _, message in read_kinds(folder / LOG_FILE, {SettingChange}))
    task = {**changed_task(old.task, changes), "resume": point}
    part = msgspec.structs.replace(
        old, task=task, continues=old.id, id="", files={}, ring=None, override="", about={}
    )
    return ResolvedSession(apply_sets(part, sets), {name: folder / name for name in old.files})


def changed_task(task: dict[str, Any], messages: Iterable[Message]) -> dict[str, Any]:
    """Return the task's settings with the changes that the operator made during the session."""
    for change in messages:
        if isinstance(change, SettingChange) and not change.refused:
            own = [{k: v for k, v in block.items() if k != change.name} for block in task["blocks"]]
            task = {**task, change.name: msgspec.json.decode(change.new), "blocks": own}
    return task


def resume_point(messages: Iterable[Message], task: dict[str, Any]) -> dict[str, Any]:
    """Return the state at a session's end, from its messages in hub order, as a `resume` table.

    A trial that did not end, or was aborted, is repeated. `given_ul` is the water in the messages.

    Raises:
        Refused: Trials are missing from the messages.
    """
    state = _State(task)
    for message in messages:
        state.handle(message)
    return state.table()


class _State:
    """The state of a session, updated from its messages; times are ns of the session clock."""

    def __init__(self, task: dict[str, Any]) -> None:
        before = task.get("resume") or {}
        self._spout = str(task.get("spout", ""))
        self._trial = int(before.get("trial", 0))
        self._block = int(before.get("block", 0))
        self._completed = list(before.get("completed", []))
        self._next: str | None = before.get("next_stimulus")
        self._counts = {name: int(before.get(name, 0)) for name in ("misses", "unlicked")}
        self._session_s = float(before.get("session_s", 0.0))
        self._block_s = float(before.get("block_s", 0.0))
        self._given_ul = 0.0
        self._start_t = self._block_t = self._end_t = self._last_end_t = 0
        self._running: TrialStart | None = None
        self._licked = self._watered = False
        self._requests: set[int] = set()

    def handle(self, message: Message) -> None:
        """Handle the next message."""
        match message:
            case Start():
                self._start_t = self._block_t = self._end_t = message.t
            case Position():
                self._end_t = max(self._end_t, message.t)
            case TrialStart():
                self._start_trial(message)
            case TrialEnd() if self._running is not None and self._running.trial == message.trial:
                self._end_trial(message, self._running)
            case Arm() if self._running is not None and not message.manual:
                self._requests.add(message.id)
            case Valve(refused=""):
                self._given_ul += message.volume_ul
                self._watered |= self._running is not None and message.id in self._requests
            case Lick() if self._running is not None and message.line == self._spout:
                self._licked |= message.t >= self._running.t
            case _:
                pass

    def table(self) -> dict[str, Any]:
        """Return the `resume` table."""
        return {
            "trial": self._trial,
            "block": self._block,
            "completed": self._completed,
            "next_stimulus": self._next,
            "session_s": self._session_s + (self._end_t - self._start_t) / 1e9,
            "block_s": self._block_s + (self._end_t - self._block_t) / 1e9,
            "given_ul": self._given_ul,
            **self._counts,
        }

    def _start_trial(self, start: TrialStart) -> None:
        if start.trial != self._trial:
            raise Refused(
                f"trial {self._trial} is missing from the log, so the order of the trials is not "
                "known; start a new session"
            )
        if (
            start.block != self._block
        ):  # the block began where the previous block's last trial ended
            self._block, self._completed, self._block_s = start.block, [], 0.0
            self._block_t = self._last_end_t or start.t
        self._trial += 1
        self._running, self._next = start, start.stimulus
        self._licked = self._watered = False
        self._requests = set()

    def _end_trial(self, end: TrialEnd, start: TrialStart) -> None:
        self._running, self._last_end_t = None, end.t
        if end.outcome == "aborted":
            return
        self._completed.append(start.stimulus)
        self._next = start.next_stimulus
        if start.rewarded:
            seen = {"misses": self._watered, "unlicked": self._licked}
            self._counts = {k: 0 if seen[k] else n + 1 for k, n in self._counts.items()}


def _resume_point(folder: Path, old: SessionSettings) -> dict[str, Any]:
    messages = (message for _, message in read_kinds(folder / LOG_FILE, _STATE))
    try:
        return resume_point(messages, old.task)
    except Refused as refusal:
        raise Refused(f"{folder} cannot be continued: {refusal}") from refusal


def _check_closed(folder: Path) -> None:
    log = folder / LOG_FILE
    if not log.is_file() or read_completeness(log) is None:
        raise Refused(f"{folder} is not closed; unless it still runs, run: rig recover {folder}")


def check_version(folder: Path) -> None:
    """Raise Refused if the meaning of the log's messages differs in this version."""
    log = folder / LOG_FILE
    for _, message in read_kinds(log, {Start}) if log.is_file() else ():
        schema = (
            message.session.get("about", {}).get("schema") if isinstance(message, Start) else None
        )
        if schema not in (None, about()["schema"]):
            raise Refused(
                f"{folder} was recorded by another version of rig, with message schema {schema}; "
                "continue it with that version, or start a new session"
            )


def _recorded(folder: Path) -> SessionSettings:
    """Return the settings in the log's Start. Raises Refused if there is no Start."""
    for _, message in read_kinds(folder / LOG_FILE, {Start}):
        if isinstance(message, Start):
            return convert(message.session, SessionSettings, f"{folder}: its Start")
    raise Refused(f"{folder} ended before it began, so there is nothing to continue; use rig run")


def _check_same_day(folder: Path, old: SessionSettings, data: Path) -> None:
    lab, now = read_lab(data), time.time()
    day, today = lab.day_of(datetime.fromisoformat(old.began).timestamp()), lab.day_of(now)
    if day != today:
        raise Refused(
            f"{folder} was run on {day} and today is {today}; only a session of the same day can "
            "be continued; start a new one"
        )


def _check_not_continued(folder: Path, old: SessionSettings) -> None:
    for other in session_folders(folder.parent):
        try:
            continues = session_of(other).continues
        except Refused:  # a damaged folder; admit() handles its water
            continue
        if continues == old.id and not never_began(other):
            raise Refused(f"{folder} was continued already; continue its next part: {other}")


def never_began(folder: Path) -> bool:
    """Return True if the log of a session folder shows that the session ended before it began."""
    log = folder / LOG_FILE
    return log.is_file() and next(read_kinds(log, {Start}), None) is None


def _check_calibration(folder: Path, old: SessionSettings) -> None:
    """Raise Refused if a valve or the wheel was calibrated again since the session began."""
    measured = measured_file(Path(old.setup))
    began = datetime.fromisoformat(old.began).timestamp()
    if old.setup and measured.exists() and measured.stat().st_mtime > began:
        raise Refused(
            f"the rig was calibrated again after {folder} began ({measured}), and a continued "
            "session keeps its settings; start a new session"
        )


def _check_cohort(old: SessionSettings, data: Path) -> None:
    subject = find(data, old.subject)
    if subject is not None and subject.cohort != old.task.get("cohort"):
        raise Refused(
            f"{old.subject} is now of cohort {subject.cohort}, and was of {old.task.get('cohort')} "
            "in the session; start a new session"
        )


def _water_before(old: SessionSettings) -> float:
    return float((old.task.get("resume") or {}).get("given_ul", 0.0))


def _given_ul(folder: Path, old: SessionSettings, data: Path) -> float:
    """Return the largest amount that a session may have given, microlitres, by the ledger."""
    booking = None
    if has_record(data):
        with open_record(data) as record:
            booking = Ledger(record).get(old.id)
    if booking is None or not booking.closed:
        raise Refused(f"the water of {folder} is not entered; run: rig recover {folder}")
    return booking.at_most_ul
