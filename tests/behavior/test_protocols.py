"""Every shipped protocol, for every cohort it is for, run by simulated mice in virtual time."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.facts import Block, Facts
from behavior.plan import Plan
from rig.config import read_toml
from rig.messages import (
    Cue,
    Message,
    Order,
    Position,
    Stop,
    TrialEnd,
    TrialStart,
    Valve,
)
from tests.behavior.refereed import EAGER, JUST_OUTSIDE, NEVER_LICKS, check_sound, refereed, run
from tests.behavior.sessions import MS, ROOT, S, TRAIN1, check_trials, of

TASKS = sorted((ROOT / "behavior" / "tasks").glob("*.toml"))
COHORTS = [(path, cohort) for path in TASKS for cohort in read_toml(path)["cohorts"]]
NEVER_WATERED = {"unrewarded", "naive", "grating"}


def _quick(path: Path, cohort: str, trials: int) -> dict[str, Any]:
    """Return the facts of a file, with all that takes long made short."""
    facts = {**dict.fromkeys(TRAIN1), **read_toml(path)}
    facts = {key: value for key, value in facts.items() if value is not None}
    quick = [_quickly(table, trials) for table in facts.get("blocks", [])]
    return {**_quickly(facts, trials), "blocks": quick, "cohort": cohort, "grey_after_s": 0.5}


def _quickly(table: dict[str, Any], trials: int) -> dict[str, Any]:
    short = {
        "trials": trials,
        "grey_before_s": 0.5,
        "corridor_cm_s": 200.0,
        "show_s": 2.0,
        "blank_s": 0.5,
        "minutes": 3.0,
    }
    return {**table, **{key: value for key, value in short.items() if key in table}}


def _session(path: Path, cohort: str, seed: int, mouse: dict[str, Any]) -> list[Message]:
    facts = _quick(path, cohort, 6)
    plain = {key: facts.get(key, _default(key)) for key in {*TRAIN1, *facts}}
    return run(refereed(seed, mouse, **plain))


def _default(key: str) -> Any:
    """Return the value of a key that train1 has and another file leaves out."""
    default = {field: value for field, value in zip(*_defaults(), strict=True)}[key]
    return list(default) if isinstance(default, tuple) else default


def _defaults() -> tuple[list[str], list[Any]]:
    block = Block()
    names = list(Block.__struct_fields__)
    return [*names, "cohorts"], [*[getattr(block, name) for name in names], ["task"]]


@pytest.mark.parametrize(
    ("path", "cohort"), COHORTS, ids=[f"{path.stem}-{cohort}" for path, cohort in COHORTS]
)
@pytest.mark.parametrize("mouse", [EAGER], ids=["eager"])
def test_every_protocol_keeps_the_rules(
    path: Path, cohort: str, mouse: dict[str, Any]
) -> None:
    for seed in (1, 2):
        said = _session(path, cohort, seed, mouse)
        check_sound(said)
        check_trials(said)
        _check_water(said, read_toml(path), cohort)
