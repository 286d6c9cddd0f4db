"""Run a session with the `rig run` command in a separate process."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import rig
from rig.transport.hub_access import hub_folder

PACKAGE = Path(rig.__file__).parent
SIMULATED_SETUP = PACKAGE / "setups" / "simulated.toml"
TASK = PACKAGE.parent / "behavior" / "tasks" / "train1.toml"
RIG = (sys.executable, "-P", "-c", "from rig.cli.main import main; main()")
"""The `rig` command of this installation."""
_SHOWS_OR_IMAGES = ("display", "mesoscope", "stream", "online", "integrity", "task.imaging")
"""Tables of the simulated setup for screens and imaging; task.imaging waits for the microscope."""


class SessionProcess:
    """One `rig run` process and its children."""

    def __init__(
        self,
        data: Path,
        sets: Sequence[str],
        setup: Path = SIMULATED_SETUP,
        task: Path = TASK,
        subject: str = "test",
        args: Sequence[str] = ("--no-page",),
        stdin: int = subprocess.DEVNULL,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start the session at a free port.

        Args:
            data: The data folder.
            sets: Values for `--set`.
            setup: The setup of the rig.
            task: The task.
            subject: The animal.
            args: Other options of `rig run`.
            stdin: Standard input of the command.
            env: Environment variables to add to those of this process.
        """
        self.port = free_port()
        self.data, self.subject = data, subject
        command = [*RIG, "run", str(setup), str(task), "--subject", subject, "--data", str(data)]
        command += args
        for text in (f"rig.hub_port={self.port}", *sets):
            command += ["--set", text]
        self.process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "COLUMNS": "200", **(env or {})},
        )

    def pid(self, module: str) -> int:
        """Return the process id of a node's module. Raises LookupError if it is not running."""
        for line in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            for child in line.read_text().split():
                arguments = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
                if module.encode() in arguments:
                    return int(child)
        raise LookupError(f"{module} does not run")

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and the output."""
        output, _ = self.process.communicate(timeout=240)
        return self.process.returncode, output

    def close(self) -> None:
        """Kill the command if it is still running."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def behavior_alone(folder: Path, more: str = "") -> Path:
    """Write the simulated setup without screens and imaging, which starts in half the time.

    `more` is text with other tables, which is appended.
    """
    tables = re.split(r"^(?=\[)", SIMULATED_SETUP.read_text(encoding="utf-8"), flags=re.MULTILINE)
    left_out = tuple(f"[nodes.{name}" for name in _SHOWS_OR_IMAGES)
    setup = folder / "behavior.toml"
    kept = "".join(table for table in tables if not table.startswith(left_out))
    setup.write_text(kept + more, encoding="utf-8")
    return setup


def free_port() -> int:
    """Return a free port after which the next two ports are free too.

    No folder of a hub that was killed has its number: an observer would use the old key in it.
    """
    while True:
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            first.bind(("127.0.0.1", 0))
            at = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", at + 1))
                third.bind(("127.0.0.1", at + 2))
            except (OSError, OverflowError):
                continue
            if not hub_folder(at).exists():
                return at
