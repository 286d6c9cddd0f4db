"""Run commands of `rig` as a person types them, in processes of their own."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

VERBS = ("info", "replay --verify", "report")
"""The commands that read a session."""


def run_verb(*arguments: str) -> tuple[int, str]:
    """Run `rig ARGUMENTS`; return its exit code and what it printed."""
    ran = subprocess.run(
        [sys.executable, "-c", "from rig.cli.main import main; main()", *arguments],
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
    """Return what each command that reads a session says of it."""
    with ThreadPoolExecutor() as pool:
        said = pool.map(lambda verb: run_verb(*verb.split(), str(folder)), VERBS)
        return dict(zip(VERBS, said, strict=True))
