"""Run `rig` commands as a person would, in separate processes."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rig.cli.chaos.session_process import RIG

READERS = ("info", "replay --verify", "report")
"""The commands that read a session."""


def run_command(*arguments: str) -> tuple[int, str]:
    """Run `rig ARGUMENTS`; return its exit code and what it printed."""
    ran = subprocess.run(
        [*RIG, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "COLUMNS": "1000"},
        check=False,
    )
    return ran.returncode, ran.stdout


def read_session_by_all(folder: Path) -> dict[str, tuple[int, str]]:
    """Return the exit code and output of each command that reads a session."""
    with ThreadPoolExecutor() as pool:
        printed = pool.map(lambda reader: run_command(*reader.split(), str(folder)), READERS)
        return dict(zip(READERS, printed, strict=True))
