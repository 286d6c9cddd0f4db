"""One run, begun and ended: the hub, the processes, Start, the operator's keys, and the end."""

from datetime import datetime
from pathlib import Path

import msgspec
from rich.console import Console

from rig.bus import Bus, Pace
from rig.clock import RealClock, monotonic_ns
from rig.config import Answers, Session
from rig.envelope import Voice
from rig.hub import Hub
from rig.log import Journal, Verdict
from rig.messages import Beat, Ended
from rig.process import RECORDER, completed, prioritise
from rig.refused import Refused
from rig.session import folder as folders
from rig.session.about import about
from rig.session.admit import admit, of_record
from rig.session.keys import Keys
from rig.session.line import Line
from rig.session.locks import RigLock
from rig.session.recover import settle
from rig.session.run import LAUNCH, LOOK_S, Run
from rig.session.water import settle_water

_PACE = Pace(LOOK_S, may_lag_s=60.0)
"""launch decides nothing: that it hears late harms nobody."""


class Unsettled(Exception):
    """The session is over and its log could not be completed. Its text says what to do."""


class Outcome(msgspec.Struct, frozen=True):
    """How a session ended."""

    folder: Path
    reason: str
    failed: bool
    verdict: Verdict


def launch(answers: Answers, data: Path, console: Console, override: str = "") -> Outcome:
    """Run one session to its end. Raises Refused before anything moves if it cannot be run.

    `override` is the operator's reason to run in spite of what can be overridden.
    """
    answers = _completed(answers, data, console)
    rig_lock = RigLock(answers.session)
    try:
        return _on_rig(answers, data, console, override)
    finally:
        rig_lock.release()


def _on_rig(answers: Answers, data: Path, console: Console, override: str) -> Outcome:
    lock = folders.SubjectLock(data, answers.session.subject)
    try:
        session = admit(answers.session, data, override, console)
        answers = Answers(session, answers.files)
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


def _completed(answers: Answers, data: Path, console: Console) -> Answers:
    nodes = {RECORDER: {"run": "rig.recorder"}, **answers.session.nodes}
    session = msgspec.structs.replace(of_record(answers.session, data, console), nodes=nodes)
    return Answers(completed(session), answers.files)


def _in_folder(answers: Answers, subject_folder: Path, console: Console) -> Outcome:
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


def _run(folder: Path, session: Session, clock: RealClock, console: Console) -> tuple[str, bool]:
    with Journal(folder, LAUNCH) as journal, Keys() as keys:
        hears = (*Line.hears, Beat, Ended)
        voice = Voice(LAUNCH, clock)
        bus = Bus(voice, session.rig.hub_port, hears, clock, journal, _PACE)
        try:
            return Run(folder, session, clock, bus, keys, console).to_its_end()
        finally:
            bus.close()
