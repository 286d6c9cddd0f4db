"""Exports to NWB, ALF and tables, also of sessions in which hardly anything happened."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from analysis.export.alf import write_alf
from analysis.export.contents import read_contents
from analysis.export.nwb import SubjectFacts, check_times, write_nwb
from analysis.export.tables import write_tables
from rig.cli.main import app
from rig.errors import Refused
from rig.messages import Message, Position
from rig.transport.envelope import pack
from rig.transport.log import LOG_FILE, Completeness, LogWriter
from tests.analysis.export.recorded import (
    CELLS,
    TRIAL_FRAMES,
    start,
    trial,
    whole_session,
    write,
)
from tests.analysis.logs import enveloped

SUBJECT = SubjectFacts(
    birth_date=date(2025, 11, 1), sex="F", experimenter="Doe, Jane", institution="I", lab="L"
)
NOTHING: list[Message] = [Position(n * 1_000_000, -1, 0.0, 0.0, False, "grey") for n in range(9)]
SESSIONS = {
    "a task session": (trial(0, "leaf1", 6000) + trial(1, "circle1", 14_000), True, "task"),
    "an unrewarded one": (trial(0, "circle1", 6000), True, "unrewarded"),
    "without licks": (trial(0, "leaf1", 6000, licks=False), True, "task"),
    "without trials": (NOTHING, False, "task"),
    "aborted in trial 1": (trial(0, "leaf1", 6000, "aborted"), True, "task"),
    "without imaging": (trial(0, "leaf1", 6000), False, "task"),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_the_nwb_inspector_finds_nothing_critical(tmp_path: Path, name: str) -> None:
    inspector = pytest.importorskip("nwbinspector", reason="nwbinspector is not installed")
    messages, imaging, cohort = SESSIONS[name]
    folder = write(tmp_path, messages, start(imaging, cohort), imaging)
    path = write_nwb(read_contents(folder), tmp_path / "nwb", SUBJECT)
    config = inspector.load_config("dandi")
    found = [
        f"{m.importance.name} {m.check_function_name} {m.object_name}"
        for m in inspector.inspect_nwbfile(nwbfile_path=str(path), config=config)
        if m.importance.name in ("CRITICAL", "ERROR", "PYNWB_VALIDATION")
    ]
    assert found == []


def test_an_nwb_file_holds_what_was_recorded(tmp_path: Path) -> None:
    from pynwb import NWBHDF5IO

    contents = read_contents(whole_session(tmp_path))
    path = write_nwb(contents, tmp_path / "nwb", SUBJECT)
    assert path.name == "sub-VR2_ses-20260304-2_behavior+ophys.nwb"
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    with NWBHDF5IO(str(path), "r") as io:
        nwb = io.read()
        assert (nwb.identifier, nwb.subject.age) == ("0123456789abcdef", "P123D")
        assert list(nwb.trials.outcome[:]) == ["done", "done", "aborted", "done", "done"]
        assert len(nwb.events["licks"]) == 10
        assert list(nwb.events["rewards"]["volume_ul"][:]) == [3.0, 3.0, 3.0]
        activity = nwb.processing["ophys"]["Deconvolved"]["Plane0"]
        np.testing.assert_array_equal(activity.data[:], contents.session.traces)
        assert activity.data.shape == (5 * TRIAL_FRAMES, CELLS)
        assert list(nwb.processing["ophys"]["ImageSegmentation"]["PlaneSegmentation0"].area) == [
            8, 8, 3, 3, 5, -1,
        ]  # fmt: skip
        assert list(check_times(nwb)) == []


def test_a_file_with_times_out_of_order_is_found_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = read_contents(whole_session(tmp_path))
    wrong = contents.frames.assign(middle_s=contents.frames.middle_s[::-1].to_numpy())
    monkeypatch.setitem(contents.__dict__, "frames", wrong)
    with pytest.raises(Refused, match="out of order"):
        write_nwb(contents, tmp_path / "nwb", SUBJECT)
    assert list((tmp_path / "nwb").iterdir()) == []


def test_an_animal_born_after_its_session_is_refused(tmp_path: Path) -> None:
    contents = read_contents(whole_session(tmp_path))
    with pytest.raises(Refused, match="birth date 2027-01-01 is after the session"):
        write_nwb(contents, tmp_path, SubjectFacts(birth_date=date(2027, 1, 1)))
    with pytest.raises(Refused, match="give one of M, F, U, O"):
        SubjectFacts(birth_date=date(2025, 1, 1), sex="female")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_come_back_as_they_were(tmp_path: Path, kind: str) -> None:
    contents = read_contents(whole_session(tmp_path))
    write_tables(contents, tmp_path / "tables", kind)
    read = pd.read_csv if kind == "csv" else pd.read_parquet
    trials = read(tmp_path / "tables" / f"trials.{kind}")
    assert list(trials.outcome) == ["done", "done", "aborted", "done", "done"]
    licks = read(tmp_path / "tables" / f"licks.{kind}")
    np.testing.assert_allclose(licks.t_s, contents.session.licks.t_s)
    text = (tmp_path / "tables" / "README.txt").read_text()
    assert "it was zero at 2026-03-04T10:00:00+01:00" in text


def test_alf_files_follow_the_naming_convention(tmp_path: Path) -> None:
    contents = read_contents(whole_session(tmp_path))
    files = write_alf(contents, tmp_path / "one")
    assert {path.parent for path in files} == {tmp_path / "one/VR2/2026-03-04/002/alf"}
    for path in files:
        assert len(path.name.split(".")) == 3, path.name
    named = {path.stem: np.load(path) for path in files}
    lengths = {name: len(v) for name, v in named.items() if name.startswith("trials.")}
    assert set(lengths.values()) == {4}
    assert named["mpci.ROIActivityDeconvolved"].shape == (5 * TRIAL_FRAMES, CELLS)


def incomplete(tmp_path: Path) -> Path:
    folder = whole_session(tmp_path)
    (folder / LOG_FILE).unlink()
    writer = LogWriter(folder / LOG_FILE)
    for envelope, message in enveloped([start(), *trial(0, "leaf1", 6000)]):
        writer.append(type(message).__name__, envelope, pack(envelope))
    writer.close(Completeness(False, writer.count, "2 Lick of hardware are missing"))
    return folder


def test_an_incomplete_session_is_exported_only_on_demand_and_says_so(tmp_path: Path) -> None:
    folder = incomplete(tmp_path)
    with pytest.raises(Refused, match=r"is incomplete \(2 Lick of hardware are missing\)"):
        read_contents(folder)
    contents = read_contents(folder, partial=True)
    write_tables(contents, tmp_path / "tables", "csv")
    assert "INCOMPLETE: 2 Lick" in (tmp_path / "tables" / "README.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{folder}", "pdf"], "'pdf' is not a format; choose one of nwb, lab, alf"),
        (["{folder}", "nwb"], "the birth date of VR2 is not known"),
        (["{folder}", "nwb", "--birth-date", "soon"], "'soon' is not a date"),
        (["csv"], "name one session folder and a format"),
        (["csv", "--subject", "nobody"], "has no session of nobody"),
        (["{folder}/nothing", "csv"], "check the path"),
    ],
)
def test_bad_input_gets_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    folder = whole_session(tmp_path)
    command = ["export", *(a.format(folder=folder) for a in arguments), "--data", str(tmp_path)]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, Refused)
    assert sentence in str(done.exception)


def test_all_sessions_of_an_animal_are_exported(tmp_path: Path) -> None:
    whole_session(tmp_path)
    command = ["export", "csv", "--subject", "VR2", "--to", str(tmp_path / "all")]
    done = CliRunner().invoke(app, [*command, "--data", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "all" / "ses-20260304_2" / "trials.csv").is_file()
