"""rig info shows the folder of an older version, or of a session with a damaged summary."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rig.cli.main import app, main
from rig.cli.sessions.end_summary import SUMMARY_FILE
from rig.errors import Refused
from rig.messages import Stop
from rig.settings.config import SETTINGS_FILE, read_session
from rig.transport.log import LOG_FILE
from tests.analysis.logs import MS, START
from tests.analysis.session.test_summary import a_trial, summary_of
from tests.command import refusal
from tests.kept_sessions import SCHEMAS, kept_session


@pytest.fixture
def summary(tmp_path: Path) -> dict[str, Any]:
    """Write a session folder in tmp_path; return its summary, which is not written yet."""
    messages = [START, *a_trial(0, "leaf1", "done", 3), *a_trial(1, "circle1", "aborted", 0)]
    stopped = Stop(900 * MS, "all trials done", ())
    return summary_of(tmp_path, [*messages, stopped])


@pytest.fixture
def info(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Show that folder; return the exit code and the output."""

    def show(text: str) -> tuple[int, str]:
        (tmp_path / SUMMARY_FILE).write_text(text)
        monkeypatch.setattr(sys, "argv", ["rig", "info", str(tmp_path)])
        monkeypatch.setenv("COLUMNS", "500")
        with pytest.raises(SystemExit) as exit_:
            main()
        output = capsys.readouterr()
        return int(exit_.value.code or 0), output.out + output.err

    return show


def cell(output: str, name: str) -> str:
    (row,) = [line for line in output.splitlines() if line.startswith(f"│ {name} ")]
    return row.strip("│ ").removeprefix(name).strip("│ ")


def test_the_table_of_a_whole_summary(summary: dict[str, Any], info: Any) -> None:
    code, output = info(json.dumps(summary))
    assert code == 0
    assert cell(output, "trials") == "1 (1 aborted)"
    assert cell(output, "water") == "2.5 ul, 0.0 of it manual"
    assert cell(output, "flips") == "4, 2 late"
    assert cell(output, "faults") == "2"  # frames that were not streamed, and late flips
    assert "stream: frames missed 9" in output
    assert "display: late flip 2" in output
    assert cell(output, "lick to valve") == "median 1.50, 99 % 1.50, maximum 1.50 ms"
    assert cell(output, "ended") == "all trials done"


