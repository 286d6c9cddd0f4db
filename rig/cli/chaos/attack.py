"""Carry out a plan: run its sessions, act on them, damage their files, and recover them."""

import os
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from types import TracebackType

import msgspec

from rig.cli.chaos.mcap_messages import messages_in
from rig.cli.chaos.plan import MODULES, Act, Damage, Plan, SessionPlan
from rig.cli.chaos.session_process import SessionProcess, behavior_alone
from rig.cli.chaos.strangers import put_garbage
from rig.cli.chaos.truth_valve import TRUTH_VARIABLE
from rig.subjects.booking import session_folders, subject_folder
from rig.subjects.water_reserve import RESERVE_FILE
from rig.transport.log import JOURNAL_FOLDER, LOG_FILE
from rig.transport.private_folder import lock, private_folder

SUBJECT = "chaos"
REWARD_UL = 3.0
_SETS = (
    "task.grey_before_s=0.2",
    "task.grey_after_s=0.2",
    "task.minutes=1",
    "task.reward_mode='passive'",
    "task.reward_delay_ms=0",
    "task.stimuli=['leaf1']",
    "task.shares=[1.0]",
    "task.signals={}",
    "task.texture_m=1.0",
    "task.grey_m=0.5",
    "task.cue_from_m=0.1",
    "task.cue_to_m=0.3",
    "task.motion='always'",
    "task.corridor_cm_s=200.0",
    "nodes.hardware.valve.centre.is='rig.cli.chaos.truth_valve:TruthValve'",
)
"""Settings with which a session gives water about twice per second."""
_MARK = "CHAOS_RUN"
_LEFT_AFTER_S = 60.0
"""Longest time that processes may take to end after launch, even on a busy computer, seconds."""


class Ran(msgspec.Struct):
    """A session that was run, and its results."""

    plan: SessionPlan
    code: int
    output: str
    folder: Path | None
    """The session folder; None if the session was refused, or ended before it began."""
    journals: Path
    """Folder with the journals of the processes, as they were before any damage."""
    processes_left: list[str]
    locks_left: list[str]
    done: list[str]
    """The faults that were injected, in order of time."""
    damaged: set[str] = msgspec.field(default_factory=set)
    """The files that were damaged afterwards: "log", "journal", "reserve"."""
    damaged_log: bytes = b""
    """The log after it was damaged."""


class Arena:
    """A data folder with one animal, and beside it files that the rig does not read."""

    def __init__(self, root: Path, plan: Plan) -> None:
        self.plan, self.data = plan, root / "data"
        self.truth = root / "truth"
        self.truth.mkdir(parents=True)
        self.pulses = self.truth / "pulses.jsonl"
        self.setup = behavior_alone(self.truth)
        self.mark = uuid.uuid4().hex
        self.environment = {
            TRUTH_VARIABLE: str(self.pulses),
            _MARK: self.mark,
            # Python would cut off the .pyc files that a process writes on a full disk
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, number: int) -> Ran:
        """Run one session of the plan until it ends for any reason."""
        plan = self.plan.sessions[number]
        journals = self.truth / f"journals_{number + 1}"
        journals.mkdir()
        before = set(self._folders())
        sets = (*_SETS, f"nodes.hardware.guard.max_day_ul={self.plan.max_day_ul}")
        session = SessionProcess(self.data, sets, self.setup, subject=SUBJECT, env=self.environment)
        with closing(session):
            acts = _Acts(session, plan.acts, Random(f"{self.plan.seed} {number}"))
            with acts:
                if self._starts(session, before, journals):
                    acts.started()
                code, output = session.end()
            left = self._processes_left()
        new = [folder for folder in self._folders() if folder not in before]
        folder = new[0] if new else None
        self._link_journals(before, journals)
        for path in journals.iterdir():  # copy them, so that they are not the files to damage
            shutil.copyfile(path, path.with_suffix(".copy"))
            path.with_suffix(".copy").replace(path)
        locks = list(_locks_left(session.port, self.data))
        return Ran(plan, code, output, folder, journals, left, locks, acts.done)

    def damage(self, ran: Ran) -> None:
        """Damage the files of a session that has ended."""
        if ran.folder is None:
            return
        for damage in ran.plan.damage:
            paths = {
                "log": [ran.folder / LOG_FILE],
                "journal": sorted((ran.folder / JOURNAL_FOLDER).glob("*.mcap")),
                "reserve": [ran.folder / RESERVE_FILE],
            }[damage.file]
            paths = [path for path in paths if path.exists() and path.stat().st_size]
            if paths:
                _damage(paths[int(damage.which * len(paths))], damage)
                ran.damaged.add(damage.file)
        if "log" in ran.damaged:
            ran.damaged_log = (ran.folder / LOG_FILE).read_bytes()

    def _folders(self) -> list[Path]:
        return session_folders(subject_folder(self.data, SUBJECT))

    def _starts(self, session: SessionProcess, before: set[Path], journals: Path) -> bool:
        """Wait for Start in the journal of launch; return False if the session ends without."""
        launch = journals / "launch.mcap"
        while session.process.poll() is None:
            self._link_journals(before, journals)
            if launch.exists() and any(key[1] == "Start" for key, _ in messages_in(launch)):
                return True
            time.sleep(0.02)
        return False

    def _link_journals(self, before: set[Path], journals: Path) -> None:
        """Link the journals of the new session, so that they remain if the rig removes them."""
        for folder in set(self._folders()) - before:
            for path in (folder / JOURNAL_FOLDER).glob("*.mcap"):
                with suppress(FileExistsError, FileNotFoundError):  # the session was just refused
                    os.link(path, journals / path.name)

    def _processes_left(self) -> list[str]:
        """Return the processes that did not end; kill them."""
        deadline = time.monotonic() + _LEFT_AFTER_S
        while (left := list(self._processes())) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid, _ in left:
            _send(pid, "SIGKILL")
        return [command for _, command in left]

    def _processes(self) -> Iterator[tuple[int, str]]:
        mark = f"{_MARK}={self.mark}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    yield int(process.name), command
            except OSError:
                continue  # the process has ended, or belongs to another user


