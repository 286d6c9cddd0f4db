"""Describe this computer and program; a replay must be exact if they are the same."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("rig", "numpy", "scipy", "numba", "msgspec", "pyzmq", "mcap", "psychopy")
SCHEMA = "5"
"""Version of the messages; a log is replayed only by a program with the same version.

2: Fault.outside. 3: the present names; session id in the envelope; modules in Ended. 4: learning
signals for each trial. 5: Fault.pause."""


def about() -> dict[str, str]:
    """Return versions of the program, its schema, Python and packages, the commit, and the CPU."""
    packages = {name: _version(name) for name in _PACKAGES}
    return {
        "schema": SCHEMA,
        "commit": _commit(),
        "code": str(Path(__file__).parents[1]),
        "python": platform.python_version(),
        "cpu": _cpu(),
        **packages,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _commit() -> str:
    """Return the checkout's commit, marked if it has changes; "installed" outside of one."""
    git = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
    ]
    try:
        found = subprocess.run(git, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "installed"
    return found.stdout.strip()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
