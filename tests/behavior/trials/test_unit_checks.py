"""A value in a wrong unit is refused or gives a warning before Start, with the likely unit."""

import re
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from behavior.task import Task
from behavior.trials.task_settings import TaskSettings
from behavior.trials.unit_checks import QUANTITIES
from rig import process
from rig.errors import Refused
from rig.messages import Message
from rig.session import launch
from rig.settings.config import ResolvedSession
from rig.settings.toml import read_toml
from tests.behavior.sessions import ROOT, TRAIN1, session, task

TASKS = sorted((ROOT / "behavior" / "tasks").glob("*.toml"))
PICTURE = {"stimuli": ["bar_0"], "shares": [], "rewarded": [], "reward_mode": "none"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"reward_ul": 0.003}, "reward_ul = 0.003 is not possible (0.1 to 20 ul); if you mean"),
        ({"reward_ul": 0.003}, "if you mean 0.003 ml, write reward_ul = 3"),
        ({"reward_ul": 3000.0}, "if you mean 3000 nl, write reward_ul = 3"),
        ({"corridor_cm_s": 0.6}, "if you mean 0.6 m/s, write corridor_cm_s = 60"),
        ({"corridor_cm_s": 600.0}, "if you mean 600 mm/s, write corridor_cm_s = 60"),
        ({"reward_delay_ms": 0.5}, "if you mean 0.5 s, write reward_delay_ms = 500"),
        ({"run_threshold_cm_s": 0.06}, "if you mean 0.06 m/s, write run_threshold_cm_s = 6"),
        ({"stop_cm_s": 0.06}, "if you mean 0.06 m/s, write stop_cm_s = 6"),
        ({"speed_window_ms": 0.1}, "if you mean 0.1 s, write speed_window_ms = 100"),
        ({"texture_m": 400.0}, "if you mean 400 cm, write texture_m = 4"),
        ({"texture_m": 40.0}, "if you mean 40 dm, write texture_m = 4"),
        ({"grey_m": 200.0}, "if you mean 200 cm, write grey_m = 2"),
        ({"cue_from_m": 50.0, "cue_to_m": 350.0}, "if you mean 50 cm, write cue_from_m = 0.5"),
        ({"zone_from_m": 200.0}, "if you mean 200 cm, write zone_from_m = 2"),
        ({"gain": 100.0}, "if you mean 100 percent, write gain = 1"),
        ({"minutes": 3600.0}, "if you mean 3600 s, write minutes = 60"),
        ({"grey_before_s": 6000.0}, "if you mean 6000 ms, write grey_before_s = 6"),
        ({"water_ul": 500_000.0}, "if you mean 500000 nl, write water_ul = 500"),
        ({"minutes": float("inf")}, "minutes = inf is not possible"),
        ({"blocks": [{}, {"reward_ul": 0.003}]}, "block 1: reward_ul = 0.003 is not possible"),
        ({"shares": [50.0, 50.0]}, "fractions, not percent"),
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_refused(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(Refused, match=re.escape(expected)):
        task([], **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"reward_ul": 0.3}, ["reward_ul = 0.3 is unusual (0.5 to 10 ul); check its unit"]),
        ({"run_threshold_cm_s": 60.0}, ["if you mean 60 mm/s, write run_threshold_cm_s = 6"]),
        ({"water_ul": 1.0}, ["if you mean 1 ml, write water_ul = 1000"]),
        ({"minutes": 0.75}, ["if you mean 0.75 h, write minutes = 45"]),
        ({"grey_after_s": 0.1}, ["if you mean 0.1 min, write grey_after_s = 6"]),
        ({"speed_window_ms": 1500.0}, ["speed_window_ms = 1500 is unusual"]),
        ({**PICTURE, "picture": "bar", "show_s": 500.0}, ["500 ms, write show_s = 0.5"]),
        ({**PICTURE, "picture": "grey", "show_s": 500.0}, []),
        ({**PICTURE, "picture": "bar", "show_s": 5.0, "blank_s": 500.0}, ["500 ms, write blank_s"]),
        ({"blocks": [{"reward_ul": 0.3}, {}]}, ["block 0: reward_ul = 0.3 is unusual"]),
        ({"minutes": 0.75, "blocks": [{"block_minutes": 5.0}]}, ["minutes = 0.75 is unusual"]),
        ({"reward_ul": 0.3, "blocks": [{}, {}]}, ["reward_ul = 0.3 is unusual"]),
        ({"reward_delay_ms": 0.0, "zone_to_m": 0.0, "water_ul": 0.0}, []),
    ],
)  # fmt: skip
def test_an_unusual_value_gives_one_warning(options: dict[str, Any], expected: list[str]) -> None:
    warnings = task([], **options).warnings()
    assert len(warnings) == len(expected)
    for warning, text in zip(warnings, expected, strict=True):
        assert text in warning


def warnings(settings: dict[str, Any]) -> list[str]:
    """Return what a task with these settings warns of."""
    return Task(msgspec.convert(settings, Task.Settings), list[Message]().append).warnings()


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_the_shipped_tasks_have_no_unusual_values(path: Path) -> None:
    assert warnings({**read_toml(path), "seed": 1}) == []


def test_every_setting_with_a_unit_is_checked() -> None:
    with_unit = re.compile(r"_(m|s|ms|ul|cm_s)$|^(gain|minutes|block_minutes)$")
    assert {key for key in TaskSettings.__struct_fields__ if with_unit.search(key)} == set(
        QUANTITIES
    )


@given(st.sampled_from(sorted(QUANTITIES)), st.floats(1e-9, 1e9))
def test_a_suggested_value_causes_no_other_warning(key: str, value: float) -> None:
    """The suggestion may still be refused for another reason, such as a cue behind the texture."""
    settings = {**TRAIN1, "seed": 1}
    try:
        sentences = Task(
            msgspec.convert({**settings, key: value}, Task.Settings), list[Message]().append
        ).warnings()
    except Refused as refusal:
        sentences = [str(refusal)]
    for text in sentences:
        if suggestion := re.search(rf"write {key} = (\S+)$", text):
            better = {**settings, key: float(suggestion.group(1))}
            try:
                again = Task(
                    msgspec.convert(better, Task.Settings), list[Message]().append
                ).warnings()
            except Refused as refusal:
                again = [str(refusal)]
            questioned = re.compile(rf"{key} = \S+ is (unusual|not possible)")
            assert not any(questioned.match(text) for text in again)


def test_warnings_are_given_when_a_session_is_completed_and_printed_before_start(
    tmp_path: Path,
) -> None:
    warnings: list[str] = []
    chosen = session(1, reward_ul=0.3, grey_before_s=6.0, grey_after_s=6.0)
    process.completed(chosen, warnings.append)
    expected = "task train1: reward_ul = 0.3 is unusual (0.5 to 10 ul); check its unit"
    assert warnings == [expected]
    console = Console(file=StringIO(), width=200)
    launch._completed(ResolvedSession(chosen, {}), tmp_path, console)
    assert isinstance(console.file, StringIO)
    assert f"WARNING: {expected}" in console.file.getvalue()
