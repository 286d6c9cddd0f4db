"""Every shipped task, for each of its cohorts, with simulated mice in virtual time."""

from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest

from behavior.task import Task
from behavior.trials.plan import TrialPlan
from rig.messages import Cue, Message, Position, Stop, TrialEnd, TrialStart, Valve, Wheel
from rig.settings.toml import read_toml
from tests.behavior.judging.refereed import (
    EAGER,
    JUST_OUTSIDE,
    NEVER_LICKS,
    check_sound,
    run,
    with_referee,
)
from tests.behavior.sessions import ROOT, S, check_trials, of, options, session

TASKS = {path.stem: path for path in (ROOT / "behavior" / "tasks").glob("*.toml")}
COHORTS = {name: read_toml(path)["cohorts"] for name, path in TASKS.items()}
OF_COHORTS = sorted((name, cohort) for name, some in COHORTS.items() for cohort in some)
DRY = {"unrewarded", "naive", "grating"}
SHORT = {
    "trials": 6,
    "grey_before_s": 0.5,
    "corridor_cm_s": 200.0,
    "gain": 4.0,
    "show_s": 2.0,
    "blank_s": 0.5,
    "grey_after_s": 0.5,
}


def _quick(name: str, cohort: str, **changes: Any) -> dict[str, Any]:
    """Return the settings of a file with short durations and lengths, without its triggers."""
    table = {**read_toml(TASKS[name]), "cohort": cohort, "triggers": [], **changes}
    quick = [_shorter(block, changes) for block in table.get("blocks", [])]
    return {**_shorter(table, changes), "grey_before_s": 0.5, "blocks": quick}


def _shorter(table: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    short = {key: value for key, value in SHORT.items() if key in table and key not in changes}
    return {**table, **short}


def _blocks(task: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**task, **block} for block in task.get("blocks") or [{}]]


def _run(quick: dict[str, Any], seed: int, mouse: dict[str, Any]) -> list[Message]:
    return run(with_referee(session(seed, mouse, {}, **quick)))


def _check_water(published: list[Message], quick: dict[str, Any]) -> None:
    """Assert that rewards came at most once per trial, where the task and cohort allow them."""
    trial: TrialStart | None = None
    position_m, cued, in_trial, wheel_t = 0.0, False, 0, 0
    for message in published:
        match message:
            case TrialStart():
                trial, cued, in_trial = message, False, 0
            case Wheel():
                wheel_t = message.t
            case Position():
                position_m = message.position_m
            case Cue():
                cued = True
            case Valve(refused=""):
                assert trial is not None
                assert quick["cohort"] in quick["water_for"]
                assert quick["cohort"] not in DRY
                block = _blocks(quick)[trial.block]
                assert trial.stimulus in block["rewarded"]
                assert (cued, trial.picture) != (False, "corridor") or not block.get("cue", True)
                if trial.picture == "corridor" and wheel_t >= message.t:
                    assert block.get("zone_from_m", 0.0) <= position_m < block["texture_m"] + 0.02
                in_trial += 1
                assert in_trial == 1
            case _:
                pass


@pytest.mark.parametrize(("name", "cohort"), OF_COHORTS)
def test_every_task_keeps_the_rules(name: str, cohort: str) -> None:
    quick = _quick(name, cohort)
    published = _run(quick, 3, EAGER)
    check_sound(published)
    check_trials(published)
    _check_water(published, quick)
    assert of(Stop, published)[0].reason == "all trials done"
    counts = Counter(start.block for start in of(TrialStart, published))
    assert counts == {n: block["trials"] for n, block in enumerate(_blocks(quick))}
    watered = cohort in quick["water_for"] and any(b.get("rewarded") for b in _blocks(quick))
    assert bool(of(Valve, published)) == watered


def test_running_training_gives_water_after_each_lap() -> None:
    published = _run(_quick("running_training", "task", gain=2.0), 3, NEVER_LICKS)
    cm = {message.t: message.cm for message in of(Wheel, published)}
    starts = of(TrialStart, published)
    laps = [(a, b) for a, b in pairwise(starts) if a.block == b.block]
    laps_m = [(cm[b.t] - cm[a.t]) / 100 for a, b in laps]
    assert laps_m == pytest.approx([(a.texture_m + a.grey_m) / 2 for a, _ in laps], abs=0.01)
    opened = [valve for valve in of(Valve, published) if not valve.refused]
    assert len(opened) == 5  # the guard refuses more after five rewards without a lick


