"""The default data folder does not depend on the current folder."""

from pathlib import Path

import pytest

from rig.errors import Refused
from rig.settings.lab import default_data


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("RIG_DATA", raising=False)
    return tmp_path


def test_the_default_is_in_the_home_of_the_user(home: Path) -> None:
    assert default_data() == home / "rig-data"


def test_the_users_file_names_it_and_the_variable_comes_first(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".config" / "rig").mkdir(parents=True)
    (home / ".config" / "rig" / "rig.toml").write_text('data = "/lab/mice"')
    assert default_data() == Path("/lab/mice")
    monkeypatch.setenv("RIG_DATA", "/other")
    assert default_data() == Path("/other")


def test_a_relative_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_DATA", "data")
    with pytest.raises(Refused, match='RIG_DATA: data folder "data" is not absolute'):
        default_data()
