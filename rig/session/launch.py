"""Run one session: the hub, the processes, Start, the operator's keys, and the end."""

import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from rig.clock import RealClock, monotonic_ns
from rig.errors import Refused
from rig.messages import Ended, Heartbeat
from rig.priority import prioritise
from rig.process import RECORDER, completed, publishers
from rig.session import session_folder as folders
from rig.session.alert_process import AlertProcess
from rig.session.live_page import LivePage, Page
from rig.session.locks import RigLock, SubjectLock
from rig.session.operator_input import OperatorInput
from rig.session.preflight import Objection, admit, objections, with_recorded_cohort
from rig.session.process_monitor import ProcessMonitor
from rig.session.provenance import about
from rig.session.recover import complete_log
from rig.session.session_loop import LAUNCH, PUBLISHER, WAKE_S, SessionLoop
from rig.session.status_line import StatusLine
from rig.settings.config import ResolvedSession, SessionSettings
from rig.subjects.booking import clock_step, close_booking, open_booking
from rig.subjects.ledger import Booking
from rig.subjects.session_identity import has_settings, save_settings
from rig.subjects.session_water import WaterCount
from rig.transport.bus import Batching, Bus
from rig.transport.envelope import Sender
from rig.transport.hub import Hub
from rig.transport.log import Completeness, Journal

_PACE = Batching(WAKE_S, max_lag_s=60.0)
"""Messages may wait long for launch, because it decides nothing."""


class Unsettled(Exception):
    """Raised if the session is over and its log cannot be completed; the text has the remedy."""


class Outcome(msgspec.Struct, frozen=True):
    """How a session ended."""

    folder: Path
    reason: str
    failed: bool
    completeness: Completeness
    booking: Booking
    """The session's row in the water ledger."""


class _End(msgspec.Struct, frozen=True):
    """The end of a session before its log is completed."""

    folder: Path | None
    """The current path of the session folder; None if it was removed."""
    reason: str
    failed: bool
    water: WaterCount


def launch(
    answers: ResolvedSession,
    data: Path,
    console: Console,
    override: str = "",
    page: Page = Page.NONE,
) -> Outcome:
    """Run one session to its end. Raises Refused if it cannot be run, before devices are used.

    Args:
        answers: The resolved session.
        data: The data folder.
        console: Where to print.
        override: The operator's reason to run even though a check refuses the session.
        page: Whether a live page shows the session.
    """
    data = data.absolute()
    answers = _completed(answers, data, console)
    with RigLock(answers.session) as rig_lock:
        return _on_rig(answers, data, console, override, page, rig_lock)


def why_not(answers: ResolvedSession, data: Path) -> list[Objection]:
    """Return all reasons for which `launch` would refuse a session now, and its warnings.

    No device is used. The rig and the animal are locked during the check, for less than a second.
    """
    data, warnings = data.absolute(), list[str]()
    try:
        answers = _completed(answers, data, Console(quiet=True), warnings.append)
    except Refused as refusal:
        return [Objection(str(refusal), "setup", final=True)]
    found: list[Objection] = []
    try:
        with RigLock(answers.session, "a check by rig panel (try again)"):
            lock = SubjectLock(data, answers.session.subject)
            try:
                found = objections(answers.session, data)
                folders.check_space(data, answers.session)
            finally:
                lock.release()
    except Refused as refusal:
        found.append(Objection(str(refusal), "rig", final=True))
    return [*found, *(Objection(text, "setup", warning=True) for text in warnings)]


def _on_rig(
    answers: ResolvedSession,
    data: Path,
    console: Console,
    override: str,
    page: Page,
    rig_lock: RigLock,
) -> Outcome:
    lock = SubjectLock(data, answers.session.subject)
    try:
        session = admit(answers.session, data, override, console)
        answers = ResolvedSession(session, answers.files)
        folders.check_space(data, answers.session)
        prioritise(False)
        with closing(Hub(answers.session.rig.hub_port)) as hub:
            locks = (*rig_lock.descriptors(), *lock.descriptors())
            return _in_folder(answers, data, console, hub, page, locks)
    finally:
        lock.release()