class _Acts:
    """A thread that injects the planned faults into a session."""

    def __init__(self, session: SessionProcess, acts: tuple[Act, ...], random: Random) -> None:
        self._session, self._acts, self._random = session, acts, random
        self._began_s = {"launch": time.monotonic()}
        self._ready = threading.Event()
        self._stopped: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run)
        self.done: list[str] = []

    def started(self) -> None:
        """Tell the thread that Start was published."""
        self._began_s["Start"] = time.monotonic()
        self._ready.set()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._ready.set()
        self._thread.join()

    def _run(self) -> None:
        for since in ("launch", "Start"):
            if since == "Start":
                self._ready.wait()
            for act in self._acts:
                if act.since == since and since in self._began_s:
                    time.sleep(max(0.0, self._began_s[since] + act.at_s - time.monotonic()))
                    try:
                        self._do(act)
                        self.done.append(str(act))
                    except (LookupError, OSError):
                        self.done.append(f"{act} (it was gone)")

    def _do(self, act: Act) -> None:
        match act.verb:
            case "garbage":
                put_garbage(act.target, self._session.port, act.amount, self._random)
            case "end":
                _send(self._pid("launch"), act.target)
            case "full disk":
                _limit_files(self._pid(act.target), act.amount)
            case "stop":
                self._stopped[act.target] = self._pid(act.target)
                _send(self._stopped[act.target], "SIGSTOP")
            case "continue":
                _send(self._stopped.pop(act.target), "SIGCONT")
            case "kill":
                _send(self._pid(act.target), "SIGKILL")
            case "terminate":
                _send(self._pid(act.target), "SIGTERM")

    def _pid(self, target: str) -> int:
        if target == "launch":
            if self._session.process.poll() is not None:
                raise LookupError("launch has ended")
            return self._session.process.pid
        return self._session.pid(MODULES[target])


def _send(pid: int, signal_name: str) -> None:
    os.kill(pid, signal.Signals[signal_name])


def _limit_files(pid: int, more: int) -> None:
    """Limit the size of a process's files to its largest plus `more` bytes, like a full disk."""
    if sys.platform == "linux":
        import resource

        sizes = [0]
        for link in Path(f"/proc/{pid}/fd").iterdir():
            path = link.readlink()
            if path.suffix in (".mcap", ".sqlite"):
                sizes.append(path.stat().st_size)
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (max(sizes) + more, most))


def _damage(path: Path, damage: Damage) -> None:
    data = bytearray(path.read_bytes())
    at = int(damage.at * len(data))
    match damage.kind:
        case "flip":
            data[at] ^= 1 << damage.bit
        case "truncate":
            del data[at:]
        case "zero":
            data[at : at + 64] = bytes(len(data[at : at + 64]))
    path.write_bytes(data)


def _locks_left(port: int, data: Path) -> Iterator[str]:
    """Yield the locks of a session that are still held."""
    private = private_folder()
    names = (private / f"hub-{port}.lock", private / f"rig-simulated-{port}.lock")
    for path in (*names, subject_folder(data, SUBJECT) / ".running"):
        if path.exists():
            with path.open("rb") as file:
                try:
                    lock(file)
                except OSError:
                    yield path.name