def test_the_files_of_an_export_are_one_line(
    tmp_path: Path, summary: dict[str, Any], info: Any
) -> None:
    for name in ("export/csv/trials.csv", "export/csv/licks.csv", "export/nwb/a.nwb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(1_250_000))
    _, output = info(json.dumps(summary))
    assert "  export/csv  2.50 MB in 2 files\n" in output
    assert "  export/nwb  1.25 MB\n" in output
    assert "trials.csv" not in output


def test_the_live_page_of_an_ended_session_is_refused(
    tmp_path: Path, summary: dict[str, Any]
) -> None:
    (tmp_path / SUMMARY_FILE).write_text(json.dumps(summary))
    assert f"run: rig replay {tmp_path} --monitor" in refusal("monitor", tmp_path, "--no-browser")


def test_what_an_older_summary_lacks_is_a_dash(summary: dict[str, Any], info: Any) -> None:
    for key in summary:
        code, output = info(json.dumps({k: v for k, v in summary.items() if k != key}))
        assert (key, code) == (key, 0)
    code, output = info("{}")
    assert code == 0
    for name in ("trials", "water", "faults", "integrity", "flips", "ended"):
        assert cell(output, name) == "-"


@pytest.mark.parametrize("text", ["", '{"trials": [', "[1, 2]"])
def test_a_damaged_summary_is_refused(summary: dict[str, Any], info: Any, text: str) -> None:
    code, output = info(text)
    assert code == 2
    assert "write it again from the log: rig recover" in output


@pytest.mark.parametrize("verb", ["info", "report"])
def test_what_a_damaged_log_lacks_is_printed_first(
    verb: str,
    summary: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / SUMMARY_FILE).write_text(json.dumps(summary))
    log = tmp_path / LOG_FILE
    data = bytearray(log.read_bytes())
    data[200] ^= 1  # in the chunk that holds the messages
    log.write_bytes(data)
    monkeypatch.setattr(sys, "argv", ["rig", verb, str(tmp_path)])
    monkeypatch.setenv("COLUMNS", "500")
    with pytest.raises(SystemExit):
        main()
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("the log is not whole; missing: ")
    assert "messages of log.mcap cannot be read" in first


def test_a_changed_or_swapped_summary_is_refused_and_listed(tmp_path: Path) -> None:
    """A digit that is changed in a summary is valid JSON: its checksum shows the change."""
    folder = kept_session(SCHEMAS[-1], tmp_path)
    run = CliRunner()
    assert run.invoke(app, ["recover", str(folder)]).exit_code == 0
    path = folder / SUMMARY_FILE
    whole = path.read_text()
    assert run.invoke(app, ["info", str(folder)]).exit_code == 0
    listed = run.invoke(app, ["ls", "--data", str(tmp_path)])
    assert (listed.exit_code, "damaged" in listed.output) == (0, False)
    of_another = {**json.loads(whole), "id": "0" * 32}
    del of_another["crc32"]
    for text in (whole.replace('"licks": ', '"licks": 1'), json.dumps(of_another)):
        assert text != whole
        path.write_text(text)
        for verb in (["info", str(folder)], ["ls", "--data", str(tmp_path)]):
            shown = run.invoke(app, verb)
            assert shown.exit_code != 0
            assert "summary.json is damaged" in shown.output + str(shown.exception)
    path.write_text(whole)


def test_settings_that_were_changed_are_named_and_written_again_from_the_log(
    tmp_path: Path,
) -> None:
    folder = kept_session(SCHEMAS[-1], tmp_path)
    run = CliRunner(env={"COLUMNS": "500"})
    path = folder / SETTINGS_FILE
    whole = read_session(folder)
    path.write_text(path.read_text().replace('"seed": ', '"seed": 1'))
    for verb in ("report", "replay --verify"):
        name, *options = verb.split()
        shown = run.invoke(app, [name, *options, str(folder)])
        assert "settings.json is damaged or was changed" in shown.output
        assert shown.exit_code == 1
    assert run.invoke(app, ["recover", str(folder)]).exit_code == 0
    assert read_session(folder) == whole
    assert run.invoke(app, ["info", str(folder)]).exit_code == 0
    masks = next(path for path in (folder / "files").iterdir())
    masks.write_bytes(masks.read_bytes() + b" ")
    shown = run.invoke(app, ["info", str(folder)])
    assert (shown.exit_code, "was changed since the session began" in shown.output) == (1, True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
@pytest.mark.parametrize("name", ["imaging/field_00002.tif", "note.txt"])
def test_a_pipe_in_a_session_is_refused_by_every_command(tmp_path: Path, name: str) -> None:
    """A command that reads it would wait for ever."""
    folder = kept_session(SCHEMAS[-1], tmp_path)
    os.mkfifo(folder / name)
    run = CliRunner(env={"COLUMNS": "500"})
    here = str(folder)
    commands = (["info", here], ["report", here], ["replay", here], ["recover", here])
    sentence = f"{folder / name} is neither a file nor a folder; remove it"
    for command in (*commands, ["copy", here, str(tmp_path / "to")], ["export", here, "csv"]):
        assert sentence in str(run.invoke(app, command).exception)
    assert sentence in run.invoke(app, ["ls", "--data", str(tmp_path)]).output


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no links without rights")
def test_a_folder_that_links_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    refused = CliRunner().invoke(app, ["info", str(tmp_path / "loop")]).exception
    assert isinstance(refused, Refused)