def _completed(
    answers: ResolvedSession,
    data: Path,
    console: Console,
    warn: Callable[[str], None] | None = None,
) -> ResolvedSession:
    """Return the session with all defaults; warnings are passed to `warn`, or else printed."""
    nodes = {RECORDER: {"run": "rig.recorder"}, **answers.session.nodes}
    session = with_recorded_cohort(answers.session, data, console)
    session = msgspec.structs.replace(session, nodes=nodes)

    def print_warning(text: str) -> None:
        console.print(Text(f"WARNING: {text}", "bold yellow"))

    return ResolvedSession(completed(session, warn or print_warning), answers.files)


def _in_folder(
    answers: ResolvedSession,
    data: Path,
    console: Console,
    hub: Hub,
    page: Page,
    locks: tuple[int, ...],
) -> Outcome:
    t0_ns, now_s = monotonic_ns(), time.time()
    began = datetime.fromtimestamp(now_s).astimezone().isoformat(timespec="milliseconds")
    folder, session = folders.make(answers, data, t0_ns, began, about())
    try:
        may_publish = {LAUNCH: PUBLISHER, **publishers(session)}
        hub.start(session.id, t0_ns, may_publish, session.rig.hub_realtime)
        processes = ProcessMonitor(folder, session, locks)
        with closing(folders.FolderWatch(folder, locks)) as watch:
            end = _run(folder, session, data, console, page, processes, watch)
    except Refused:
        folders.unmake(folder, session)
        raise
    folders.sweep(session)
    expected_s = now_s + (monotonic_ns() - t0_ns) / 1e9
    step_s = time.time() - expected_s
    end = msgspec.structs.replace(end, reason=end.reason + clock_step(step_s))
    return _settle(end, folder, session, data, step_s)


def _settle(
    end: _End, folder: Path, session: SessionSettings, data: Path, step_s: float = 0.0
) -> Outcome:
    """Enter the water, which does not depend on anything else; then complete the log.

    `step_s` is the time by which the computer's clock was set forward during the session.
    """
    booking, not_entered = None, ""
    if end.folder is not None and not has_settings(end.folder, session):
        with suppress(OSError):  # they are in the log, too
            save_settings(end.folder, session)
    try:
        booking = close_booking(data, session, end.folder or folder, end.reason, end.water, step_s)
    except Refused as refusal:
        not_entered = f"its water is not entered and counts as the rest of the day ({refusal})"
    entered = not_entered or f"{booking and booking.text} is entered for {session.subject}"
    if end.folder is None:
        raise Unsettled(f"{end.reason}; its log is lost with it, and {entered}")
    try:
        completeness = complete_log(end.folder)
    except Refused as refusal:
        raise Unsettled(f"{end.reason}; its log is lost ({refusal}), and {entered}") from refusal
    except OSError as error:
        raise Unsettled(
            f"{end.reason}; the log cannot be completed ({error}): everything published is in "
            f"{end.folder}; make room there, then run: rig recover {end.folder}"
        ) from error
    if booking is None:
        raise Unsettled(
            f"{end.reason}; {not_entered}; correct that, then run: rig recover {end.folder}"
        )
    return Outcome(end.folder, end.reason, end.failed, completeness, booking)


def _run(
    folder: Path,
    session: SessionSettings,
    data: Path,
    console: Console,
    page: Page,
    processes: ProcessMonitor,
    watch: folders.FolderWatch,
) -> _End:
    """Run the processes. Raises Refused if the session did not begin."""
    clock, water = RealClock(session.t0_ns), WaterCount(session.id)
    begun = False

    def book() -> None:
        nonlocal begun
        open_booking(data, session, folder)
        begun = True

    try:
        live_page = LivePage(folder, clock, page)
        operator = OperatorInput(live_page, console)
        alerts = AlertProcess(folder, console)
        with Journal(folder, LAUNCH) as journal, operator, alerts:
            subscribes = (*StatusLine.subscribes, Heartbeat, Ended)
            sender = Sender(LAUNCH, clock, session=session.id)
            bus = Bus(sender, session.rig.hub_port, subscribes, clock, journal, _PACE)
            with closing(bus):
                loop = SessionLoop(session, clock, bus, operator, console, watch, water, processes)
                reason, failed = loop.run(book)
    except OSError as error:  # the disk is full, or gone
        if not begun:
            raise Refused(f"the session cannot begin: {error}; make room on the disk") from error
        reason, failed = f"{LAUNCH}: {error}", True
    return _End(watch.where(), reason, failed, water)
