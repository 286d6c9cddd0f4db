"""A real session, run by the real command, for tests that look on, signal and kill."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import zmq

import rig
from rig.errors import Refused
from rig.messages import Heartbeat, Message
from rig.transport.envelope import Envelope, unpack
from tests.hubs import observer
from tests.ports import free_port

PACKAGE = Path(rig.__file__).parent
SETUP = PACKAGE / "setups" / "simulated.toml"
TASK = PACKAGE.parent / "behavior" / "tasks" / "train1.toml"
NO_SCREEN = "nodes.display.screen={is='stimuli.window:SimulatedScreen'}"
_SEEN = ("display", "mesoscope", "stream", "online", "integrity", "task.imaging")
"""What of the simulated setup shows and images; [nodes.task.imaging] waits for the microscope."""
W = TypeVar("W", bound=Message)


def behavior_alone(folder: Path, more: str = "") -> Path:
    """Write the simulated setup without all that shows and images, which starts in half the time.

    `more` is text at its end: other tables.
    """
    tables = re.split(r"^(?=\[)", SETUP.read_text(), flags=re.MULTILINE)
    left_out = tuple(f"[nodes.{name}" for name in _SEEN)
    setup = folder / "behavior.toml"
    setup.write_text("".join(t for t in tables if not t.startswith(left_out)) + more)
    return setup


class Live:
    """One `rig run` process and its children, observed from outside."""

    def __init__(
        self,
        data: Path,
        *sets: str,
        setup: Path = SETUP,
        task: Path = TASK,
        args: tuple[str, ...] = (),
        subject: str = "test",
        env: dict[str, str] | None = None,
        keys: bool = False,
        page: bool = False,
    ) -> None:
        """Start it; `keys`: somebody sits at its terminal; `page`: with a live page."""
        self.port = free_port()
        self.data, self.subject = data, subject
        self.received: set[tuple[str, str, int]] = set()
        """Every word but Beats that passed the hub: speaker, kind, seq."""
        self._context: zmq.Context[Any] = zmq.Context()
        self._in: zmq.Socket[Any] | None = None
        command = [sys.executable, "-c", "from rig.cli.main import main; main()", "run"]
        command += [str(setup), str(task), "--subject", subject, "--data", str(data)]
        command += ["--no-browser" if page else "--no-page", *args]
        for text in (f"rig.hub_port={self.port}", *self._quickly(setup), *sets):
            command += ["--set", text]
        self._keyboard, terminal = pty.openpty()
        self.process = subprocess.Popen(
            command,
            stdin=terminal if keys else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # nodes start with -P: those of tests are found only where this says
            env={**os.environ, "COLUMNS": "200", "PYTHONPATH": str(PACKAGE.parent), **(env or {})},
        )
        os.close(terminal)

    @staticmethod
    def _quickly(setup: Path) -> tuple[str, ...]:
        """Do not wait for 15 frames of grey before and after each session."""
        imaging = "[nodes.task.imaging]" in setup.read_text()
        return ("nodes.task.imaging.grey_frames=1",) if imaging else ()

    @property
    def folder(self) -> Path:
        """The session's folder."""
        (folder,) = (self.data / f"sub-{self.subject}").glob("ses-*")
        return folder

    def until(self, kind: type[W], **fields: object) -> tuple[Envelope, W]:
        """Wait for a message of that type with those fields; fail if the session ends first."""
        while True:
            ear = self._ear()
            if ear is not None and ear.poll(200):
                frame: bytes = ear.recv()
                envelope, message = unpack(frame[frame.index(b" ") + 1 :])
                if not isinstance(message, Heartbeat):
                    self.received.add((envelope.sender, type(message).__name__, envelope.seq))
                if isinstance(message, kind) and all(
                    getattr(message, k) == v for k, v in fields.items()
                ):
                    return envelope, message
            elif self.process.poll() is not None:
                assert self.process.stdout is not None
                raise AssertionError(f"ended without {kind.__name__}: {self.process.stdout.read()}")

    def _ear(self) -> zmq.Socket[Any] | None:
        """Return the socket that receives the session's messages; None until its hub runs."""
        if self._in is None:
            try:
                self._in = observer(self._context, self.port)
            except Refused:
                time.sleep(0.01)
            else:
                self._in.subscribe(b"")
        return self._in

    def pid(self, module: str) -> int:
        """Return the process id of a node, by its module."""
        for line in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            for child in line.read_text().split():
                messages = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
                if module.encode() in messages:
                    return int(child)
        raise AssertionError(f"{module} does not run")

    def signal(self, module: str, number: signal.Signals) -> float:
        """Send a signal to a node (or to "launch"); return the moment (s, monotonic)."""
        pid = self.process.pid if module == "launch" else self.pid(module)
        os.kill(pid, number)
        return time.monotonic()

    def page_address(self) -> str:
        """Return the address of the live page, with the operator's token, as it was printed."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if (found := re.search(r"live page: (\S+)", line)) is not None:
                return found[1]
        raise AssertionError("it ended without a live page")

    def press(self, key: str) -> None:
        """Press a key at its terminal."""
        os.write(self._keyboard, key.encode())

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what was printed."""
        output, _ = self.process.communicate(timeout=240)
        return self.process.returncode, output

    def __enter__(self) -> "Live":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        os.close(self._keyboard)
        self._context.destroy(linger=0)
