"""A session folder is complete or does not exist, and its removal is noticed."""

import os
import shutil
from pathlib import Path

import pytest

from rig.errors import Refused
from rig.session.locks import SubjectLock
from rig.session.session_folder import FolderWatch, make
from rig.settings.config import ResolvedSession, read_session
from tests.rig.animals import session


def answers(folder: Path) -> ResolvedSession:
    folder.mkdir(exist_ok=True)
    named = folder / "cells.csv"
    named.write_text("cell")
    return ResolvedSession(session(), {"files/cells.csv": named})


def made(tmp_path: Path) -> Path:
    (tmp_path / "data" / "sub-VR2").mkdir(parents=True, exist_ok=True)
    folder, _ = make(answers(tmp_path / "setup"), tmp_path / "data", 1, "", {})
    return folder


def test_a_new_folder_is_complete_and_has_its_own_id(tmp_path: Path) -> None:
    one, two = made(tmp_path), made(tmp_path)
    assert [one.name.rpartition("_")[2], two.name.rpartition("_")[2]] == ["1", "2"]
    ids = {read_session(folder).id for folder in (one, two)}
    assert len(ids) == 2 and all(len(id_) == 32 for id_ in ids)
    assert (one / "files" / "cells.csv").read_text() == "cell"
    for folder in (one, one / "journal", one / "files"):
        assert folder.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("allowed", range(5))
def test_a_full_disk_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    synced: list[int] = []

    def full(number: int) -> None:
        synced.append(number)
        if len(synced) > allowed:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Refused, match=r"cannot be made .*No space left.*make room there"):
        made(tmp_path)
    assert not list((tmp_path / "data" / "sub-VR2").iterdir())


def test_remains_of_a_dead_launch_are_removed(tmp_path: Path) -> None:
    left = tmp_path / "data" / "sub-VR2" / ".new-1234"
    left.mkdir(parents=True)
    made(tmp_path)
    assert not left.exists()


def test_a_removed_or_moved_folder_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderWatch, "PERIOD_S", 0.0)
    folder = tmp_path / "ses-1"
    folder.mkdir()
    watch = FolderWatch(folder)
    assert (watch.lost(), watch.where()) == ("", folder)
    folder.rename(tmp_path / "elsewhere")
    assert watch.lost() == f"the session folder {folder} was moved to {tmp_path / 'elsewhere'}"
    assert watch.where() == tmp_path / "elsewhere"
    folder.mkdir()  # another one of that name is not the session's
    assert watch.lost()
    shutil.rmtree(tmp_path / "elsewhere")
    assert watch.lost() == f"the session folder {folder} was removed"
    assert watch.where() is None
    watch.close()


@pytest.mark.skipif(os.name != "posix", reason="an open file can be removed on POSIX alone")
@pytest.mark.parametrize("replaced", [False, True])
def test_a_removed_or_replaced_lock_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    monkeypatch.setattr(FolderWatch, "PERIOD_S", 0.0)
    lock = SubjectLock(tmp_path / "data", "VR2")
    watch = FolderWatch(tmp_path, lock.descriptors())
    assert watch.lost() == ""
    file = lock.folder / ".running"
    file.unlink()
    if replaced:
        file.touch()
    assert watch.lost().startswith("a lock file of the rig or the animal was removed")
    watch.close()
    lock.release()


def test_the_lock_of_an_animal_follows_no_link(tmp_path: Path) -> None:
    victim = tmp_path / "thesis.txt"
    victim.write_text("three years")
    (tmp_path / "sub-VR2").mkdir()
    (tmp_path / "sub-VR2" / ".running").symlink_to(victim)
    with pytest.raises(Refused, match="is not writable"):
        SubjectLock(tmp_path, "VR2")
    assert victim.read_text() == "three years"
