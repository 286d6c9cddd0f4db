"""rig simulate: sessions in virtual time, with the same nodes as a real one."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rig.cli.main import app
from rig.errors import Refused
from tests.live import TASK

pytestmark = pytest.mark.slow


def simulated(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["simulate", str(TASK), "--minutes", "1", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_the_same_seed_gives_the_same_sessions_and_another_seed_others() -> None:
    assert simulated("--seed", "3") == simulated("--seed", "3")
    assert simulated("--seed", "3") != simulated("--seed", "4")


def test_a_session_ends_at_its_time_and_the_rules_are_counted() -> None:
    output = simulated("--sessions", "2", "--set", "task.grey_before_s=1")
    assert output.count("time is up") == 2
    assert re.search(r"rewards given +│ +\d", output)
    assert re.search(r"rewards requested for a lick +│ +\d", output)
    assert "referee" not in output  # no violation


def test_another_mouse_model_behaves_differently() -> None:
    naive = simulated("--mouse-model", "naive", "--seed", "3")
    assert naive != simulated("--seed", "3")


def test_the_page_of_the_last_session_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    simulated("--report", str(page))
    assert "train1" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--mouse-model", "cat"), "'cat' is not a mouse; choose one of trained, naive"),
        (("--set", "task.reward_ul=-1"), "reward_ul"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(Refused, match=re.escape(sentence)):
        simulated(*arguments)
