"""Output causes no error for any encoding of the terminal and any input."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from rig.cli.main import app
from rig.cli.numbers import number, number_in

PRINT = """
import sys
from rich.console import Console
from rich.table import Table
from rig.cli.terminal import make_printable
make_printable()
table = Table("frames", title="the session")
table.add_row(sys.argv[1])
Console().print(table)
Console(stderr=True).print(sys.argv[1])
print(sys.argv[1])
"""
TEXT = "12 ≠ 11 µl ± é Ж 😀 \udce4"
"""The last character is a byte of a file name that is no UTF-8."""


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("cp1252", "12 != 11 µl ± é ? ? ?"),
        ("ascii", "12 != 11 ul +/- e ? ? ?"),
        ("utf-8", "12 ≠ 11 µl ± é Ж 😀 ?"),
    ],
)
def test_characters_that_the_encoding_lacks_are_replaced(encoding: str, shown: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PRINT, os.fsencode(TEXT)],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    table, plain = run.stdout.decode(encoding), run.stderr.decode(encoding)
    assert table.count(shown) == 2
    assert plain.strip() == shown


def test_the_command_itself_prints_in_ascii(tmp_path: Path) -> None:
    folder = tmp_path / "Ж≠"
    run = subprocess.run(
        [sys.executable, "-c", "from rig.cli.main import main; main()", "info", str(folder)],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "?!=" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_a_command_without_standard_streams_ends_with_its_own_exit_code(closed: str) -> None:
    """A service or a scheduler may start a command like this."""
    rig = shlex.join([sys.executable, "-c", "from rig.cli.main import main; main()"])
    run = subprocess.run(f"{rig} info nowhere {closed}", shell=True, text=True, check=False)
    assert run.returncode == 2


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_every_number_is_read_as_it_is_written(value: float) -> None:
    assert number_in(f" {value!r} ") == value
    assert number()(value) == value


@pytest.mark.parametrize("text", ["23,8", "23.8 g", "", "1.000,5", "nan", "inf", "--", "0x1f"])
def test_what_is_not_a_number_gets_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a (finite )?number; .*for example 23\.8$"):
        number_in(text)


def test_bounds_are_named() -> None:
    with pytest.raises(typer.BadParameter, match="900 is not from 1 to 500"):
        number(1, 500)("900")
    with pytest.raises(typer.BadParameter, match=r"0 is not at least 0\.1"):
        number(0.1)("0")


@pytest.mark.parametrize(
    "command",
    [
        ["flush", "x.toml", "--seconds", "2,5"],
        ["calibrate", "wheel", "x.toml", "--around-cm", "2,5"],
        ["calibrate", "valve", "x.toml", "--open-ms", "2,5"],
        ["check", "screens", "x.toml", "--seconds", "2,5"],
        ["run", "x.toml", "y.toml", "--subject", "a", "--minutes", "2,5"],
        ["info", "x", "--trace-hz", "2,5"],
        ["simulate", "x.toml", "--minutes", "2,5"],
        ["simulate", "x.toml", "--tick-ms", "2,5"],
        ["subject", "add", "a", "--baseline-g", "2,5"],
        ["subject", "add", "a", "--need-ml", "2,5"],
        ["bench", "bus", "--seconds", "2,5"],
        ["bench", "frames", "--seconds", "2,5"],
        ["bench", "display", "--minutes", "2,5"],
        ["bench", "display", "--seconds", "2,5"],
        ["bench", "behavior", "--minutes", "2,5"],
    ],
    ids=" ".join,
)
def test_a_decimal_comma_is_explained_in_every_option(command: list[str]) -> None:
    result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    output = result.output + str(result.exception)
    assert '"2,5" is not a number; use a decimal point, for example 23.8' in output


@pytest.mark.parametrize(
    ("grams", "expected"),
    [
        ("23,5", '"23,5" is not a number; use a decimal point, for example 23.8'),
        ("heavy", '"heavy" is not a number; use a decimal point, for example 23.8'),
        ("nan", '"nan" is not a finite number'),
        ("240", "from 5 to 100 g"),
    ],
)
def test_a_wrong_weight_is_explained(tmp_path: Path, grams: str, expected: str) -> None:
    given = ["--cohort", "task", "--stage", "train1", "--baseline-g", "24", "--free"]
    for command in (["add", "a", *given], ["weigh", "a", grams]):
        result = CliRunner().invoke(app, ["subject", *command, "--data", str(tmp_path)])
    assert expected in str(result.exception)


def test_the_version_is_shown() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("rig ")
    assert ", commit " in result.output
