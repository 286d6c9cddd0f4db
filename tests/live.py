"""A real session, run by the real command, for tests that observe, signal and kill it."""

import json
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import zmq

from rig.cli.chaos import session_process
from rig.cli.chaos.session_process import SessionProcess
from rig.cli.sessions.end_summary import SUMMARY_FILE
from rig.errors import Refused
from rig.messages import Heartbeat, Message, OperatorRequest
from rig.transport.envelope import Envelope, unpack
from tests.hubs import observer

PACKAGE, TASK = session_process.PACKAGE, session_process.TASK
SETUP = session_process.SIMULATED_SETUP
NO_SCREEN = "nodes.display.screen={is='stimuli.window:SimulatedScreen'}"
SHORT = (
    "task.texture_m=1.5",
    "task.grey_m=0.5",
    "task.cue_from_m=0.3",
    "task.cue_to_m=0.8",
    "task.grey_before_s=1",
    "task.grey_after_s=1",
)
"""Settings of short corridors: 1.5 m of texture and 0.5 m of grey."""
W = TypeVar("W", bound=Message)


class Live(SessionProcess):
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
        """Start it; `keys`: with a terminal that accepts keys; `page`: with a live page."""
        self.received: set[tuple[str, str, int]] = set()
        """Every message but Heartbeats that passed the hub: sender, type, sequence number."""
        self._context: zmq.Context[Any] = zmq.Context()
        self._in: zmq.Socket[Any] | None = None
        self._topics = [b""]
        self._keyboard, terminal = pty.openpty()
        super().__init__(
            data,
            (*self._quickly(setup), *sets),
            setup,
            task,
            subject,
            ("--no-browser" if page else "--no-page", *args),
            terminal if keys else subprocess.DEVNULL,
            # nodes start with -P, so nodes of tests are found only on this path
            {"PYTHONPATH": str(PACKAGE.parent), **(env or {})},
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

    def receive_only(self, *kinds: type[Message]) -> None:
        """Receive only these types, which is faster on a busy machine. Call it before `until`."""
        self._topics = [f"{one.__name__} ".encode() for one in kinds]

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
                for topic in self._topics:
                    self._in.subscribe(topic)
        return self._in

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

    def summary(self) -> dict[str, Any]:
        """Return the summary of the session, which has ended."""
        found: dict[str, Any] = json.loads((self.folder / SUMMARY_FILE).read_text())
        return found

    def press(self, key: str) -> None:
        """Press a key at its terminal."""
        os.write(self._keyboard, key.encode())

    def resume(self) -> None:
        """Resume a paused session: press p again if launch had not seen the pause yet."""
        self.press("p")
        while self.until(OperatorRequest)[1].verb != "resume":
            self.press("p")

    def __enter__(self) -> "Live":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()
        os.close(self._keyboard)
        self._context.destroy(linger=0)
