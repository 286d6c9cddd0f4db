"""rig recover leaves a complete folder, marked and with a manifest; later changes are noticed."""

import json
import uuid
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from acquisition.files.file_check import check
from acquisition.files.session_tiffs import repaired_copy, session_tiffs
from behavior.hardware import Hardware
from rig import virtual_session
from rig.cli.data.manifest import MANIFEST_FILE, check_manifest, read_manifest, session_files
from rig.cli.data.recover import recover
from rig.process import completed
from rig.session.provenance import about
from rig.settings.config import RECOVERED_FILE
from rig.subjects.session_identity import save_settings
from rig.transport.log import LOG_FILE
from tests.acquisition import files
from tests.analysis.logs import write_log
from tests.behavior.sessions import session
from tests.command import refusal, rig


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session folder with a whole log and one closed imaging file."""
    monkeypatch.chdir(tmp_path)  # the driver reserves water where it runs
    monkeypatch.setattr(Hardware, "period_s", 0.01)
    monkeypatch.setenv("COLUMNS", "200")
    began = datetime.now().astimezone().isoformat(timespec="milliseconds")
    chosen = msgspec.structs.replace(
        completed(session(3, trials=1)), id=uuid.uuid4().hex, began=began, about=about()
    )
    folder = tmp_path / "data" / "sub-X" / "ses-20260304_1"
    (folder / "imaging").mkdir(parents=True)
    save_settings(folder, chosen)
    write_log(folder, virtual_session.run(chosen))
    files.save(folder / "imaging" / "a.tif", files.pictures(5))
    return folder


def cut(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:-count])


def test_a_cut_off_session_is_closed_marked_and_listed(folder: Path) -> None:
    cut(folder / LOG_FILE, 3000)
    tiff = folder / "imaging" / "a.tif"
    cut(tiff, 50)
    torn = tiff.read_bytes()
    done = rig("recover", folder)
    assert done.exit_code == 1, done.output
    assert "the log is not whole" in done.output
    assert tiff.read_bytes() == torn  # only read
    assert session_tiffs(folder) == [repaired_copy(tiff)]
    (copy,) = check([repaired_copy(tiff)])
    assert (copy.pages, copy.problems) == (4, [])
    assert "4 whole pages of a.tif" in done.output
    mark = json.loads((folder / RECOVERED_FILE).read_text())
    assert mark["repaired"] == {"a.tif": "a_repaired.tif"}
    assert mark["missing"] != ""
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["recovered"], summary["frames_written"]) == (True, 4)
    assert sorted(read_manifest(folder)) == session_files(folder)
    written = (folder / MANIFEST_FILE).stat().st_mtime_ns
    assert all(written >= (folder / name).stat().st_mtime_ns for name in session_files(folder))
    assert "recovered" in rig("ls", "--data", folder.parents[1]).output
    again = rig("recover", folder)
    assert again.exit_code == 1, again.output
    assert json.loads((folder / RECOVERED_FILE).read_text()) == mark


def test_a_session_that_ended_by_itself_is_not_marked(folder: Path) -> None:
    assert rig("recover", folder).exit_code == 0
    assert not (folder / RECOVERED_FILE).exists()
    assert json.loads((folder / "summary.json").read_text())["recovered"] is False


def test_a_session_whose_log_was_closed_without_launch_is_marked(folder: Path) -> None:
    """The recorder closes the log if the launching process is killed; journals are left."""
    (folder / "journal").mkdir()
    assert rig("recover", folder).exit_code == 0
    assert json.loads((folder / RECOVERED_FILE).read_text())["missing"] == ""
    assert json.loads((folder / "summary.json").read_text())["recovered"] is True


@pytest.mark.parametrize("step", ["complete_log", "end", "write_manifest"])
def test_a_recovery_that_is_killed_at_any_step_can_be_repeated(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    (folder / "journal").mkdir()  # the launching process was killed

    class Killed(BaseException):
        """What ends a recovery here."""

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(f"rig.cli.data.recover.{step}", kill)
        recover(folder)
    assert rig("recover", folder).exit_code == 0
    assert not (folder / "journal").exists()
    mark = json.loads((folder / RECOVERED_FILE).read_text())
    assert mark["missing"] == ""
    assert json.loads((folder / "summary.json").read_text())["recovered"] is True
    check_manifest(folder)


@pytest.mark.parametrize("name", ["imaging/a.tif", LOG_FILE, "settings.json"])
def test_every_export_copy_and_recovery_checks_the_manifest(
    folder: Path, tmp_path: Path, name: str
) -> None:
    assert rig("recover", folder).exit_code == 0
    assert rig("export", folder, "csv").exit_code == 0
    assert rig("copy", folder, tmp_path / "safe").exit_code == 0
    changed = bytearray((folder / name).read_bytes())
    changed[-1] ^= 1
    (folder / name).write_bytes(changed)
    sentence = f"{name} was changed, although its MANIFEST.json lists it"
    assert sentence in refusal("export", folder, "csv")
    assert sentence in refusal("copy", folder, tmp_path / "other")
    if name == "imaging/a.tif":
        assert sentence in refusal("recover", folder)
    if name != LOG_FILE:  # without a log it is refused before
        (folder / name).unlink()
        assert f"{name} is missing" in refusal("copy", folder, tmp_path / "other")


def test_files_that_can_be_recreated_may_differ(folder: Path, tmp_path: Path) -> None:
    assert rig("recover", folder).exit_code == 0
    assert rig("report", folder).exit_code == 0
    assert rig("copy", folder, tmp_path / "safe").exit_code == 0
    (folder / "report.html").write_text("newer")
    assert rig("copy", folder, tmp_path / "safe").exit_code == 0


def test_a_pruned_session_can_be_exported(folder: Path, tmp_path: Path) -> None:
    assert rig("recover", folder).exit_code == 0
    assert rig("copy", folder, tmp_path / "safe").exit_code == 0
    copied = tmp_path / "safe" / "sub-X" / folder.name
    assert rig("prune", folder, copied, "--yes").exit_code == 0
    assert rig("export", folder, "csv").exit_code == 0


def test_a_file_that_a_microscope_still_writes_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiff = folder / "imaging" / "a.tif"
    whole = tiff.read_bytes()
    tiff.write_bytes(whole[:-50])

    def write_on(seconds: float) -> None:
        tiff.write_bytes(whole[:-20])

    monkeypatch.setattr("acquisition.files.session_tiffs.time.sleep", write_on)
    done = rig("recover", folder)
    assert "is still being written; stop the acquisition" in done.output
    assert done.exit_code == 1
    assert not repaired_copy(tiff).exists()


def test_a_folder_that_is_not_a_session_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    rest: dict[str, list[object]] = {"recover": [], "copy": [tmp_path / "b"], "export": ["csv"]}
    for command, others in rest.items():
        assert "is not a session folder" in refusal(command, tmp_path / "a", *others)


def test_a_summary_of_the_whole_log_is_kept_after_the_log_was_damaged(folder: Path) -> None:
    assert rig("recover", folder).exit_code == 0
    (folder / MANIFEST_FILE).unlink()  # as after a session that ended by itself
    summary = (folder / "summary.json").read_bytes()
    log = bytearray((folder / LOG_FILE).read_bytes())
    log[len(log) // 2] ^= 4
    (folder / LOG_FILE).write_bytes(log)
    done = rig("recover", folder)
    assert done.exit_code == 1, done.output
    assert (folder / "summary.json").read_bytes() == summary
    said = done.output
    assert said.index("the log is not whole") < said.index("the session") < said.index("faults")
    assert "summary.json is kept from before the log was damaged" in said
    (folder / MANIFEST_FILE).unlink()
    (folder / "summary.json").write_bytes(b"{")
    assert rig("recover", folder).exit_code == 1
    assert json.loads((folder / "summary.json").read_text())["findings"]


def test_a_copy_of_a_damaged_log_says_what_is_missing(folder: Path, tmp_path: Path) -> None:
    log = bytearray((folder / LOG_FILE).read_bytes())
    log[len(log) // 2] ^= 4
    (folder / LOG_FILE).write_bytes(log)
    done = rig("copy", folder, tmp_path / "safe")
    assert done.exit_code == 1, done.output
    assert "the log is not whole; missing: " in done.output
    copied = tmp_path / "safe" / "sub-X" / folder.name
    assert (copied / LOG_FILE).read_bytes() == log
    assert (copied / MANIFEST_FILE).is_file()


def test_a_report_and_an_export_of_a_damaged_log_are_written_and_exit_with_1(
    folder: Path, tmp_path: Path
) -> None:
    assert rig("report", folder, "--out", tmp_path / "whole.html").exit_code == 0
    assert rig("export", folder, "csv", "--partial").exit_code == 0
    log = bytearray((folder / LOG_FILE).read_bytes())
    log[len(log) // 2] ^= 4
    (folder / LOG_FILE).write_bytes(log)
    done = rig("report", folder, "--out", tmp_path / "damaged.html")
    assert done.exit_code == 1, done.output
    assert done.output.startswith("the log is not whole; missing: ")
    assert (tmp_path / "damaged.html").stat().st_size > 1000
    done = rig("export", folder, "csv", "--partial", "--to", tmp_path / "tables")
    assert done.exit_code == 1, done.output
    assert done.output.startswith(f"{folder.name} is incomplete: ")
    assert (tmp_path / "tables" / "trials.csv").is_file()
    assert "is incomplete (" in refusal("export", folder, "csv")
