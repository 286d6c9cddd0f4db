"""After a session weight and water are asked for; typing errors are caught."""

import io
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from rig.cli.sessions.post_session import ask
from rig.subjects.record import Subject, Weighing, open_record

TODAY = date.today().isoformat()


def asked(data: Path, *typed: str) -> tuple[list[Weighing], str, list[str]]:
    """Type answers about VR2; return the weights in the record, the output and the unused input."""
    with open_record(data) as record:
        record.add(Subject("VR2", "task", "train1", 25.0, restricted=True, need_ml=1.0))
    left, output = list(typed), io.StringIO()

    def read(prompt: str) -> str:
        if not left:
            raise EOFError
        return left.pop(0)

    ask("VR2", data, Console(file=output), read)
    with open_record(data) as record:
        return record.weights("VR2"), output.getvalue(), left


@pytest.mark.parametrize("typed", ["23.8", " 23.8 g", "23.8G"])
def test_a_weight_is_understood_as_it_is_typed(tmp_path: Path, typed: str) -> None:
    weights, output, _ = asked(tmp_path, typed, "bright", "drank well")
    assert weights == [Weighing(TODAY, 23.8, "bright", "drank well", after=True)]
    assert "95.2% of its baseline" in output


def test_enter_skips_each_question(tmp_path: Path) -> None:
    assert asked(tmp_path / "a", "", "never asked")[::2] == ([], ["never asked"])
    assert asked(tmp_path / "b", "23.8", "", "")[0] == [Weighing(TODAY, 23.8, "", "", after=True)]


def test_an_invalid_weight_is_asked_for_again(tmp_path: Path) -> None:
    weights, output, _ = asked(tmp_path, "heavy", "23,8", "nan", "238", "23.8", "", "")
    assert [one.grams for one in weights] == [23.8]
    for typed in ("heavy", "23,8", "nan"):
        assert f'"{typed}" is not a ' in output
    assert output.count("for example 23.8") == 3
    assert output.count("5 to 100 g") == 1


def test_an_unlikely_weight_must_be_typed_twice(tmp_path: Path) -> None:
    assert [w.grams for w in asked(tmp_path / "a", "8", "23.8", "", "")[0]] == [23.8]
    weights, output, _ = asked(tmp_path / "b", "8", "8", "", "")
    assert [w.grams for w in weights] == [8.0]
    assert "32% of its baseline" in output


def test_a_terminal_that_goes_away_writes_nothing(tmp_path: Path) -> None:
    assert asked(tmp_path, "23.8")[0] == []


def test_an_unknown_animal_is_not_asked_for(tmp_path: Path) -> None:
    ask("sim1", tmp_path, Console(), lambda prompt: pytest.fail(f"asked: {prompt}"))
    assert not any(tmp_path.iterdir())
