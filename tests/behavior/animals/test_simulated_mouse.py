"""The simulated mouse runs in bouts, licks in bursts, and learns."""

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from behavior.animals.simulated_mouse import SimulatedMouse
from rig.messages import Cue, Start, TrialStart, Valve
from tests.behavior.sessions import MS, S

MINUTE_MS = 60_000
TRIAL_S = 12


def _mouse(seed: int = 1, **parameters: Any) -> SimulatedMouse:
    mouse = SimulatedMouse(msgspec.convert(parameters, SimulatedMouse.Settings))
    mouse.open()
    mouse.handle(Start(0, {"seed": seed}))
    return mouse


def _quiet(seed: int = 1, **parameters: Any) -> SimulatedMouse:
    return _mouse(seed, idle_bursts_per_min=0.0, **parameters)


def _trial(rewarded: bool, trial: int = 0, stimulus: str = "") -> TrialStart:
    name = stimulus or ("leaf1" if rewarded else "circle1")
    return TrialStart(trial * TRIAL_S * S, trial, name, None, rewarded, 4.0, 2.0, 2.0, "active", 0)


def _speeds_cm_s(mouse: SimulatedMouse, minutes: float = 3) -> NDArray[np.float64]:
    """Return the speed in steps of 100 ms, cm/s."""
    counts = [mouse.counts(ms * MS) for ms in range(0, round(minutes * MINUTE_MS), 100)]
    speeds: NDArray[np.float64] = np.diff(np.array(counts, np.float64)) * 0.0135 / 0.1
    return speeds


def test_the_mouse_does_nothing_before_the_session() -> None:
    mouse = SimulatedMouse(msgspec.convert({}, SimulatedMouse.Settings))
    assert (mouse.counts(S), mouse.licks(S)) == (0, [])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_the_mouse_runs_most_of_the_time_and_rests_at_times(seed: int) -> None:
    speed_cm_s = _speeds_cm_s(_mouse(seed))
    assert 0.7 < (speed_cm_s > 6).mean() < 0.99
    assert speed_cm_s.min() < 2
    assert speed_cm_s.max() < 70


def test_the_mouse_runs_in_bouts_of_varying_speed() -> None:
    speed_cm_s = _speeds_cm_s(_mouse(3), minutes=20)
    runs = speed_cm_s > 6
    turns = np.flatnonzero(np.diff(runs.astype(int)))
    lengths_s = np.diff(turns) * 0.1
    bouts_s, rests_s = sorted((lengths_s[0::2], lengths_s[1::2]), key=np.median)[::-1]
    assert 4 < np.median(bouts_s[bouts_s > 1]) < 12
    assert 0.5 < np.median(rests_s) < 2
    inside = runs[:-5] & runs[5:]
    wander_cm_s = (speed_cm_s[5:] - speed_cm_s[:-5])[inside]
    assert 2 < wander_cm_s.std() < 9
    steady = _speeds_cm_s(_mouse(3, stride_sd_cm_s=0.0, run_sd_cm_s=0.0), minutes=5)
    assert np.median(np.abs(steady[steady > 6] - 25)) < 0.2


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_the_same_seed_gives_the_same_mouse(seed: int) -> None:
    mice = [_mouse(seed), _mouse(seed), _mouse(seed + 1)]
    lives = [[(m.counts(t * S), tuple(m.licks(t * S))) for t in range(60)] for m in mice]
    assert lives[0] == lives[1] != lives[2]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 400))
def test_behavior_does_not_depend_on_the_polling_rate(seed: int, every_ms: int) -> None:
    often, rarely = (_mouse(seed, idle_bursts_per_min=20.0) for _ in range(2))
    licks = [t for ms in range(0, 20_000, every_ms) for t in often.licks(ms * MS)]
    paths = [often.counts(ms * MS) for ms in range(0, 20_000, every_ms)]
    assert licks + often.licks(20 * S) == rarely.licks(20 * S)
    assert abs(often.counts(20 * S) - rarely.counts(20 * S)) <= 1
    assert paths == sorted(paths)


def test_the_mouse_licks_in_bursts_of_six_to_eight_hz() -> None:
    mouse = _quiet()
    for drop in range(100):
        mouse.handle(Valve(drop * 5 * S, drop, "centre", 60.0, 3.0))
        mouse.licks((drop * 5 + 4) * S)
    mouse.handle(Valve(500 * S, 101, "centre", 60.0, 3.0))
    licks = np.array(mouse.licks(510 * S))
    gaps_ms = np.diff(licks) / MS
    assert 10 < len(licks) < 18
    assert 6 < 1000 / gaps_ms.mean() < 8
    assert gaps_ms.min() >= 72.5


