"""An animal that must not run, or an invalid record: one sentence, nothing written."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rig.cli.main import app, main
from rig.session.locks import SubjectLock
from tests.live import NO_SCREEN, SETUP, TASK
from tests.refusals import Try, refused

pytestmark = pytest.mark.usefixtures("own_locks")
REAL = "{is='tests.behavior.scripted:Wheel', board='b'}"


@pytest.fixture
def attempt(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Try:
    return Try(capsys, monkeypatch, tmp_path / "data")


def test_a_session_of_the_subject_already_running(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lock = SubjectLock(tmp_path, "test")
    given = ["run", SETUP, TASK, "--subject", "test", "--data", tmp_path, "--set", NO_SCREEN]
    sentence = refused(capsys, monkeypatch, *given)
    lock.release()
    assert "a session of subject test is already running" in sentence
    assert not (tmp_path / "sub-test").exists()


def test_a_subject_that_is_not_a_valid_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = ["run", SETUP, TASK, "--subject", "../x", "--data", tmp_path / "data"]
    assert "use letters, digits, _ and -" in refused(capsys, monkeypatch, *given)


def test_an_unknown_animal_on_a_real_device(attempt: Try) -> None:
    sentence = attempt(
        "--set",
        f"nodes.hardware.wheel={REAL}",
        "--set",
        "nodes.hardware.boards.b={is='tests.behavior.scripted:Board'}",
    )
    assert "add it: rig subject add test" in sentence
    assert "--override" in sentence


def test_a_real_animal_on_simulated_devices(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["rig", *map(str, _add(tmp_path))])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 0
    given = ["run", SETUP, TASK, "--subject", "VR2", "--data", tmp_path, "--set", NO_SCREEN]
    assert "VR2 is a real animal" in refused(capsys, monkeypatch, *given, "--override", "please")
    assert not (tmp_path / "sub-VR2").exists()
    assert "already in the record" in refused(capsys, monkeypatch, *_add(tmp_path))
    sentence = refused(capsys, monkeypatch, "subject", "show", "vr2", "--data", tmp_path)
    assert "which contains VR2; add it: rig subject add vr2" in sentence


def test_a_session_left_open(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "sub-test" / "ses-20260101_1"
    (folder / "journal").mkdir(parents=True)
    (folder / "settings.json").write_text("{}")
    given = ["run", SETUP, TASK, "--subject", "test", "--data", tmp_path, "--set", NO_SCREEN]
    assert f"rig recover {folder}" in refused(capsys, monkeypatch, *given)
    assert list((tmp_path / "sub-test").glob("ses-*")) == [folder]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("weigh", "VR2", "24"), "no subject VR2"),
        (("show", "VR2"), "no subject VR2"),
        (("water", "VR2"), "no subject VR2"),
        (("show", "VR2"), "which contains nobody; add it: rig subject add VR2"),
    ],
)
def test_a_subject_that_is_not_in_the_record(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    data = tmp_path / "data"
    assert sentence in refused(capsys, monkeypatch, "subject", *arguments, "--data", data)
    assert not data.exists()


def test_adding_an_animal_with_an_invalid_name_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    sentence = refused(capsys, monkeypatch, *_add(data, NAME="../x"))
    assert "use letters, digits, _ and -" in sentence
    assert not data.exists()


@pytest.mark.parametrize(
    ("option", "typed", "sentence"),
    [
        ("--baseline-g", "2500", "2500 is not from 5 to 100"),
        ("--need-ml", "60", "60 is not from 0 to 5"),
    ],
)
def test_an_impossible_weight_or_need_is_refused(
    tmp_path: Path, option: str, typed: str, sentence: str
) -> None:
    data = tmp_path / "data"
    result = CliRunner().invoke(app, [str(part) for part in _add(data, **{option: typed})])
    assert result.exit_code == 2
    assert f"'{option}': {sentence}" in result.output
    assert not data.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"NAME": "_x"}, "use letters, digits, _ and -"),
        ({"--stage": "train9"}, 'no task has stage "train9"; choose one of'),
        ({"--stage": "train1", "--cohort": "pretrained"}, "train1 is not for cohort pretrained"),
        ({"--cohort": "control"}, '"control" is not one of task'),
    ],
)
def test_an_animal_with_an_unknown_stage_or_cohort_is_refused(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    changes: dict[str, str],
    sentence: str,
) -> None:
    data = tmp_path / "data"
    assert sentence in refused(capsys, monkeypatch, *_add(data, **changes))
    assert not data.exists()


def _add(data: Path, **changes: str) -> list[object]:
    options = {"--cohort": "task", "--stage": "train1", "--baseline-g": "25", **changes}
    name = options.pop("NAME", "VR2")
    pairs = [text for pair in options.items() for text in pair]
    return ["subject", "add", name, *pairs, "--restricted", "--data", data]
