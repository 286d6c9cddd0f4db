"""After a kill the water is known to within one reward, from a note outside the processes."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rig.settings.config import SETTINGS_FILE
from rig.subjects import begun_water
from rig.subjects.begun_water import BegunWater, read_begun, remove_begun
from rig.transport.log import JOURNAL_FOLDER
from tests.rig.animals import cut_off, reserve, valves
from tests.rig.subjects.test_session_water import bounds

ID = uuid.uuid4().hex
BLOCK = (9.0, 15.0)


def about(value: float) -> Any:
    return pytest.approx(value, abs=0.01)


@pytest.fixture(autouse=True)
def note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The path of the note, in a private folder of this test."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    monkeypatch.setattr(begun_water, "private_folder", lambda: private)
    yield private / f"water-{ID}.txt"


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A session of three rewards whose driver was killed."""
    folder = tmp_path / "ses-1"
    folder.mkdir()
    cut_off(folder, valves(3))
    reserve(folder, 15.0)
    (folder / SETTINGS_FILE).write_bytes(msgspec.json.encode({"id": ID}))
    assert bounds(folder, ID) == BLOCK
    return folder


def begin(*totals_ul: float, session_id: str = ID) -> None:
    begun = BegunWater(session_id)
    for total_ul in totals_ul:
        begun.note(total_ul)
    begun.close()


@pytest.mark.parametrize(("last_ul", "most_ul"), [(9.0, 9.0), (12.0, 12.0)])
def test_a_kill_leaves_at_most_the_reward_that_was_begun(
    killed: Path, last_ul: float, most_ul: float
) -> None:
    begin(3.0, 6.0, last_ul)
    assert bounds(killed, ID) == (9.0, about(most_ul))
    killed.rename(killed.with_name("elsewhere"))
    assert bounds(killed.with_name("elsewhere"), ID) == (9.0, about(most_ul))


def test_the_note_is_valid_until_the_computer_restarts(
    killed: Path, note: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(9.0)
    monkeypatch.setattr(begun_water, "_boot_id", lambda: "another")
    assert bounds(killed, ID) == BLOCK
    begin(3.0, session_id="ab")  # removes what is outdated
    assert not note.exists()
    monkeypatch.undo()
    monkeypatch.setattr(begun_water, "_BOOT_ID", tmp_path / "not Linux")
    assert bounds(killed, ID) == BLOCK


def test_damage_to_the_note_or_the_journal_never_counts_less(killed: Path, note: Path) -> None:
    begin(3.0, 6.0, 9.0)
    whole = note.read_bytes()
    for at in range(len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]):
            note.write_bytes(damaged)
            assert bounds(killed, ID) in (BLOCK, (9.0, 9.0))
    note.write_bytes(whole)
    journal = killed / JOURNAL_FOLDER / "hardware.mcap"
    journal.write_bytes(journal.read_bytes()[: journal.stat().st_size // 2])
    assert bounds(killed, ID)[1] == about(9.0)


def test_a_note_is_removed_and_only_of_a_session(note: Path) -> None:
    begin(3.0)
    assert read_begun(ID) == about(3.0)
    remove_begun(ID)
    assert read_begun(ID) is None
    for name in ("", "../x", "ABC", "x" * 70):
        begin(3.0, session_id=name)
        remove_begun(name)
        assert read_begun(name) is None
    assert not [*note.parent.iterdir()]
