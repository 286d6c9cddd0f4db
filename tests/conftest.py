"""Settings of all tests, and the marker of those that run a whole session."""

import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

# an example of a property may take as long as the machine needs
settings.register_profile("rig", deadline=None)
settings.load_profile("rig")

_RUNS_SESSIONS = re.compile(
    r"import .*\bLive\b|\bLive,|virtual_session|judging\.refereed|sessions import .*\brun\b"
)
"""What a module imports to run sessions by the real command, or in virtual time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of a module that runs whole sessions."""
    for item in items:
        if _runs_sessions(item.path):
            item.add_marker(pytest.mark.session)


@cache
def _runs_sessions(path: Path) -> bool:
    named_so = re.search(r"_sessions?\.py$", path.name) and path.name != "test_session.py"
    return bool(named_so or _RUNS_SESSIONS.search(path.read_text(encoding="utf-8")))
