"""Keeps an eye on the processes of a session: who is ready, who has ended, died or hangs."""

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
_ENDED_MAY_TAKE_S = 0.5
"""How long the last word of a process that has left may still be on its way."""


class ProcessMonitor:
    """The processes of a session, and what they were last heard to say of themselves."""

    def __init__(self, folder: Path, session: SessionSettings) -> None:
        self._folder, self._session = folder, session
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._patience_ns = {
            name: max(HANG_NS, int(node_class(str(table["run"])).max_lag_s * 1e9))
            for name, table in session.nodes.items()
        }
        self._beat: dict[str, int] = {}
        self._gone: dict[str, float] = {}
        self._heard_until = 0
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
        """Take note of a Beat or an Ended, and of how far the words have come."""
        self._heard_until = max(self._heard_until, envelope.sent)
        if isinstance(message, Heartbeat):
            self._beat[envelope.sender] = envelope.sent
            if message.ready:
                self._ready.add(envelope.sender)
        elif isinstance(message, Ended):
            self._ended[envelope.sender] = message

    def unready(self) -> list[str]:
        """Return the nodes that have not yet heard themselves."""
        return [name for name in self._processes if name not in self._ready]

    def ended(self) -> tuple[str, bool] | None:
        """Return why the session must end and whether that is a failure; None if it need not."""
        for name, message in self._ended.items():
            return _why(name, message)
        for name, process in self._processes.items():
            if process.poll() is not None:
                gone_s = time.monotonic() - self._gone.setdefault(name, time.monotonic())
                if process.returncode < 0 or gone_s > _ENDED_MAY_TAKE_S:
                    return self._last_words(name, process.returncode), True
        return None

    def failure(self) -> str:
        """Return the reason of a node that said it failed; empty if none did."""
        reasons = [
            _why(name, message)[0] for name, message in self._ended.items() if message.failed
        ]
        return "; ".join(reasons)

    def end_hanging(self) -> str | None:
        """Kill a node whose work loop has been silent for too long, and say so.

        Silent while others spoke: that this process hears late is no sign of a hanging node.
        """
        for name, beat in self._beat.items():
            silent_ns = self._heard_until - beat
            if name in self._processes and silent_ns > self._patience_ns[name]:
                self.kill(name)
                return f"{name} hung: no beat for {silent_ns / 1e9:.1f} s"
        return None

    def running(self, names: list[str]) -> list[str]:
        """Return those of the names that have neither ended nor died."""
        alive = self._processes
        return [n for n in names if n not in self._ended and alive[n].poll() is None]

    def end(self, patience_s: float) -> None:
        """Wait for every process to leave; terminate those that stay, kill those that still do."""
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            alive = [p for p in self._processes.values() if p.poll() is None]
            for process in alive if number is not None else []:
                process.send_signal(number or signal.SIGTERM)
            deadline = time.monotonic() + patience_s
            for process in alive:
                try:
                    process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    break

    def kill(self, name: str) -> None:
        """End a process that no longer listens."""
        self._processes[name].kill()

    def sweep(self) -> list[Path]:
        """Remove the empty files of what the processes printed; return those with a traceback."""
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

    def _errors(self, name: str) -> Path:
        return self._folder / f"{name}.err.txt"

    def _last_words(self, name: str, code: int) -> str:
        """Say why a process is gone: the signal, or what it printed last."""
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


def _why(name: str, message: Ended) -> tuple[str, bool]:
    return (f"{name}: {message.reason}", True) if message.failed else (message.reason, False)
