"""Behaviour measures agree with their definitions, written again in plain loops over numpy."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.session.lick_metrics import (
    by_position,
    counted,
    edges,
    first_licks,
    performance,
    responses,
    running_share,
    speed_by_position,
)

MODES = ("passive", "active", "none")
SPEED_M_S = 0.6


def _session(seed: int, trials: int, cueless: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make trials of 10 s back to back, run at 60 cm/s from the start, and licks anywhere."""
    rng = np.random.default_rng(seed)
    start_s = 5.0 + 10.0 * np.arange(trials)
    cue_m = np.full(trials, np.nan) if cueless else rng.uniform(0.5, 3.5, trials)
    rewarded = rng.random(trials) < 0.5
    table = pd.DataFrame(
        {
            "trial": np.arange(trials),
            "picture": "corridor",
            "stimulus": np.where(rewarded, "leaf1", rng.choice(["circle1", "leaf2"], trials)),
            "rewarded": rewarded,
            "outcome": rng.choice(["done", "aborted"], trials, p=[0.8, 0.2]),
            "start_s": start_s,
            "texture_m": rng.choice([3.0, 4.0], trials),
            "reward_mode": rng.choice(MODES, trials),
            "reward_delay_ms": rng.choice([0.0, 300.0, 1000.0], trials),
            "drawn_cue_m": cue_m,
            "cue_s": start_s + cue_m / SPEED_M_S,
        }
    )
    lick_s = np.sort(rng.uniform(0.0, start_s[-1] + 10.0, rng.integers(0, 4 * trials)))
    trial = np.floor((lick_s - 5.0) / 10.0).astype(np.int64)
    place_m = np.where(trial < 0, np.nan, (lick_s - 5.0) % 10.0 * SPEED_M_S)
    licks = pd.DataFrame({"t_s": lick_s, "trial": np.maximum(trial, -1), "position_m": place_m})
    return table, licks


def _responded(trial: Any, t_s: Any, m: Any) -> bool:
    """Item 7 of the study's measures, for one trial, lick by lick."""
    for lick_s, lick_m in zip(t_s, m, strict=True):
        if math.isnan(trial.drawn_cue_m):
            if 20 <= lick_m * 10 < 40:
                return True
        elif trial.reward_mode == "passive":
            if trial.start_s <= lick_s <= trial.cue_s + trial.reward_delay_ms / 1000:
                return True
        elif lick_m < trial.texture_m:
            return True
    return False


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 260), st.booleans())
def test_performance_agrees_with_its_definition(seed: int, trials: int, cueless: bool) -> None:
    table, licks = _session(seed, trials, cueless)
    hits: dict[bool, list[bool]] = {True: [], False: []}
    seen = 0
    for trial in table.itertuples():
        if trial.outcome != "done" or (cueless and seen == 200):
            continue
        seen += 1
        own = licks[licks.trial == trial.trial]
        hits[bool(trial.rewarded)].append(
            _responded(trial, own.t_s.to_numpy(), own.position_m.to_numpy())
        )
    found = performance(table, licks)
    assert (found.rewarded.responses, found.rewarded.trials) == (sum(hits[True]), len(hits[True]))
    assert (found.other.responses, found.other.trials) == (sum(hits[False]), len(hits[False]))
    if hits[True] and hits[False]:
        expected = np.mean(hits[True]) - np.mean(hits[False])
        assert found.difference == pytest.approx(expected, abs=1e-12)
    else:
        assert math.isnan(found.difference)
    assert sum(rate.trials for rate in found.by_stimulus.values()) == seen


def test_aborted_and_cut_off_trials_and_other_pictures_do_not_count() -> None:
    table, licks = _session(1, 6, cueless=False)
    table["outcome"] = ["done", "aborted", "nan", "done", "done", "done"]
    table.loc[4, "picture"] = "bar"
    assert counted(table).trial.tolist() == [0, 3, 5]
    assert performance(table, licks).rewarded.trials + performance(table, licks).other.trials == 3


def test_in_a_session_without_cues_the_first_200_completed_trials_count() -> None:
    for cueless, expected in ((True, 200), (False, 230)):
        table, _ = _session(1, 231, cueless)
        table["outcome"] = ["aborted", *["done"] * 230]
        assert counted(table).trial.tolist() == list(range(1, expected + 1))


def test_a_lick_after_the_passive_water_is_not_a_response() -> None:
    table, _ = _session(1, 2, cueless=False)
    table["reward_mode"], table["reward_delay_ms"], table["drawn_cue_m"] = "passive", 500.0, 1.0
    table["cue_s"] = table.start_s + 2.0
    for late_s, expected in ((2.4, True), (2.5, True), (2.6, False)):
        lick = pd.DataFrame({"t_s": [5.0 + late_s], "trial": [0], "position_m": [1.5]})
        assert responses(table, lick).tolist() == [expected, False]


def test_a_session_without_licks_or_trials_has_no_responses() -> None:
    table, licks = _session(1, 8, cueless=False)
    assert not responses(table, licks.head(0)).any()
    assert np.isnan(first_licks(table, licks.head(0))).all()
    nothing = performance(table.head(0), licks)
    assert (nothing.by_stimulus, math.isnan(nothing.difference)) == ({}, True)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40))
def test_first_licks_are_the_earliest_of_each_trial(seed: int, trials: int) -> None:
    table, licks = _session(seed, trials, cueless=False)
    for trial, first_m in zip(table.trial, first_licks(table, licks), strict=True):
        own = licks[licks.trial == trial]
        expected = own.position_m.iloc[own.t_s.argmin()] if len(own) else np.nan
        np.testing.assert_equal(first_m, expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 300))
def test_speed_by_position_is_the_mean_of_each_trials_samples_in_each_bin(
    seed: int, samples: int
) -> None:
    rng = np.random.default_rng(seed)
    position = pd.DataFrame(
        {
            "trial": rng.integers(-1, 5, samples),
            "position_m": rng.integers(0, 600, samples) / 100 + 0.005,
            "speed_cm_s": rng.uniform(0, 40, samples),
        }
    )
    trials = pd.DataFrame({"trial": [3, 1]})
    found = speed_by_position(position, trials, 6.0)
    assert found.shape == (2, 60)
    for row, trial in enumerate(trials.trial):
        for at in range(60):
            inside = (position.trial == trial) & (position.position_m // 0.1 == at)
            expected = position.speed_cm_s[inside].mean()
            np.testing.assert_allclose(found[row, at], expected, rtol=1e-12)


def test_counts_by_position_are_a_trial() -> None:
    found = by_position(np.array([0.05, 0.06, 1.31, 5.99, np.nan]), 4, edges(6.0))
    assert found.nonzero()[0].tolist() == [0, 13, 59]
    assert found[[0, 13, 59]].tolist() == [0.5, 0.25, 0.25]
    assert np.isnan(by_position(np.array([]), 0, edges(6.0))).all()


def test_a_running_rate_uses_only_earlier_trials() -> None:
    hits = np.array([True, False, True, True, False])
    assert running_share(hits, 2).tolist() == [1.0, 0.5, 0.5, 1.0, 0.5]
    assert running_share(hits, 99).tolist() == [1.0, 0.5, 2 / 3, 0.75, 0.6]
    assert running_share(hits[:0], 3).size == 0
