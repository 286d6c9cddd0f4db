"""Output cannot disturb a session: brackets, closed pipes, and unexpected errors."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from rig.cli import main as command
from rig.cli import terminal
from rig.cli.terminal import new_console
from tests.rig.animals import TODAY, known

NOTE = "licks [/left] side [bold] :smile: [red"
RIG = [sys.executable, "-c", "from rig.cli.main import main; main()"]


def test_square_brackets_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    new_console().print(NOTE)
    assert capsys.readouterr().out.strip() == NOTE


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "licks \x1b]0;title\x07\x1b[2J\x9b31m left\tside\r"
    table = Table("note")
    table.add_row(hostile)
    console = new_console()
    console.print(hostile)
    console.print(Text(hostile, "bold red"))
    console.print(table)
    console.print(Text("two\nlines"))
    said = capsys.readouterr().out
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", said)
    assert "licks ?]0;title" in said
    assert "two\nlines" in said


def test_a_note_with_brackets_is_entered_and_shown(tmp_path: Path) -> None:
    known(tmp_path)
    for arguments in (
        ["weigh", "VR2", "23.8", "--note", NOTE],
        ["show", "VR2"],
        ["weights", "VR2"],
    ):
        run = subprocess.run(
            [*RIG, "subject", *arguments, "--data", str(tmp_path)],
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert NOTE in run.stdout


def test_no_command_makes_a_console_that_takes_markup() -> None:
    root = Path(command.__file__).parent
    for path in root.rglob("*.py"):
        made = re.findall(r"\bConsole\((?!quiet=True)", path.read_text())
        assert not made or path.name == "terminal.py", path


def test_a_closed_pipe_ends_no_command(tmp_path: Path) -> None:
    known(tmp_path, (TODAY, 24.0))
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        [*RIG, "subject", "weigh", "VR2", "23.5", "--data", str(tmp_path)],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (run.returncode, run.stderr) == (0, "")


def exit_code(monkeypatch: pytest.MonkeyPatch, app: Callable[[], None]) -> str | int | None:
    """Return the exit code of the command `rig` with another function in place of its verbs."""
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setattr(command, "app", app)
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    with pytest.raises(SystemExit) as exit_:
        command.main()
    return exit_.value.code


def test_an_unexpected_error_is_a_sentence_a_report_and_exit_70(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise KeyError("leaf9")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert exit_code(monkeypatch, broken) == 70
    output = capsys.readouterr().err.strip()
    (report,) = (tmp_path / "rig").iterdir()
    assert len(output.splitlines()) == 1
    assert "unexpected error, a fault of this program (KeyError: 'leaf9')" in output
    assert f"please send the report {report} to its authors" in output
    assert "Traceback" in report.read_text()


@pytest.mark.parametrize(
    ("to", "why"), [("a file", "File exists"), ("a" * 300, "File name too long")]
)
def test_a_path_that_cannot_be_used_is_a_sentence_and_no_fault_of_the_program(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    to: str,
    why: str,
) -> None:
    (tmp_path / "a file").touch()

    def makes_a_folder() -> None:
        (tmp_path / to).mkdir()

    assert exit_code(monkeypatch, makes_a_folder) == 1
    sentence = f"{tmp_path / to}: {why}; choose another path, or make room"
    assert capsys.readouterr().err.strip() == sentence


def test_a_report_is_saved_elsewhere_if_the_home_folder_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(terminal, "private_folder", lambda: tmp_path / "private")
    sentence = terminal.report_error(ValueError("a name of bytes: \udcff"))
    (report,) = (tmp_path / "private").iterdir()
    assert f"please send the report {report} to its authors" in sentence
    assert "ValueError" in report.read_text()
