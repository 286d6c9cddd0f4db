"""rig copy, rig prune and rig ls: nothing is deleted that was not verified elsewhere."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.session import Session
from rig.cli.data import copy as copying
from rig.cli.data.manifest import MANIFEST_FILE, Entry, copy_file, differences, read_manifest
from rig.cli.main import app
from rig.errors import Refused
from rig.messages import Frame
from rig.transport.log import LOG_FILE
from tests.analysis.export.recorded import signals, start, trial, whole_session, write
from tests.command import refusal, rig


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


def test_a_linked_imaging_folder_is_copied_with_its_files(session: Path, tmp_path: Path) -> None:
    (session / "imaging").rename(tmp_path / "big disk")
    (session / "imaging").symlink_to(tmp_path / "big disk")
    (tmp_path / "big disk" / "loop").symlink_to(tmp_path / "big disk")
    assert rig("copy", session, tmp_path / "safe").exit_code == 0
    copied = tmp_path / "safe" / "sub-VR2" / "ses-20260304_2"
    assert (copied / "imaging" / "a.tif").stat().st_size == 25_600
    assert not (copied / "imaging").is_symlink()
    assert rig("prune", session, copied, "--yes").exit_code == 0
    assert list((tmp_path / "big disk").glob("*.tif")) == []


def test_a_link_to_nothing_is_refused(session: Path, tmp_path: Path) -> None:
    (session / "video.avi").symlink_to(tmp_path / "unmounted" / "video.avi")
    assert "which does not exist; restore it" in refusal("copy", session, tmp_path / "safe")


def test_prune_takes_no_link_for_a_copy(session: Path, copied: Path) -> None:
    (copied / "imaging" / "a.tif").unlink()
    (copied / "imaging" / "a.tif").symlink_to(session / "imaging" / "a.tif")
    assert "is a link to" in refusal("prune", session, copied, "--yes")
    assert (session / "imaging" / "a.tif").exists()


def test_a_copy_inside_the_session_is_refused(session: Path) -> None:
    assert "is inside the session folder" in refusal("copy", session, session / "copies")


@pytest.mark.parametrize("name", ["settings.json", "summary.json", "imaging/ops.json"])
def test_a_missing_file_that_can_be_written_again_is_named(
    session: Path, tmp_path: Path, name: str
) -> None:
    assert f"{name} is missing; write it again" in rig("copy", session, tmp_path / "a").output
    (session / name).write_text("{}")
    assert f"{name} is missing" not in rig("copy", session, tmp_path / "b").output


def test_a_missing_tiff_is_named(session: Path, tmp_path: Path) -> None:
    (session / "imaging" / "a.tif").unlink()
    done = rig("copy", session, tmp_path / "safe")
    assert done.exit_code == 1
    assert "imaging/a.tif is missing, and is not copied" in done.output


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A session whose microscope saved in a folder of its own."""
    saved = tmp_path / "scanimage" / "field_00001.tif"
    saved.parent.mkdir()
    messages = trial(0, "leaf1", 6000)
    frames = [
        msgspec.structs.replace(message, file=str(saved)) if isinstance(message, Frame) else message
        for message in messages + signals(messages)
    ]
    folder = write(tmp_path / "rig", sorted(frames, key=lambda m: m.t), start(), imaging=False)
    np.arange(64, dtype="<i2").tofile(saved)
    return folder


def test_tiffs_that_the_microscope_saved_elsewhere_are_copied_and_found(
    outside: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "scanimage" / "field_00001.tif"
    for _ in range(2):  # the second time from the folder that has a manifest
        assert rig("copy", outside, tmp_path / "safe").exit_code == 0
    copied = tmp_path / "safe" / "sub-VR2" / "ses-20260304_2"
    assert (copied / "imaging" / saved.name).read_bytes() == saved.read_bytes()
    assert "imaging/field_00001.tif" not in read_manifest(outside)
    saved.rename(saved.with_name("other.tif"))
    assert "are missing: restore" in str(pixels_refused(outside))
    np.testing.assert_array_equal(Session(copied).pixels(3).ravel(), np.arange(64))
    assert rig("copy", copied, tmp_path / "twice").exit_code == 0
    twice = tmp_path / "twice" / "sub-VR2" / "ses-20260304_2"
    assert list(read_manifest(twice)) == list(read_manifest(copied))


def pixels_refused(folder: Path) -> Refused:
    with pytest.raises(Refused) as refused:
        Session(folder).pixels(3)
    return refused.value


def test_prune_deletes_tiffs_elsewhere_only_if_the_copy_has_them(
    outside: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "scanimage" / "field_00001.tif"
    assert rig("copy", outside, tmp_path / "safe").exit_code == 0
    copied = tmp_path / "safe" / "sub-VR2" / "ses-20260304_2"
    recorded = saved.read_bytes()
    saved.write_bytes(b"the next session, with the same name")
    assert "the copy lacks" in refusal("prune", outside, copied, "--yes")
    assert saved.exists()
    saved.write_bytes(recorded)
    asked = CliRunner().invoke(app, ["prune", str(outside), str(copied)], input="n\n")
    assert f"in {saved.parent}?" in asked.output
    assert rig("prune", outside, copied, "--yes").exit_code == 0
    assert not saved.exists()
