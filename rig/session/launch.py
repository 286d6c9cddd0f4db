"""One run, begun and ended: the hub, the processes, Start, the operator's keys, and the end."""

from datetime import datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from rig.clock import RealClock, monotonic_ns
from rig.errors import Refused
from rig.messages import Ended, Heartbeat
from rig.process import RECORDER, completed, prioritise
from rig.session import session_folder as folders
from rig.session.locks import RigLock
from rig.session.operator_keys import OperatorKeys
from rig.session.preflight import admit, of_record
from rig.session.provenance import about
from rig.session.recover import settle
from rig.session.session_loop import LAUNCH, LOOK_S, SessionLoop
from rig.session.status_line import StatusLine
from rig.session.water_totals import settle_water
from rig.settings.config import ResolvedSession, SessionSettings
from rig.transport.bus import Batching, Bus
from rig.transport.envelope import Sender
from rig.transport.hub import Hub
from rig.transport.log import Completeness, Journal

_PACE = Batching(LOOK_S, max_lag_s=60.0)
"""launch decides nothing: that it hears late harms nobody."""


class Unsettled(Exception):
    """The session is over and its log could not be completed. Its text says what to do."""


class Outcome(msgspec.Struct, frozen=True):
    """How a session ended."""

    folder: Path
    reason: str
    failed: bool
    verdict: Completeness


def launch(answers: ResolvedSession, data: Path, console: Console, override: str = "") -> Outcome:
    """Run one session to its end. Raises Refused before anything moves if it cannot be run.

    `override` is the operator's reason to run in spite of what can be overridden.
    """
    answers = _completed(answers, data, console)
    rig_lock = RigLock(answers.session)
    try:
        return _on_rig(answers, data, console, override)
    finally:
        rig_lock.release()


def _on_rig(answers: ResolvedSession, data: Path, console: Console, override: str) -> Outcome:
    lock = folders.SubjectLock(data, answers.session.subject)
    try:
        session = admit(answers.session, data, override, console)
        answers = ResolvedSession(session, answers.files)
        folders.check_space(data, answers.session)
        prioritise(answers.session.rig.hub_realtime)
        hub = Hub(answers.session.rig.hub_port)
        prioritise(False)  # the hub's threads stay as they were started
        try:
            return _in_folder(answers, lock.folder, console)
        finally:
            hub.close()
    finally:
        lock.release()


def _completed(answers: ResolvedSession, data: Path, console: Console) -> ResolvedSession:
    nodes = {RECORDER: {"run": "rig.recorder"}, **answers.session.nodes}
    session = msgspec.structs.replace(of_record(answers.session, data, console), nodes=nodes)

    def warn(text: str) -> None:
        console.print(Text(f"WARNING: {text}", "bold yellow"))

    return ResolvedSession(completed(session, warn), answers.files)


def _in_folder(answers: ResolvedSession, subject_folder: Path, console: Console) -> Outcome:
    t0_ns = monotonic_ns()
    began = datetime.now().astimezone().isoformat(timespec="milliseconds")
    folder, session = folders.make(answers, subject_folder, t0_ns, began, about())
    try:
        reason, failed = _run(folder, session, RealClock(t0_ns), console)
    except Refused:
        folders.unmake(folder, session)
        raise
    except OSError as error:  # the disk is full, or gone
        reason, failed = f"{LAUNCH}: {error}", True
    folders.sweep(session)
    try:
        verdict = settle(folder)
        settle_water(folder, session)
        return Outcome(folder, reason, failed, verdict)
    except OSError as error:
        raise Unsettled(
            f"{reason}; the log cannot be completed ({error}): everything said is in {folder}; "
            f"make room there, then run: rig recover {folder}"
        ) from error


def _run(
    folder: Path, session: SessionSettings, clock: RealClock, console: Console
) -> tuple[str, bool]:
    with Journal(folder, LAUNCH) as journal, OperatorKeys() as keys:
        subscribes = (*StatusLine.subscribes, Heartbeat, Ended)
        sender = Sender(LAUNCH, clock)
        bus = Bus(sender, session.rig.hub_port, subscribes, clock, journal, _PACE)
        try:
            return SessionLoop(folder, session, clock, bus, keys, console).to_its_end()
        finally:
            bus.close()
