"""After any fault in the sessions of an animal, no message, water, lock or process is left over."""

from pathlib import Path

import pytest

from rig.cli.chaos.plan import make_plan
from rig.cli.chaos.run_plan import carry_out
from tests.live import Live

__all__ = ["Live"]  # marks these tests as sessions


@pytest.mark.parametrize("seed", range(1, 6))
def test_all_checks_hold_after_the_plan_of_a_seed(seed: int, tmp_path: Path) -> None:
    plan = make_plan(seed)
    problems = carry_out(plan, tmp_path / "chaos")
    assert not problems, "\n".join([f"rig chaos --seed {seed}", str(plan), *problems])


def test_a_seed_always_gives_the_same_plan() -> None:
    plans = [str(make_plan(seed)) for seed in range(1, 101)]
    assert plans == [str(make_plan(seed)) for seed in range(1, 101)]
    assert len(set(plans)) == 100
