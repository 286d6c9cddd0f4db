"""`rig chaos` prints the seed that failed, and its checks find planted errors."""

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from rig.cli.chaos import checks, run_plan
from rig.cli.chaos.attack import SUBJECT, Ran
from rig.cli.chaos.plan import Plan, SessionPlan, make_plan
from rig.cli.chaos.truth_valve import TruePulse
from rig.cli.main import app
from rig.errors import Refused
from rig.subjects.record import open_record

_PULSE = TruePulse("ses-1", 0, 50.0, 3.0)


@pytest.mark.parametrize("option", ["--seed", "--kills"])
def test_a_seed_that_fails_is_printed_and_gives_exit_code_1(
    option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out = []

    def carry_out(plan: Plan, root: Path) -> list[str]:
        carried_out.append(plan.seed)
        return ["session 1: 3 ul were forgotten"] if plan.seed == 12 else []

    monkeypatch.setattr(run_plan, "carry_out", carry_out)
    ranges = {"--seed": "--seeds", "--kills": "--kills"}
    ran = CliRunner().invoke(app, ["chaos", ranges[option], "11-13"])
    assert ran.exit_code == 1
    assert carried_out == [11, 12, 13]
    assert "FAILED: session 1: 3 ul were forgotten" in ran.output
    assert [line for line in ran.output.splitlines() if line.startswith("failed")] == [
        f"failed: rig chaos {option} 12"
    ]
    again = CliRunner().invoke(app, ["chaos", option, "12"])
    assert again.exit_code == 1
    assert carried_out[-1] == 12


def test_a_plan_is_printed_and_not_carried_out() -> None:
    ran = CliRunner().invoke(app, ["chaos", "--seed", "7", "--plan"])
    assert ran.exit_code == 0
    assert ran.output.strip() == str(make_plan(7))


@pytest.mark.parametrize(
    "arguments",
    [[], ["--seed", "1", "--seeds", "1-2"], ["--seeds", "5-1"], ["--seeds", "all"]],
    ids=str,
)
def test_wrong_arguments_are_refused(arguments: list[str]) -> None:
    ran = CliRunner().invoke(app, ["chaos", *arguments])
    assert isinstance(ran.exception, Refused)


@pytest.mark.parametrize(
    ("pulses", "found"),
    [
        ([_PULSE], ""),
        ([msgspec.structs.replace(_PULSE, open_ms=151.0)], "the valve was open for 151 ms"),
        ([_PULSE, msgspec.structs.replace(_PULSE, opened_ns=150_000_000)], "was shut for 100 ms"),
        (
            [msgspec.structs.replace(_PULSE, opened_ns=n * 1_900_000_000) for n in range(31)],
            "31 pulses in a minute",
        ),
    ],
)
def test_a_valve_beyond_its_limits_is_found(pulses: list[TruePulse], found: str) -> None:
    problems = list(checks.check_valve(pulses))
    assert bool(problems) == bool(found)
    assert found in "".join(problems)


def test_water_that_the_ledger_does_not_hold_is_found(tmp_path: Path) -> None:
    with open_record(tmp_path):
        pass
    assert not [*checks.check_day(tmp_path, [], 1000.0)]
    problems = [*checks.check_day(tmp_path, [_PULSE] * 4, 10.0)]
    assert problems[0] == "12 ul were given today and the ledger says 0 ul"
    assert problems[1] == "12 ul were given today and the limit is 10 ul"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, ""),
        ({"code": -11}, "exit code -11"),
        ({"code": -9, "done": ["0.10 s after Start: kill launch"]}, ""),
        ({"code": 70}, "exit code 70"),
        ({"output": "Traceback (most recent call last)"}, "a traceback"),
        ({"code": 1, "output": ""}, "it ended without a word"),
        ({"processes_left": ["python -m behavior.hardware"]}, "a process is left"),
        ({"locks_left": [f"sub-{SUBJECT}/.running"]}, "is still held"),
    ],
)
def test_a_session_that_ended_badly_is_found(
    change: dict[str, object], found: str, tmp_path: Path
) -> None:
    plan = SessionPlan((), (), "if open")
    ran = Ran(plan, 0, "the session has ended", tmp_path, tmp_path, [], [], [])
    problems = [*checks.check_end(msgspec.structs.replace(ran, **change))]
    assert bool(problems) == bool(found)
    assert found in "".join(problems)