def test_lick_training_rewards_licks_with_a_minimum_interval() -> None:
    published = _run(_quick("lick_training", "task", trials=20), 3, EAGER)
    valves, starts, ends = of(Valve, published), of(TrialStart, published), of(TrialEnd, published)
    assert len(valves) > 10
    assert all(valve.lick_t is not None for valve in valves)
    for valve in valves:
        trial = max(start.trial for start in starts if start.t <= valve.t)
        assert ends[trial].t - valve.t == pytest.approx(0.5 * S, abs=0.02 * S)


def test_habituation_moves_while_the_mouse_rests() -> None:
    published = _run(_quick("habituation", "naive"), 3, {"is": EAGER["is"], "run_cm_s": 0.001})
    places = [p.position_m for p in of(Position, published) if p.phase == "corridor"]
    assert max(places) > 3.9
    assert not of(Cue, published)
    assert not of(Valve, published)


def test_bars_are_shown_in_rounds_for_their_duration() -> None:
    published = _run(_quick("retinotopy", "naive", trials=12), 3, EAGER)
    starts = of(TrialStart, published)
    for first in range(0, 12, 4):
        assert len({start.stimulus for start in starts[first : first + 4]}) == 4
    shown = Counter((p.trial, p.phase) for p in of(Position, published) if p.trial >= 0)
    for trial in range(12):
        assert shown[trial, "picture"] == pytest.approx(2.0 / 0.005, abs=2)
        assert shown[trial, "grey"] == pytest.approx(0.5 / 0.005, abs=2)


def test_images_are_named_after_their_files() -> None:
    pictures: dict[str, Any] = {"picture": "image", "stimuli": [], "shares": [], "rewarded": []}
    files = {"images_folder": "files/pictures", "images_files": ["b.png", "a.jpg", "c.png"]}
    quick = options(**pictures, **files, order="rounds", trials=9, show_s=1.0)
    settings = msgspec.convert(quick, Task.Settings)
    plan, drawn = TrialPlan(settings), []
    for n in range(9):
        drawn.append(plan.draw_trial(n, 0).stimulus)
        plan.complete_trial()
    assert Counter(drawn) == {"a": 3, "b": 3, "c": 3}


@pytest.mark.parametrize(
    ("ends", "mouse", "reason"),
    [
        ({"water_ul": 9.0}, EAGER, "9 ul were given"),
        ({"disengaged_after": 3}, NEVER_LICKS, "no lick in 3 rewarded trials"),
        ({"minutes": 0.2}, EAGER, "time is up"),
    ],
)
def test_a_session_ends_at_its_limits(
    ends: dict[str, Any], mouse: dict[str, Any], reason: str
) -> None:
    published = _run({**_quick("train1", "task", trials=60), **ends}, 3, mouse)
    check_sound(published)
    assert of(Stop, published)[0].reason == reason
    assert len(of(TrialStart, published)) < 30


def test_after_misses_one_reward_is_passive() -> None:
    quick = _quick("train1", "task", rescue_after_misses=2, trials=16)
    published = _run(quick, 3, JUST_OUTSIDE)
    check_sound(published)
    rewarded = [start for start in of(TrialStart, published) if start.rewarded]
    assert [start.rescue for start in rewarded] == [n % 3 == 2 for n in range(len(rewarded))]
    assert len(of(Valve, published)) == sum(start.rescue for start in rewarded) >= 2


def test_cue_positions_are_uniform() -> None:
    plan = TrialPlan(msgspec.convert(options(trials=4000), Task.Settings))
    drawn = []
    for n in range(4000):
        drawn.append(plan.draw_trial(n, 0).cue_position_m or 0.0)
        plan.complete_trial()
    share = (np.sort(drawn) - 0.5) / 3.0
    # Kolmogorov-Smirnov test: one seed in a thousand exceeds 1.95 / sqrt(n)
    assert np.abs(share - (np.arange(4000) + 0.5) / 4000).max() < 1.95 / np.sqrt(4000)


def test_the_grating_cohorts_have_their_tasks() -> None:
    of_imaging = {name for name, cohort in OF_COHORTS if cohort == "grating"}
    assert {"gratings", "train1", "test1", "test2"} < of_imaging
    of_behavior = {name for name, cohort in OF_COHORTS if cohort == "grating_pretrained"}
    assert "pretraining_gratings" in of_behavior
    assert "gratings" not in of_behavior  # it has a cue, which behavior-only cohorts do not get
    quick = _quick("pretraining_gratings", "grating_pretrained")
    published = _run(quick, 3, EAGER)
    assert {s.stimulus for s in of(TrialStart, published)} == {"grating_45", "grating_135"}
    assert not of(Cue, published) and not of(Valve, published)
