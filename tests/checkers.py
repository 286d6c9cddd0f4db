"""External programs that check our files, each in its own virtual environment.

Their dependencies clash with ours, or are too large. .ci/run makes the environments where it can.
"""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("RIG_CHECKERS") or Path.home() / ".cache" / "rig-checkers")


def checker(name: str, program: str = "python") -> Path:
    """Return a program of a checker's environment; skip the test if it is not there."""
    path = FOLDER / name / "bin" / program
    if not path.is_file():
        where = FOLDER / name
        pytest.skip(
            f"{name} is not here; to install it: python3 -m venv {where}; "
            f"{where}/bin/pip install {name}"
        )
    return path