def _incarnation(
    mouse: SimulatedMouse, trials: int, water: bool
) -> list[tuple[bool, int, list[int]]]:
    """Simulate trials with a cue after 4 s; return (rewarded, start, licks) of each.

    With water, the first lick after the cue of a rewarded corridor is rewarded.
    """
    lived = []
    for trial in range(trials):
        start = _trial(trial % 2 == 0, trial)
        mouse.licks(start.t)
        mouse.handle(start)
        licks = mouse.licks(start.t + 4 * S)
        mouse.handle(Cue(start.t + 4 * S, trial, 2.0))
        for ms in range(4000, 7000, 20):
            new = mouse.licks(start.t + ms * MS)
            licks += new
            if new and start.rewarded and water:
                mouse.handle(Valve(new[0], trial, "centre", 60.0, 3.0, new[0]))
                break
        licks += mouse.licks(start.t + (TRIAL_S * S) - 1)
        lived.append((start.rewarded, start.t, licks))
    return lived


def _rate(lived: list[tuple[bool, int, list[int]]], rewarded: bool) -> float:
    """Return the fraction of corridors with a lick."""
    return float(np.mean([bool(licks) for of, _, licks in lived if of == rewarded]))


def test_a_trained_mouse_licks_in_rewarded_corridors_and_hardly_in_others() -> None:
    lived = _incarnation(_quiet(), 200, water=True)
    assert _rate(lived, True) > 0.9
    assert _rate(lived, False) < 0.15


def test_a_trained_mouse_licks_before_the_cue_and_at_once_after_it() -> None:
    lived = [
        (t, licks) for rewarded, t, licks in _incarnation(_quiet(), 200, water=True) if rewarded
    ]
    before = [any(lick < t + 4 * S for lick in licks) for t, licks in lived]
    assert 0.4 < np.mean(before) < 0.8
    first_s = [min(k for k in licks if k >= t + 4 * S) - t for t, licks in lived if licks]
    assert 0.0 <= np.median(first_s) / S - 4 < 0.4
    only_cue = _incarnation(_quiet(anticipates=0.0), 50, water=True)
    latency_s = np.array([licks[0] - t for rewarded, t, licks in only_cue if rewarded and licks])
    assert latency_s.min() / S >= 4.15
    assert np.percentile(latency_s, 90) / S < 4.5


def test_an_untrained_mouse_licks_in_both_corridors_alike() -> None:
    lived = _incarnation(_quiet(trained=0.0, learning_rate=0.0), 600, water=True)
    rates = [_rate(lived, rewarded) for rewarded in (True, False)]
    assert max(rates) - min(rates) < 0.15
    assert 0.3 < np.mean(rates) < 0.75


def test_an_untrained_mouse_learns_from_outcomes() -> None:
    lived = _incarnation(_quiet(trained=0.0, learning_rate=0.1), 300, water=True)
    early, late = lived[:40], lived[-100:]
    assert _rate(late, True) - _rate(late, False) > 0.7
    assert _rate(early, True) - _rate(early, False) < 0.6


def test_without_water_expectations_decline() -> None:
    lived = _incarnation(_quiet(2, learning_rate=0.05), 300, water=False)
    assert _rate(lived[:10], True) > 0.7
    assert _rate(lived[-100:], True) < 0.2


def test_an_unrewarded_mouse_hardly_licks() -> None:
    mouse = _quiet()
    licked = 0
    for trial in range(100):
        mouse.handle(_trial(False, trial, "leaf1"))
        licked += bool(mouse.licks((trial * TRIAL_S + 10) * S))
    assert licked < 15


def test_the_mouse_drinks_rewards_and_slows_down() -> None:
    mouse = _quiet(rest_s=0.001, stride_sd_cm_s=0.0, run_sd_cm_s=0.0)
    mouse.handle(Valve(10 * S, 1, "centre", 0.0, 0.0, None, "refused"))
    assert mouse.licks(15 * S) == []
    way = [mouse.counts(t * S) for t in (18, 20)]
    mouse.handle(Valve(20 * S, 2, "centre", 60.0, 3.0))
    licks = mouse.licks(30 * S)
    assert 10 < len(licks) < 20
    assert 20.05 < licks[0] / S < 20.3
    way += [mouse.counts(22 * S)]
    first, second = np.diff(way)
    assert 0.5 < second / first < 0.8


def test_a_sated_mouse_stops_working() -> None:
    mouse = _quiet(sated_ul=30.0)
    lived = _incarnation(mouse, 100, water=True)
    assert sum(bool(licks) for rewarded, _, licks in lived if rewarded) in range(10, 13)
    assert not any(licks for _, _, licks in lived[30:])


def test_licks_come_once_and_in_order() -> None:
    licks = [t for _, _, licks in _incarnation(_mouse(5), 100, water=True) for t in licks]
    assert all(b - a >= 72 * MS for a, b in pairwise(licks))
