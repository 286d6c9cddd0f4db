"""rig subject: entries are shown, and a day can be rehearsed."""

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from rig.cli.main import app
from rig.errors import Refused
from rig.subjects.booking import water_of_day
from rig.subjects.record import find, open_record
from tests.rig.animals import TODAY, VR2, known


def subject(data: Path, *arguments: str) -> str:
    run = CliRunner().invoke(
        app, ["subject", *arguments, "--data", str(data)], env={"COLUMNS": "200"}
    )
    assert run.exit_code == 0, run.output + str(run.exception)
    return run.output


def test_an_animal_is_edited_retired_and_taken_back(tmp_path: Path) -> None:
    name = "AB_0123-x"
    known(tmp_path, subject=msgspec.structs.replace(VR2, name=name))
    assert "train2" in subject(tmp_path, "edit", name, "--stage", "train2", "--need-ml", "1.2")
    assert f"{name} is retired" in subject(tmp_path, "retire", name)
    assert "(retired)" in subject(tmp_path, "list")
    subject(tmp_path, "edit", name, "--active")
    expected = msgspec.structs.replace(VR2, name=name, stage="train2", need_ml=1.2)
    assert find(tmp_path, name) == expected


def refused(data: Path, *arguments: str) -> str:
    run = CliRunner().invoke(app, ["subject", *arguments, "--data", str(data)])
    assert isinstance(run.exception, Refused), run.output + str(run.exception)
    return str(run.exception)


FACTS = {
    "birth_date": "2026-03-31",
    "sex": "F",
    "genotype": "CaMKII-tTA x tetO-GCaMP6s",
    "project": "learning",
    "experimenter": "Doe, Jane",
}


def test_what_an_export_needs_of_an_animal_is_entered_and_changed(tmp_path: Path) -> None:
    options = [x for key, value in FACTS.items() for x in (f"--{key.replace('_', '-')}", value)]
    new = ["--cohort", "task", "--stage", "train1", "--baseline-g", "25", "--restricted"]
    subject(tmp_path, "add", "VR2", *new, *options)
    assert find(tmp_path, "VR2") == msgspec.structs.replace(VR2, **FACTS)
    output = subject(tmp_path, "edit", "VR2", "--sex", "M", "--project", "")
    assert "Doe, Jane" in output and "2026-03-31" in output
    assert find(tmp_path, "VR2") == msgspec.structs.replace(
        VR2, **{**FACTS, "sex": "M", "project": ""}
    )


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--birth-date", "31.3.2026", "is not a date; write year, month and day"),
        ("--birth-date", "2999-01-01", "is not between 2000-01-01 and today"),
        ("--sex", "female", "is not one of M, F, U, O"),
        ("--experimenter", "Jane Doe", "write family name, comma, given name"),
        ("--genotype", "x" * 201, "write at most 200"),
        ("--baseline-g", "nan", "not a finite number"),
    ],
)
def test_an_invalid_value_is_refused_in_one_sentence(
    tmp_path: Path, option: str, value: str, sentence: str
) -> None:
    known(tmp_path)
    if option == "--baseline-g":
        run = CliRunner().invoke(
            app, ["subject", "edit", "VR2", option, value], env={"COLUMNS": "200"}
        )
        assert run.exit_code == 2 and sentence in run.output
    else:
        assert sentence in refused(tmp_path, "edit", "VR2", option, value)
    assert find(tmp_path, "VR2") == VR2


def test_a_supplement_counts_as_water_and_reduces_what_is_due(tmp_path: Path) -> None:
    known(tmp_path)
    output = subject(tmp_path, "give", "VR2", "0.75 ml")
    assert "750 ul" in output and "0.250 ml of 1 ml a day" in output
    assert "supplement" in subject(tmp_path, "water", "VR2")


def test_all_weights_are_shown(tmp_path: Path) -> None:
    known(tmp_path, (TODAY, 24.0), (TODAY, 20.0))
    output = subject(tmp_path, "weights", "VR2")
    assert "24 g" in output and "80.0%" in output


def test_a_rehearsal_leaves_the_record_unchanged(tmp_path: Path) -> None:
    known(tmp_path)
    assert "24 g" in subject(tmp_path, "weigh", "VR2", "24", "--rehearse")
    assert "500 ul" in subject(tmp_path, "give", "VR2", "0.5", "--rehearse")
    assert "24 g" in subject(tmp_path, "show", "VR2", "--rehearse")
    with open_record(tmp_path) as record:
        assert record.weights("VR2") == []
    assert water_of_day(tmp_path, "VR2").at_most_ul == 0.0


@pytest.mark.parametrize("name", ["\udce9", "[/red]", "../VR2", ""])
@pytest.mark.parametrize("verb", ["show", "weights", "water", "retire", "weigh"])
def test_a_name_that_no_animal_can_have_is_refused(tmp_path: Path, verb: str, name: str) -> None:
    """Also a byte that is not valid UTF-8, which the record could not search for."""
    known(tmp_path)
    sentence = refused(tmp_path, verb, name, *(["24"] if verb == "weigh" else []))
    assert "use letters, digits, _ and -, beginning with a letter or digit" in sentence
