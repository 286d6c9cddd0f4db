"""A real `rig panel`, with a setup and task of the lab that start and end fast."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import rig
from rig.cli.chaos.session_process import behavior_alone, free_port

PACKAGE = Path(rig.__file__).parent
TASK = PACKAGE.parent / "behavior" / "tasks" / "train1.toml"
_RIG = (sys.executable, "-c", "from rig.cli.main import main; main()")
_QUICK = {
    "minutes": "minutes = 3.0",
    "grey_before_s": "grey_before_s = 0.5",
    "grey_after_s": "grey_after_s = 0.5",
    "texture_m": "texture_m = 2.0",
    "cue_from_m": "cue_from_m = 0.3",
    "cue_to_m": "cue_to_m = 0.6",
}


def lab(folder: Path) -> Path:
    """Write a folder with one setup, `bench`, and one task, `quick`, of stage train1."""
    folder.mkdir(exist_ok=True)
    setup = behavior_alone(folder).read_text()
    setup = re.sub(r"^hub_port = \d+", f"hub_port = {free_port()}", setup, flags=re.MULTILINE)
    (folder / "setups").mkdir()
    (folder / "setups" / "bench.toml").write_text(setup.replace('"simulated"', '"bench"', 1))
    (folder / "tasks").mkdir()
    task = TASK.read_text()
    for key, line in _QUICK.items():
        task = re.sub(rf"^{key} = \S+", line, task, flags=re.MULTILINE)
    (folder / "tasks" / "quick.toml").write_text(task)
    return folder


class Panel:
    """One `rig panel` process."""

    def __init__(self, folder: Path, *arguments: str, port: int = 0) -> None:
        """Start it on the data in `folder`/data, with the lab's files in `folder`/lab."""
        own = folder / "lab"
        command = [*_RIG, "panel", "--data", str(folder / "data"), "--port", str(port)]
        command += ["--no-browser", *arguments]
        if own.is_dir():
            command += ["--setups", str(own / "setups"), "--tasks", str(own / "tasks")]
        config, state = str(folder / "config"), str(folder / "state")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **os.environ,
                "COLUMNS": "200",
                "PYTHONPATH": str(PACKAGE.parent),
                "XDG_CONFIG_HOME": config,
                "XDG_STATE_HOME": state,
            },
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        found = re.search(r"panel: (\S+)", first)
        assert found, first + self.process.stdout.read()
        self.address = found[1]
        self.page: str = self.address.partition("/#token=")[0]
        self.token: str = self.address.partition("/#token=")[2]
        self._count = 0
        self.port = int(self.page.rpartition(":")[2])

    def act(self, verb: str, **values: Any) -> tuple[int, dict[str, Any]]:
        """Send a request as the operator does; return the status and the answer."""
        self._count += 1
        return self.post("/panel/act", {"id": f"request-{self._count}", "verb": verb, **values})

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """POST a request with the operator's token; return the status and the answer."""
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(self.page + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def get(self, path: str) -> Any:
        """Return what the panel shows at a path, as JSON."""
        with urllib.request.urlopen(self.page + path) as response:
            return json.load(response)

    def child(self, command: str) -> int:
        """Return the process id of a `rig` command that it started."""
        for line in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            for child in line.read_text().split():
                if command.encode() in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                    return int(child)
        raise AssertionError(f"rig {command} does not run")

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> "Panel":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=60)
