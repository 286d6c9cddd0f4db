"""A trigger that cannot work is refused before anything starts, with one sentence."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from analysis.closed_loop import ClosedLoop
from rig.errors import Refused
from rig.messages import Message
from rig.process import completed
from rig.settings.config import resolve
from tests.analysis.triggers.loops import rule, with_loop
from tests.behavior.sessions import ROOT, session

SETUP = ROOT / "rig" / "setups" / "simulated.toml"
TASKS = ROOT / "behavior" / "tasks"


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (rule("projektion.medial > 1"), 'there is no signal "projektion.medial"; did you mean'),
        (rule("projection.frontal > 1"), 'there is no area "frontal"; choose one of: V1'),
        (rule('stimulus == "leaf9"'), 'never shows a stimulus "leaf9"; choose one of: leaf1, circ'),
        (rule(line="lamp"), 'there is no trigger line "lamp"; choose one of: laser'),
        (rule(line="centre"), '"centre" is a valve, which only the water guard opens; choose one'),
        (rule(line="frame_clock"), 'there is no trigger line "frame_clock"; choose one of: laser'),
        (rule(pulse_ms=3000.0), "pulse_ms = 3000 is longer than longest_ms = 2000"),
        (rule(hold_ms=2001.0), "hold_ms = 2001 is longer than longest_ms = 2000"),
        (rule(hold_ms=5.0, pulse_ms=5.0), "give either pulse_ms or hold_ms, above 0"),
        (rule(pulse_ms=0.0), "give either pulse_ms or hold_ms, above 0"),
        (rule(""), "give either a rule (`when`) or a `yoked_file`"),
        (rule(yoked_file="a.csv"), "give either a rule (`when`) or a `yoked_file`"),
        (rule(sham_fraction=1.5), "`triggers[0].sham_fraction` must be a number <= 1"),
        (rule(puls_ms=1.0), "`triggers[0].puls_ms`; did you mean `pulse_ms`"),
        (rule(name="two words"), "`triggers[0].name` must be text matching"),
        (rule("ramp > 1"), "needs the signals of [nodes.online], which is not in this session"),
    ],
)
def test_a_wrong_trigger_is_refused(table: dict[str, Any], expected: str) -> None:
    with pytest.raises(Refused) as refused:
        with_loop(table)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("position_m >= 200", ["position_m never reaches 200; if you mean 200 cm, write 2"]),
        ("1500 < since_cue_s", ["since_cue_s never reaches 1500; if you mean 1500 ms, write 1.5"]),
        ("position_m >= 2 and speed_cm_s > 20 and projection.medial > 400", []),
    ],
)
def test_a_number_in_another_unit_gives_a_warning(when: str, expected: list[str]) -> None:
    table = {"triggers": [rule(when)], "seed": 1}
    node = ClosedLoop(msgspec.convert(table, ClosedLoop.Settings), list[Message]().append)
    assert node.warnings() == [f'[[triggers]] "one": {text}' for text in expected]


def test_two_triggers_of_one_name_are_refused() -> None:
    with pytest.raises(Refused, match='two triggers are named "one"; rename one'):
        with_loop(rule(), rule("moving"))


def test_a_setup_without_a_closed_loop_refuses_triggers() -> None:
    with pytest.raises(Refused, match=r"\[\[triggers\]\]: no process of this setup.*closed_loop"):
        session(1, triggers=[rule()])


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        (
            ["nodes.online.learning=false"],
            "projection.medial is not computed with learning = false",
        ),
        (
            ["task.signals={}"],
            "projection.medial needs a pair of stimuli to compare; add contrasts",
        ),
    ],
)
def test_a_signal_that_no_node_computes_is_refused(sets: list[str], expected: str) -> None:
    task = TASKS / "closed_loop.toml"
    with pytest.raises(Refused, match=expected):
        completed(resolve(SETUP, task, "test", 1, sets).session)


def test_the_loop_runs_only_if_the_task_has_triggers() -> None:
    nodes = [completed(resolve(SETUP, TASKS / f"{name}.toml", "test", 1, []).session).nodes
             for name in ("train1", "closed_loop")]  # fmt: skip
    assert ["closed_loop" in found for found in nodes] == [False, True]


def test_start_carries_every_default_of_a_trigger() -> None:
    (table,) = with_loop(rule()).task["triggers"]
    assert (table["once_per_trial"], table["refractory_s"], table["sham_fraction"]) == (True, 0, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 'no line rose for a trigger "one"'),
        ("t_s,rule\n1,one\n", "is not a table of triggers"),
        ("rule,trial,line_position_m,up_ms\none,x,1.0,20\n", "is not a table of triggers"),
        ("rule,trial,line_position_m,up_ms\none,1,nan,20\n", "is not a table of triggers"),
        (
            "rule,trial,line_position_m,up_ms\ntwo,1,1.0,20\n",
            "give this trigger the name of one of: two",
        ),
        ("rule,trial,line_position_m,up_ms\none,1,1.0,0\n", "since no line rose at all"),
        ("rule\none", "is not a table of triggers"),
    ],
)
def test_an_invalid_yoked_file_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "triggers.csv"
    path.write_text(text)
    table = {"triggers": [rule("", yoked_file=str(path))], "seed": 1}
    node = ClosedLoop(msgspec.convert(table, ClosedLoop.Settings), list[Message]().append)
    with pytest.raises(Refused, match=expected):
        node.open()


def test_a_yoked_file_is_copied_into_the_session(tmp_path: Path) -> None:
    (tmp_path / "triggers.csv").write_text("rule,trial,line_position_m,up_ms\none,1,1.0,20\n")
    text = (TASKS / "closed_loop.toml").read_text().split("\n[[triggers]]")[0]
    task = tmp_path / "yoked.toml"
    task.write_text(
        f'{text}\n[[triggers]]\nname = "one"\nline = "laser"\npulse_ms = 5.0\n'
        'yoked_file = "triggers.csv"\n'
    )
    resolved = resolve(SETUP, task, "test", 1, [])
    assert "files/triggers.csv" in resolved.files
    (table,) = completed(resolved.session).task["triggers"]
    assert table["yoked_file"] == "files/triggers.csv"
