"""Monitor the processes of a session: which are ready, and which have ended, died or hang."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from rig.messages import Ended, Heartbeat, Message
from rig.process import node_class
from rig.settings.config import SessionSettings
from rig.transport.envelope import Envelope

HANG_NS = 1_300_000_000
"""Silence after which a node counts as hanging, ns; longer if its max_lag_s is longer."""
_ENDED_MAY_TAKE_S = 0.5
"""Longest time from the exit of a process to the arrival of its Ended, seconds."""
_SYNC_S = 30.0
"""Longest time that a process may wait for a slow disk after its Ended, before it is killed, s."""
_PROC = Path("/proc")


class ProcessMonitor:
    """The processes of a session, and their last messages about their state.

    A node that is not critical is dropped when it fails, and the session continues without it.
    """

    def __init__(self, folder: Path, session: SessionSettings, locks: tuple[int, ...] = ()) -> None:
        """Create the monitor; `locks` are the open lock files that the processes inherit."""
        self._folder, self._session = folder, session
        self._locks = locks if os.name == "posix" else ()
        kinds = {n: node_class(str(table["run"])) for n, table in session.nodes.items()}
        self._critical = {name for name, kind in kinds.items() if kind.critical}
        self._dropped: set[str] = set()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._patience_ns = {n: max(HANG_NS, int(k.max_lag_s * 1e9)) for n, k in kinds.items()}
        self._beat: dict[str, int] = {}
        self._gone: dict[str, float] = {}
        self._newest = 0
        """Send time of the newest message from any process, ns."""
        self._ready: set[str] = set()
        self._ended: dict[str, Ended] = {}

    def start(self, name: str) -> None:
        """Start a node's process, `python -P -m module FOLDER`, which does not get Ctrl-C."""
        run = str(self._session.nodes[name]["run"])
        with self._errors(name).open("wb") as errors:
            self._processes[name] = subprocess.Popen(
                command(run, str(self._folder), str(os.getpid())),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
                pass_fds=self._locks,
            )

    def handle(self, envelope: Envelope, message: Message) -> None:
        """Handle a Heartbeat or an Ended, and store the time of any message."""
        self._newest = max(self._newest, envelope.sent)
        if isinstance(message, Heartbeat):
            self._beat[envelope.sender] = envelope.sent
            if message.ready:
                self._ready.add(envelope.sender)
        elif isinstance(message, Ended):
            self._ended[envelope.sender] = message

    def unready(self) -> list[str]:
        """Return the nodes that have not yet received their own heartbeat."""
        return [name for name in self._processes if name not in self._ready]

    def ended(self) -> tuple[str, bool] | None:
        """Return why the session must end, and True if it is a failure; None if it continues."""
        return next((why for name in self._processes if (why := self._end_of(name))), None)

    def drop(self) -> list[str]:
        """Drop the nodes that are not critical and have ended, died or hang; return the reasons."""
        reasons = []
        for name in sorted(self._processes.keys() - self._critical - self._dropped):
            if self._silent_ns(name) > self._patience_ns[name]:
                self.kill(name)
                why = f"{name} hung: no heartbeat for {self._silent_ns(name) / 1e9:.1f} s"
            elif (end := self._end_of(name)) is not None:
                why = end[0]
            else:
                continue
            self._dropped.add(name)
            reasons.append(f"{why}; the session continues without {name}")
        return reasons

    def failure(self) -> str:
        """Return the reasons of the critical nodes that failed; "" if none failed.

        A node that failed may be unable to publish its Ended, for example if the hub is dead.
        """
        reasons = []
        for name in sorted(self._critical & self._processes.keys()):
            ended, code = self._ended.get(name), self._processes[name].poll()
            if ended is not None and ended.failed:
                reasons.append(_reason(name, ended)[0])
            elif ended is None and code:
                reasons.append(self._death_of(name, code))
        return "; ".join(reasons)

    def end_hanging(self) -> str | None:
        """Kill a critical node whose loop has been silent for too long, and return why."""
        for name in self._processes:
            silent_ns = self._silent_ns(name)
            if name in self._critical and silent_ns > self._patience_ns[name]:
                self.kill(name)
                return f"{name} hung: no heartbeat for {silent_ns / 1e9:.1f} s"
        return None

    def running(self, names: list[str]) -> list[str]:
        """Return the nodes, of those in `names`, that have neither ended nor died."""
        alive = self._processes
        return [n for n in names if n not in self._ended and alive[n].poll() is None]

    def patience_ns(self, name: str) -> int:
        """Return the longest time that a node may take for its last messages, ns."""
        return self._patience_ns[name]

    def waits_for_disk(self, name: str) -> bool:
        """Return True if a process is waiting for a disk now; known only on Linux."""
        try:
            stat = (_PROC / str(self._processes[name].pid) / "stat").read_bytes()
        except OSError:
            return False
        return stat.rpartition(b")")[2].split()[0] == b"D"

    def is_critical(self, name: str) -> bool:
        """Return True if the session cannot continue without a node."""
        return name in self._critical

    def end(self, patience_s: float) -> None:
        """Wait for all processes to exit; terminate the remaining ones, and finally kill them.

        A process that has published its Ended has released its devices and only syncs its journal,
        so it gets the time that a slow disk needs.
        """
        self._wait([n for n in self._processes if n in self._ended], _SYNC_S)
        self._wait(list(self._processes), patience_s)
        for end in (subprocess.Popen.terminate, subprocess.Popen.kill):
            for process in self._processes.values():
                if process.poll() is None:
                    end(process)
            self._wait(list(self._processes), patience_s)

    def kill(self, name: str) -> None:
        """Kill a process that no longer reacts."""
        self._processes[name].kill()

    def sweep(self) -> list[Path]:
        """Remove the empty files of the processes' output; return those with a traceback."""
        traced = []
        for name in self._processes:
            printed = self._errors(name)
            if not printed.exists():  # the session folder was removed or moved
                continue
            if printed.stat().st_size == 0:
                printed.unlink()
            elif "Traceback" in printed.read_text(errors="replace"):
                traced.append(printed)
        return traced

    def _end_of(self, name: str) -> tuple[str, bool] | None:
        """Return why a node has ended, and True if it failed; None if it is running."""
        if name in self._dropped:
            return None
        if name in self._ended:
            return _reason(name, self._ended[name])
        code = self._processes[name].poll()
        if code is None:
            return None
        gone_s = time.monotonic() - self._gone.setdefault(name, time.monotonic())
        if code < 0 or gone_s > _ENDED_MAY_TAKE_S:
            return self._death_of(name, code), True
        return None

    def _silent_ns(self, name: str) -> int:
        """Return for how long a node has been silent while others published, ns."""
        return self._newest - self._beat.get(name, self._newest)

    def _wait(self, names: list[str], patience_s: float) -> None:
        """Wait until the processes have exited, for at most patience_s in total."""
        deadline = time.monotonic() + patience_s
        for name in names:
            try:
                self._processes[name].wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return

    def _errors(self, name: str) -> Path:
        return self._folder / f"{name}.err.txt"

    def _death_of(self, name: str, code: int) -> str:
        """Return why a process died: the signal, or the last line that it printed."""
        if code < 0:
            return f"{name} died: {signal.Signals(-code).name}"
        path = self._errors(name)
        text = path.read_text(errors="replace") if path.exists() else ""
        printed = text.strip().splitlines()
        last = printed[-1] if printed else f"exit code {code}"
        return last if last.startswith(f"{name}: ") else f"{name} died: {last}"


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs an installed module, even if the current folder has its name."""
    return [sys.executable, "-P", "-m", module, *arguments]


def _reason(name: str, message: Ended) -> tuple[str, bool]:
    return (f"{name}: {message.reason}", True) if message.failed else (message.reason, False)
