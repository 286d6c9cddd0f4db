"""rig export to difficult places: full disks, another session, a folder in use."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import IO

import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.export import files
from analysis.export.files import write_files
from rig.cli.data import one_writer
from rig.cli.main import app
from rig.errors import Refused
from rig.transport.private_folder import lock
from tests.analysis.export.recorded import whole_session

FORMATS = ("csv", "parquet", "lab", "alf", "nwb")


def export(folder: Path, kind: str, to: Path) -> list[Path]:
    """Export a session by the command; return the files that were written."""
    arguments = ["export", str(folder), kind, "--to", str(to), "--birth-date", "2025-11-01"]
    done = CliRunner().invoke(app, arguments)
    if done.exception is not None:
        raise done.exception
    return [path for path in sorted(to.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Each file in turn is the one that does not fit on the disk."""
    folder, to = whole_session(tmp_path / "data"), tmp_path / "to"
    written = export(folder, kind, to)
    before = {path: path.read_bytes() for path in written}
    for number in {0, len(written) // 2, len(written) - 1}:
        calls: list[Path] = []

        def full_disk(path: Path, fails: int = number, calls: list[Path] = calls) -> None:
            calls.append(path)
            if len(calls) > fails:
                raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(files, "_sync", full_disk)
            with pytest.raises(Refused, match=r"failed \(No space left on device\); make room"):
                export(folder, kind, to)
            with pytest.raises(Refused, match="No space left"):
                export(folder, kind, tmp_path / "new")
        assert {path: path.read_bytes() for path in to.rglob("*") if path.is_file()} == before
        assert not [path for path in (tmp_path / "new").rglob("*") if path.is_file()]


def test_a_killed_export_leaves_no_file_under_its_name(tmp_path: Path) -> None:
    """The process dies in the second file; the next export removes what it left."""
    program = (
        "import os, sys; from pathlib import Path; from analysis.export.files import write_files\n"
        "write_files(Path(sys.argv[1]), {'a': lambda p: p.write_text('a') and None, "
        "'b': lambda p: os.kill(os.getpid(), 9)})"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert [path.name for path in tmp_path.iterdir()] == [".part.a"]
    write_files(tmp_path, {"a": lambda path: np.savetxt(path, [7])})
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        ("a", "7.000000000000000000e+00\n")
    ]


def test_a_target_that_is_a_file_is_refused(tmp_path: Path) -> None:
    folder = whole_session(tmp_path)
    (tmp_path / "taken").touch()
    with pytest.raises(Refused, match="taken failed"):
        export(folder, "csv", tmp_path / "taken")


@pytest.mark.parametrize("where", ["", "imaging", "export2", "export/../imaging"])
def test_a_target_inside_a_session_is_refused(tmp_path: Path, where: str) -> None:
    folder = whole_session(tmp_path)
    before = sorted(folder.rglob("*"))
    with pytest.raises(Refused, match="is inside the session folder"):
        export(folder, "csv", folder / where)
    assert sorted(folder.rglob("*")) == before
    assert export(folder, "csv", folder / "export" / "mine")


def test_names_may_have_any_letters(tmp_path: Path) -> None:
    folder = whole_session(tmp_path / "Mäuse 鼠")
    for kind in FORMATS:
        assert export(folder, kind, tmp_path / "Ausgänge [1]" / kind)


def test_one_command_at_a_time_writes_to_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two exports that read the study's file before either writes it would lose a session."""
    was_refused, order = Event(), []

    def watched(file: IO[str]) -> None:
        try:
            lock(file)
        except OSError:
            was_refused.set()
            raise

    def second() -> None:
        with one_writer.one_writer(tmp_path):
            order.append("second")

    monkeypatch.setattr(one_writer, "lock", watched)
    other = Thread(target=second)
    with one_writer.one_writer(tmp_path):
        other.start()
        assert was_refused.wait(60)
        order.append("first")
    other.join()
    assert order == ["first", "second"]


def test_every_export_waits_for_others_to_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    @contextmanager
    def recorded(folder: Path) -> Iterator[None]:
        assert not folder.exists()
        folders.append(folder)
        yield
        assert folder.exists()

    monkeypatch.setattr("rig.cli.data.export.one_writer", recorded)
    export(whole_session(tmp_path), "lab", tmp_path / "lab")
    assert folders == [tmp_path / "lab"]
