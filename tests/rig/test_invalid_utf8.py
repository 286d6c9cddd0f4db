"""Invalid UTF-8 in a file of a session folder gets one sentence, or has no effect."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from acquisition.follow.previous_scan import SCAN_FILE, last_header
from rig.cli.data.manifest import MANIFEST_FILE, read_manifest
from rig.cli.main import app
from rig.cli.sessions.end_summary import SUMMARY_FILE
from rig.errors import Refused
from rig.settings.config import SETTINGS_FILE, read_session
from rig.subjects.water_reserve import RESERVE_FILE, Unreadable, read_reserved
from rig.transport.hub_access import hub_folder, read_access
from tests.rig.test_copy import session

__all__ = ["session"]
BAD = b'{"subject": "\xff\xc3("}'


def test_a_summary(session: Path) -> None:
    (session / SUMMARY_FILE).write_bytes(BAD)
    shown = CliRunner().invoke(app, ["info", str(session)])
    assert isinstance(shown.exception, Refused)
    assert "summary.json is damaged" in str(shown.exception)
    listed = CliRunner().invoke(app, ["ls", "--data", str(session.parents[1])])
    assert listed.exit_code == 1, listed.exception
    assert "VR2" in listed.output


def test_settings_and_manifest(tmp_path: Path) -> None:
    (tmp_path / SETTINGS_FILE).write_bytes(BAD)
    with pytest.raises(Refused, match="is not a session folder"):
        read_session(tmp_path)
    (tmp_path / MANIFEST_FILE).write_bytes(BAD)
    with pytest.raises(Refused, match=MANIFEST_FILE):
        read_manifest(tmp_path)


def test_a_water_reserve(tmp_path: Path) -> None:
    (tmp_path / RESERVE_FILE).write_bytes(b"15.0 \xff\n")
    with pytest.raises(Unreadable):
        read_reserved(tmp_path)


def test_an_earlier_scan_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    first, second = tmp_path / "ses-20260304_1", tmp_path / "ses-20260304_2"
    first.mkdir()
    second.mkdir()
    (first / SCAN_FILE).write_bytes(b'{"version": "\xff\xc3("}')
    assert last_header(second) is None


def test_a_key_of_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rig.transport.hub_access.private_folder", lambda: tmp_path)
    hub_folder(5999).mkdir()
    (hub_folder(5999) / "task.key").write_bytes(BAD)
    with pytest.raises(Refused, match="no hub with the number 5999 admits task"):
        read_access(5999, "task")
