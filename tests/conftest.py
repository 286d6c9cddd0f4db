"""Settings and markers of all tests, and fixtures for tests in several folders."""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from rig.session import locks

if TYPE_CHECKING:
    from tests.refusals import Try

# an example of a property may take as long as the machine needs
settings.register_profile("rig", deadline=None)
settings.load_profile("rig")

_MARKED_BY_HAND = re.compile(r"pytest\.mark\.session")
_RUNS_PROCESSES = re.compile(r"import .*\bLive\b|\bLive,|devices\.imaging import")
"""What a module imports to run sessions by the real command."""
_RUNS_IN_VIRTUAL_TIME = re.compile(r"virtual_session|judging\.refereed|sessions import .*\brun\b")
"""What a module imports to run sessions in virtual time, in its own process."""


@pytest.fixture
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the locks of rigs in a folder of this test; other sessions may run on this machine."""
    folder = tmp_path / "locks"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(locks, "private_folder", lambda: folder)


@pytest.fixture
def attempt(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    own_locks: None,
) -> "Try":
    """Return a call of `rig run` that must be refused."""
    from tests.refusals import Try

    return Try(capsys, monkeypatch, tmp_path / "data")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of each module that runs sessions, unless it marks its tests itself."""
    for item in items:
        if mark := _mark(item.path):
            item.add_marker(mark)


@cache
def _mark(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if _MARKED_BY_HAND.search(text):
        return ""
    if _RUNS_PROCESSES.search(text):
        return "session"
    return "virtual" if _RUNS_IN_VIRTUAL_TIME.search(text) else ""
