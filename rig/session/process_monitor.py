"""Watches the processes of a session: which are ready, and which have ended, died or hang."""

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
"""How long a node may be silent before it counts as hanging, ns; longer if its max_lag_s is."""
_ENDED_MAY_TAKE_S = 0.5
"""How long the Ended of a process that has exited may still be on its way."""
_SYNC_S = 30.0
"""How long a process that published its Ended may wait for a slow disk before it is killed."""
_PROC = Path("/proc")


class ProcessMonitor:
    """The processes of a session, and what they last published about themselves.

    A node that is not critical is dropped when it fails: the session goes on without it.
    """

    def __init__(self, folder: Path, session: SessionSettings) -> None:
        self._folder, self._session = folder, session
        kinds = {n: node_class(str(table["run"])) for n, table in session.nodes.items()}
        self._critical = {name for name, kind in kinds.items() if kind.critical}
        self._dropped: set[str] = set()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._patience_ns = {n: max(HANG_NS, int(k.max_lag_s * 1e9)) for n, k in kinds.items()}
        self._beat: dict[str, int] = {}
        self._gone: dict[str, float] = {}
        self._newest = 0
        """When the newest message from any process was sent, ns."""
        self._ready: set[str] = set()
        self._ended: dict[str, Ended] = {}

    def start(self, name: str) -> None:
        """Start a node's process: `python -P -m module FOLDER`, out of reach of Ctrl-C."""
        run = str(self._session.nodes[name]["run"])
        with self._errors(name).open("wb") as errors:
            self._processes[name] = subprocess.Popen(
                command(run, str(self._folder), str(os.getpid())),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )

    def handle(self, envelope: Envelope, message: Message) -> None:
        """Take a Heartbeat or an Ended, and the time of any message."""
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
        """Return why the session must end and whether that is a failure; None if it need not."""
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
            reasons.append(f"{why}; the session goes on without {name}")
        return reasons

    def failure(self) -> str:
        """Return the reasons of the critical nodes that failed; "" if none did.

        One that failed may be unable to publish its Ended, as when the hub is dead.
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
        """Return those of the names that have neither ended nor died."""
        alive = self._processes
        return [n for n in names if n not in self._ended and alive[n].poll() is None]

    def patience_ns(self, name: str) -> int:
        """Return how long a node may take for its last messages while nothing moves, ns."""
        return self._patience_ns[name]

    def waits_for_disk(self, name: str) -> bool:
        """Return whether a process waits for a disk now, where the system reports it (Linux)."""
        try:
            stat = (_PROC / str(self._processes[name].pid) / "stat").read_bytes()
        except OSError:
            return False
        return stat.rpartition(b")")[2].split()[0] == b"D"

    def is_critical(self, name: str) -> bool:
        """Return whether a session cannot go on without a node."""
        return name in self._critical

    def end(self, patience_s: float) -> None:
        """Wait for every process to exit; terminate those that stay, kill those that still do.

        One that has published its Ended holds no device any more and syncs its journal: it gets
        the time that a slow disk needs.
        """
        self._wait([n for n in self._processes if n in self._ended], _SYNC_S)
        self._wait(list(self._processes), patience_s)
        for end in (subprocess.Popen.terminate, subprocess.Popen.kill):
            for process in self._processes.values():
                if process.poll() is None:
                    end(process)
            self._wait(list(self._processes), patience_s)

    def kill(self, name: str) -> None:
        """Kill a process that does not react any more."""
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
        """Return why a node has ended, and whether that is a failure; None if it runs."""
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
        """Return how long a node has been silent while others published, ns."""
        return self._newest - self._beat.get(name, self._newest)

    def _wait(self, names: list[str], patience_s: float) -> None:
        """Wait until those processes have exited, at most that long in all."""
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
    """Return the command that runs an installed module, whatever is in the current folder."""
    return [sys.executable, "-P", "-m", module, *arguments]


def _reason(name: str, message: Ended) -> tuple[str, bool]:
    return (f"{name}: {message.reason}", True) if message.failed else (message.reason, False)
