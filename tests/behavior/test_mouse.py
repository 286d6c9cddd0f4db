"""The simulated mouse: seeded, runs most of the time, and expects what it has learned."""

from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.mouse import SimulatedMouse
from rig.messages import Cue, Start, TrialStart, Valve
from tests.behavior.sessions import MS, S

MINUTE_MS = 60_000


def _mouse(seed: int = 1, **parameters: Any) -> SimulatedMouse:
    mouse = SimulatedMouse(msgspec.convert(parameters, SimulatedMouse.Settings))
    mouse.open()
    mouse.hear(Start(0, {"seed": seed}))
    return mouse


def _trial(rewarded: bool) -> TrialStart:
    return TrialStart(0, 0, "leaf1", None, rewarded, 4.0, 2.0, 1.0, "active", 0.0)


def test_before_the_session_it_does_nothing() -> None:
    mouse = SimulatedMouse(msgspec.convert({}, SimulatedMouse.Settings))
    assert (mouse.counts(S), mouse.licks(S)) == (0, [])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_it_runs_most_of_the_time_and_stands_at_times(seed: int) -> None:
    mouse = _mouse(seed)
    counts = [mouse.counts(ms * MS) for ms in range(0, 3 * MINUTE_MS, 100)]
    speed_cm_s = [(b - a) * 0.0135 / 0.1 for a, b in pairwise(counts)]
    running = sum(speed > 6 for speed in speed_cm_s) / len(speed_cm_s)
    assert 0.7 < running < 0.99
    assert min(speed_cm_s) < 2
    assert max(speed_cm_s) < 60


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_the_same_seed_is_the_same_mouse_and_another_is_not(seed: int) -> None:
    mice = [_mouse(seed), _mouse(seed), _mouse(seed + 1)]
    lives = [[(m.counts(t * S), tuple(m.licks(t * S))) for t in range(60)] for m in mice]
    assert lives[0] == lives[1] != lives[2]


def _licks_after_cue(rewarded: bool, cues: int = 200) -> int:
    mouse = _mouse(idle_bursts_per_min=0.0)
    licked = 0
    for cue in range(1, cues + 1):
        t = cue * 10 * S
        mouse.hear(_trial(rewarded))
        mouse.hear(Cue(t, 0, 1.0))
        licked += bool(mouse.licks(t + 800 * MS))
        mouse.licks(t + 9 * S)
    return licked


def test_it_licks_after_the_cue_of_nearly_every_rewarded_corridor_and_of_no_other() -> None:
    assert _licks_after_cue(rewarded=True) > 180
    assert _licks_after_cue(rewarded=False) == 0


def test_it_drinks_what_it_gets_and_nothing_else() -> None:
    mouse = _mouse(idle_bursts_per_min=0.0)
    mouse.hear(Valve(10 * S, 1, "centre", 0.0, 0.0, None, "refused"))
    assert mouse.licks(15 * S) == []
    mouse.hear(Valve(20 * S, 2, "centre", 60.0, 3.0))
    licks = mouse.licks(30 * S)
    assert 10 < len(licks) < 20
    gaps_ms = [(b - a) / MS for a, b in pairwise(licks)]
    assert min(gaps_ms) > 120
    assert max(gaps_ms) < 160
