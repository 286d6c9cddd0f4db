"""rig copy, rig prune and rig ls: nothing is deleted that was not verified elsewhere."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rig.cli.data import copy as copying
from rig.cli.data.manifest import MANIFEST_FILE, Entry, copy_file, differences, read_manifest
from rig.cli.main import app
from rig.errors import Refused
from rig.transport.log import LOG_FILE
from tests.analysis.export.recorded import whole_session


def rig(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refusal(*arguments: object) -> str:
    done = rig(*arguments)
    assert isinstance(done.exception, Refused), done.output
    return str(done.exception)


@pytest.fixture
def session(tmp_path: Path) -> Path:
    folder = whole_session(tmp_path / "rig")
    (folder / "imaging").mkdir(exist_ok=True)
    (folder / "imaging" / "a.tif").write_bytes(bytes(range(256)) * 100)
    return folder


@pytest.fixture
def copied(session: Path, tmp_path: Path) -> Path:
    assert rig("copy", session, tmp_path / "safe").exit_code == 0
    return tmp_path / "safe" / "sub-VR2" / "ses-20260304_2"


def test_a_copy_has_every_file_and_a_manifest_of_them(session: Path, copied: Path) -> None:
    names = sorted(p.relative_to(session) for p in session.rglob("*") if p.is_file())
    names.remove(Path("copies.txt"))
    assert (session / "copies.txt").read_text() == f"{copied}\n"
    assert sorted(p.relative_to(copied) for p in copied.rglob("*") if p.is_file()) == names
    assert list(differences(copied, read_manifest(copied))) == []
    assert read_manifest(copied)["imaging/a.tif"].bytes == 25_600


def test_an_interrupted_copy_is_finished_and_has_no_manifest_before(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = copy_file

    def full_disk(source: Path, target: Path) -> Entry:
        if source.name == LOG_FILE:
            raise OSError(28, "No space left on device")
        return whole(source, target)

    monkeypatch.setattr(copying, "copy_file", full_disk)
    assert "run rig copy again" in refusal("copy", session, tmp_path / "safe")
    target = tmp_path / "safe" / "sub-VR2" / "ses-20260304_2"
    assert not (target / MANIFEST_FILE).exists()
    there = (target / "imaging" / "a.tif").stat().st_mtime_ns
    monkeypatch.setattr(copying, "copy_file", whole)
    assert rig("copy", session, tmp_path / "safe").exit_code == 0
    assert (target / "imaging" / "a.tif").stat().st_mtime_ns == there  # not copied again


def test_a_damaged_copy_is_made_again(session: Path, copied: Path, tmp_path: Path) -> None:
    tiff = copied / "imaging" / "a.tif"
    tiff.write_bytes(b"x" * tiff.stat().st_size)
    assert rig("copy", session, tmp_path / "safe").exit_code == 0
    assert tiff.read_bytes() == (session / "imaging" / "a.tif").read_bytes()


def test_an_unclosed_session_is_not_copied(session: Path, tmp_path: Path) -> None:
    log = session / LOG_FILE
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    assert "is not closed" in refusal("copy", session, tmp_path / "safe")


def test_a_session_is_not_copied_onto_itself(session: Path) -> None:
    assert "already is" in refusal("copy", session, session.parents[1])


def test_prune_deletes_the_tiffs_that_the_copy_has(session: Path, copied: Path) -> None:
    assert rig("prune", session, copied, "--yes").exit_code == 0
    assert not (session / "imaging" / "a.tif").exists()
    assert (session / LOG_FILE).exists()
    assert (copied / "imaging" / "a.tif").exists()


@pytest.mark.parametrize("damage", ["changed", "missing", "newer", "no manifest"])
def test_prune_deletes_nothing_if_the_copy_is_not_whole(
    session: Path, copied: Path, damage: str
) -> None:
    tiff = copied / "imaging" / "a.tif"
    if damage == "changed":
        tiff.write_bytes(b"y" * tiff.stat().st_size)
    elif damage == "missing":
        tiff.unlink()
    elif damage == "newer":
        (session / "imaging" / "b.tif").write_bytes(b"a page that came later")
    else:
        (copied / MANIFEST_FILE).unlink()
    assert "rig copy again" in refusal("prune", session, copied, "--yes")
    assert (session / "imaging" / "a.tif").exists()


def test_prune_asks(session: Path, copied: Path) -> None:
    done = CliRunner().invoke(app, ["prune", str(session), str(copied)], input="n\n")
    assert done.exit_code == 1
    assert (session / "imaging" / "a.tif").exists()


def test_ls_lists_sessions_and_says_which_are_not_closed(session: Path) -> None:
    output = rig("ls", "--data", session.parents[1]).output
    assert "20260304_2" in output
    assert "not closed" in output  # it has no summary
    assert "contains no session of nobody" in refusal("ls", "nobody", "--data", session.parents[1])
