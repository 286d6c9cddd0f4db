"""Exports to NWB, ALF and tables, also of sessions in which little happened."""

import re
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from analysis.export import nwb
from analysis.export.alf import write_alf
from analysis.export.contents import read_contents
from analysis.export.lab import behavior_dict, write_lab
from analysis.export.nwb import SubjectFacts, check_times, write_nwb
from analysis.export.raw_pages import RawPages
from analysis.export.tables import write_tables
from rig.cli.main import app
from rig.errors import Refused
from rig.messages import Message, Position
from rig.session.provenance import SCHEMA
from rig.session.recover import Recovery, complete_log, mark_recovered
from rig.settings.config import RECOVERED_FILE
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
from tests.kept_sessions import SCHEMAS, kept_session

SUBJECT = SubjectFacts(
    birth_date=date(2025, 11, 1), sex="F", experimenter="Doe, Jane", institution="I", lab="L"
)
NOTHING: list[Message] = [Position(n * 1_000_000, -1, 0.0, 0.0, False, "grey") for n in range(9)]
Kind = tuple[list[Message], bool, str]
SESSIONS: dict[str, Kind] = {
    "a task session": (trial(0, "leaf1", 6000) + trial(1, "circle1", 14_000), True, "task"),
    "an unrewarded one": (trial(0, "circle1", 6000), True, "unrewarded"),
    "without licks": (trial(0, "leaf1", 6000, licks=False), True, "task"),
    "without trials": (NOTHING, False, "task"),
    "aborted in trial 1": (trial(0, "leaf1", 6000, "aborted"), True, "task"),
    "without imaging": (trial(0, "leaf1", 6000), False, "task"),
}


def recovered(folder: Path) -> Path:
    """A real session whose log was cut off in mid-file, and completed by rig recover."""
    session = kept_session(SCHEMAS[-1], folder)
    log = session / LOG_FILE
    log.write_bytes(log.read_bytes()[: log.stat().st_size * 2 // 3])
    assert not complete_log(session).whole
    return session


def recorded(name: str, folder: Path) -> Path:
    """The folder of a session of that kind."""
    if name == "recovered":
        return recovered(folder)
    messages, imaging, cohort = SESSIONS[name]
    return write(folder, messages, start(imaging, cohort), imaging)


@pytest.mark.parametrize("name", [*SESSIONS, "recovered"])
def test_the_nwb_inspector_finds_no_critical_issue(tmp_path: Path, name: str) -> None:
    inspector = pytest.importorskip("nwbinspector", reason="nwbinspector is not installed")
    contents = read_contents(recorded(name, tmp_path), partial=name == "recovered")
    path = write_nwb(contents, tmp_path / "nwb", SUBJECT, RawPages.EMBED)
    config = inspector.load_config("dandi")
    found = [
        f"{m.importance.name} {m.check_function_name} {m.object_name}"
        for m in inspector.inspect_nwbfile(nwbfile_path=str(path), config=config)
        if m.importance.name in ("CRITICAL", "ERROR", "PYNWB_VALIDATION")
    ]
    assert found == []


def test_a_file_with_critical_issues_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nwbinspector", reason="nwbinspector is not installed")
    from pynwb.file import Subject

    monkeypatch.setattr(nwb, "_subject", lambda *_: Subject(subject_id="VR2", sex="female"))
    contents = read_contents(whole_session(tmp_path))
    with pytest.raises(Refused, match=r"the NWB inspector found: .* \(check_subject_"):
        write_nwb(contents, tmp_path / "nwb", SUBJECT)
    assert list((tmp_path / "nwb").iterdir()) == []


def test_an_nwb_file_contains_what_was_recorded(tmp_path: Path) -> None:
    from pynwb import NWBHDF5IO

    contents = read_contents(whole_session(tmp_path))
    path = write_nwb(contents, tmp_path / "nwb", SUBJECT)
    assert path.name == "sub-VR2_ses-20260304-2_behavior+ophys.nwb"
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    with NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        assert (file.identifier, file.subject.age) == ("0123456789abcdef", "P123D")
        assert list(file.trials.outcome[:]) == ["done", "done", "aborted", "done", "done"]
        assert len(file.events["licks"]) == 10
        assert list(file.events["rewards"]["volume_ul"][:]) == [3.0, 3.0, 3.0]
        assert list(file.events["triggers"]["line_s"][:]) == [6.501]
        activity = file.processing["ophys"]["Deconvolved"]["Plane0"]
        np.testing.assert_array_equal(activity.data[:], contents.session.traces)
        assert activity.data.shape == (5 * TRIAL_FRAMES, CELLS)
        assert list(file.processing["ophys"]["ImageSegmentation"]["PlaneSegmentation0"].area) == [
            8, 8, 3, 3, 5, -1,
        ]  # fmt: skip
        assert list(check_times(file)) == []


def test_raw_pages_are_linked_or_embedded_on_request(tmp_path: Path) -> None:
    from pynwb import NWBHDF5IO

    contents = read_contents(whole_session(tmp_path))
    for pages in RawPages:
        path = write_nwb(contents, tmp_path / pages, SUBJECT, pages)
        with NWBHDF5IO(str(path), "r") as io:
            series = io.read().acquisition.get("TwoPhotonSeriesPlane0")
            if pages == RawPages.NONE:
                assert series is None
            elif pages == RawPages.LINK:
                (tiff,) = series.external_file[:]
                assert (path.parent / tiff).resolve() == contents.session.folder / "imaging/a.tif"
            else:
                assert series.data.shape == (5 * TRIAL_FRAMES, 8, 8)
                np.testing.assert_array_equal(series.data[3], contents.session.pixels(3))


def test_a_missing_tiff_is_refused_and_with_partial_named_in_the_file(tmp_path: Path) -> None:
    from pynwb import NWBHDF5IO

    folder = whole_session(tmp_path)
    (folder / "imaging" / "a.tif").unlink()
    contents = read_contents(folder)
    with pytest.raises(Refused, match=r"imaging/a\.tif is missing; restore it, or .* --tiffs none"):
        write_nwb(contents, tmp_path / "nwb", SUBJECT)
    assert write_nwb(contents, tmp_path / "none", SUBJECT, RawPages.NONE).is_file()
    path = write_nwb(contents, tmp_path / "nwb", SUBJECT, partial=True)
    with NWBHDF5IO(str(path), "r") as io:
        assert io.read().notes == "INCOMPLETE: imaging/a.tif is missing"


def test_a_file_names_the_devices_the_software_and_the_running_signals(tmp_path: Path) -> None:
    from pynwb import NWBHDF5IO

    contents = read_contents(kept_session(SCHEMAS[-1], tmp_path))
    path = write_nwb(contents, tmp_path / "nwb", SUBJECT)
    with NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        assert {"hardware_valve_centre", "hardware_wheel", "microscope"} <= set(file.devices)
        assert "simulated:Valve" in file.devices["hardware_valve_centre"].description
        versions = dict(file.was_generated_by[:].tolist())
        about = contents.session.settings["about"]
        assert (versions["rig"], versions["commit"]) == (about["rig"], about["commit"])
        signals = file.processing["ophys"]
        assert signals["selective_fractions_by_area"].data.shape == (11, 5, 3, 10)
        assert {"reward_prediction", "selective_fraction"} <= set(signals.data_interfaces)
        cells = signals["ImageSegmentation"]["PlaneSegmentation0"]
        mask = cells["pixel_mask"][7]
        imaged = contents.cells
        assert imaged is not None
        pixels = slice(*imaged.first[7:9])
        expected = zip(imaged.x[pixels], imaged.y[pixels], strict=True)
        assert [tuple(pixel)[:2] for pixel in mask] == list(expected)


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
def test_tables_are_read_back_unchanged(tmp_path: Path, kind: str) -> None:
    contents = read_contents(whole_session(tmp_path))
    write_tables(contents, tmp_path / "tables", kind)
    read = pd.read_csv if kind == "csv" else pd.read_parquet
    trials = read(tmp_path / "tables" / f"trials.{kind}")
    assert list(trials.outcome) == ["done", "done", "aborted", "done", "done"]
    licks = read(tmp_path / "tables" / f"licks.{kind}")
    np.testing.assert_allclose(licks.t_s, contents.session.licks.t_s)
    text = (tmp_path / "tables" / "README.txt").read_text()
    assert "it was zero at 2026-03-04T10:00:00+01:00" in text


ALF_NAME = re.compile(
    r"(_(?P<namespace>[a-zA-Z0-9]+)_)?(?P<object>[a-zA-Z]+)"
    r"\.(?P<attribute>[a-zA-Z0-9]+(_times|_intervals)?)\.(?P<extension>npy|txt)"
)
"""ONE's specification of a file's name, without the parts that are not used here."""


def test_alf_files_follow_the_naming_convention(tmp_path: Path) -> None:
    contents = read_contents(whole_session(tmp_path))
    files = write_alf(contents, tmp_path / "one")
    assert {path.parent for path in files} == {tmp_path / "one/VR2/2026-03-04/002/alf"}
    rows: dict[str, set[int]] = {}
    for path in files:
        found = ALF_NAME.fullmatch(path.name)
        assert found is not None, path.name
        rows.setdefault(found["object"], set()).add(len(np.load(path)))
    assert {name: len(lengths) for name, lengths in rows.items()} == dict.fromkeys(rows, 1)
    assert rows["trials"] == {4}
    assert (rows["mpci"], rows["mpciROIs"]) == ({5 * TRIAL_FRAMES}, {CELLS})


def incomplete(tmp_path: Path) -> Path:
    folder = whole_session(tmp_path)
    (folder / LOG_FILE).unlink()
    writer = LogWriter(folder / LOG_FILE)
    for envelope, message in enveloped([start(), *trial(0, "leaf1", 6000)]):
        writer.append(type(message).__name__, envelope, pack(envelope))
    writer.close(Completeness(False, writer.count, "2 Lick of hardware are missing"))
    return folder


def test_an_incomplete_session_is_exported_only_on_demand_and_says_so(tmp_path: Path) -> None:
    from pynwb import NWBHDF5IO

    folder = incomplete(tmp_path)
    with pytest.raises(Refused, match=r"is incomplete \(2 Lick of hardware are missing\)"):
        read_contents(folder)
    contents = read_contents(folder, partial=True)
    write_tables(contents, tmp_path / "tables", "csv")
    assert "INCOMPLETE: 2 Lick" in (tmp_path / "tables" / "README.txt").read_text()
    alf = {path.name: path for path in write_alf(contents, tmp_path / "one")}
    assert "INCOMPLETE: 2 Lick" in alf["_rig_session.remarks.txt"].read_text()
    assert behavior_dict(contents)["Notes"] == "INCOMPLETE: 2 Lick of hardware are missing"
    path = write_nwb(contents, tmp_path / "nwb", SUBJECT)
    with NWBHDF5IO(str(path), "r") as io:
        assert io.read().notes == "INCOMPLETE: 2 Lick of hardware are missing"


def test_every_format_says_that_a_session_was_recovered(tmp_path: Path) -> None:
    from pynwb import NWBHDF5IO

    folder = whole_session(tmp_path)
    mark_recovered(folder, Recovery("2026-03-04T11:00:00+01:00", "0.2.0", ""))
    contents = read_contents(folder)
    remark = f"RECOVERED: {folder.name} did not end by itself and was closed by rig recover"
    write_tables(contents, tmp_path / "tables", "csv")
    assert f"\n{remark}.\n" in (tmp_path / "tables" / "README.txt").read_text()
    alf = {path.name: path for path in write_alf(contents, tmp_path / "one")}
    assert alf["_rig_session.remarks.txt"].read_text() == f"{remark}\n"
    assert behavior_dict(contents)["Notes"] == remark
    path = write_nwb(contents, tmp_path / "nwb", SUBJECT)
    with NWBHDF5IO(str(path), "r") as io:
        assert io.read().notes == remark
    (folder / RECOVERED_FILE).unlink()
    again = [path.name for path in write_alf(read_contents(folder), tmp_path / "one")]
    assert "_rig_session.remarks.txt" not in again
    assert not alf["_rig_session.remarks.txt"].exists()


def test_a_damaged_log_is_exported_only_on_demand(tmp_path: Path) -> None:
    folder = kept_session(SCHEMAS[-1], tmp_path)
    log = bytearray((folder / LOG_FILE).read_bytes())
    middle = len(log) // 2
    log[middle : middle + 4096] = bytes(4096)
    (folder / LOG_FILE).write_bytes(log)
    with pytest.raises(Refused, match=r"is incomplete \(.* of log.mcap cannot be read"):
        read_contents(folder)
    contents = read_contents(folder, partial=True)
    assert "of log.mcap cannot be read" in contents.missing
    assert len(contents.session.wheel)


def test_a_log_of_a_newer_version_is_refused_in_one_sentence(tmp_path: Path) -> None:
    first = start()
    first.session["about"] = {"rig": "9.0.0", "schema": "99"}
    folder = write(tmp_path, trial(0, "leaf1", 6000), first)
    for partial in (False, True):
        with pytest.raises(Refused) as refused:
            read_contents(folder, partial)
        assert str(refused.value) == (
            f"{folder} was recorded by rig 9.0.0 with message schema 99, and this version reads "
            f"up to {SCHEMA}; use that version or a later one"
        )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{folder}", "pdf"], "'pdf' is not a format; choose one of nwb, lab, alf"),
        (["{folder}", "nwb", "--subject", "VR2"], "not both"),
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


@pytest.mark.parametrize("name", ["ses-20260304_2 copy", "first run", "ses-20260304"])
def test_a_renamed_session_is_refused_where_its_number_is_needed(tmp_path: Path, name: str) -> None:
    folder = whole_session(tmp_path)
    contents = read_contents(folder.rename(folder.with_name(name)))
    for write_one in (
        lambda: write_nwb(contents, tmp_path / "out", SUBJECT),
        lambda: write_alf(contents, tmp_path / "out"),
        lambda: write_lab(contents, tmp_path / "out"),
    ):
        with pytest.raises(Refused, match="name the folder ses-YYYYMMDD_N again, or export csv"):
            write_one()
    assert not (tmp_path / "out").exists()
    assert write_tables(contents, tmp_path / "out", "csv")


def test_a_folder_that_is_not_a_session_does_not_stop_the_export_of_others(tmp_path: Path) -> None:
    session = whole_session(tmp_path)
    (session.parent / "ses-20260301_1").mkdir()
    (session.parent / "ses-notes").touch()
    command = ["export", "csv", "--subject", "VR2", "--to", str(tmp_path / "all")]
    done = CliRunner().invoke(app, [*command, "--data", str(tmp_path)])
    assert str(done.exception) == "2 of 3 sessions of VR2 were not exported"
    assert "ses-notes was not exported: " in done.output
    assert [path.name for path in (tmp_path / "all").iterdir()] == [session.name]


def test_all_sessions_of_an_animal_are_exported(tmp_path: Path) -> None:
    whole_session(tmp_path)
    command = ["export", "csv", "--subject", "VR2", "--to", str(tmp_path / "all")]
    done = CliRunner().invoke(app, [*command, "--data", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "all" / "ses-20260304_2" / "trials.csv").is_file()
