"""The running rule (forward path over a window), and the motion of the corridor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behavior.trials.corridor import MAX_STEP_NS, Corridor, RunningDetector

MS = 1_000_000

paths = st.lists(st.tuples(st.integers(1, 2000), st.floats(-5, 5)), min_size=1, max_size=100)


def _summed(steps: list[tuple[int, float]]) -> list[tuple[int, float]]:
    t, cm = 0, 0.0
    path = []
    for ms, forward_cm in steps:
        t, cm = t + ms * MS, cm + forward_cm
        path.append((t, cm))
    return path


def _run(
    cm_s: float, seconds: float, window_ms: float = 100, stop_cm_s: float = 6
) -> RunningDetector:
    running = RunningDetector(window_ms, 6, stop_cm_s)
    for ms in range(int(seconds * 1000) + 1):
        running.update(ms * MS, cm_s * ms / 1000)
    return running


@pytest.mark.parametrize(("cm_s", "moving"), [(0, False), (5.9, False), (6.1, True), (40, True)])
def test_a_mouse_runs_above_the_threshold(cm_s: float, moving: bool) -> None:
    running = _run(cm_s, 0.5)
    assert running.speed_cm_s == pytest.approx(cm_s)
    assert running.is_running is moving


def test_backward_steps_count_as_zero() -> None:
    running = _run(-50, 0.5)
    assert (running.speed_cm_s, running.is_running) == (0.0, False)


def test_running_stops_only_below_the_lower_threshold() -> None:
    running = _run(10, 0.5, stop_cm_s=3)
    path_cm = 5.0
    for ms in range(501, 801):
        path_cm += 0.004
        running.update(ms * MS, path_cm)
    assert running.speed_cm_s == pytest.approx(4)
    assert running.is_running
    for ms in range(801, 1001):
        path_cm += 0.002
        running.update(ms * MS, path_cm)
    assert not running.is_running


def test_a_step_after_a_gap_is_spread_over_the_gap() -> None:
    running = RunningDetector(100, 6, 6)
    running.update(0, 0.0)
    running.update(1000 * MS, 20.0)
    assert running.speed_cm_s == pytest.approx(20)


@given(paths)
def test_speed_is_the_forward_path_of_the_last_window(steps: list[tuple[int, float]]) -> None:
    path = _summed(steps)
    running = RunningDetector(100, 6, 6)
    times = np.array([t for t, _ in path])
    steps_cm = np.diff([cm for _, cm in path], prepend=path[0][1])
    forward_cm = np.cumsum(np.maximum(steps_cm, 0.0))
    for row, (t, cm) in enumerate(path):
        running.update(t, cm)
        before_cm = np.interp(t - 100 * MS, times[: row + 1], forward_cm[: row + 1])
        assert running.speed_cm_s == pytest.approx((forward_cm[row] - before_cm) / 0.1, abs=1e-6)


@given(st.lists(st.tuples(st.integers(-50, 400), st.booleans()), max_size=100))
def test_the_corridor_moves_at_its_speed_and_never_jumps(steps: list[tuple[int, bool]]) -> None:
    corridor, stands = Corridor("always", 60, 1), RunningDetector(100, 6, 6)
    t = newest = 0
    corridor.advance(0, stands, False)
    for ms, free in steps:
        t += ms * MS
        before_m = corridor.position_m
        assert corridor.advance(t, stands, free) is free
        passed_ns = min(max(0, t - newest), MAX_STEP_NS) if free else 0
        newest = max(newest, t)
        assert corridor.position_m - before_m == pytest.approx(0.6 * passed_ns / 1e9)


@pytest.mark.parametrize(("cm_s", "moves"), [(3, False), (30, True)])
def test_with_motion_running_the_corridor_moves_only_while_the_mouse_runs(
    cm_s: float, moves: bool
) -> None:
    running, corridor = _run(cm_s, 0.5), Corridor("running", 60, 1)
    corridor.advance(0, running, True)
    assert corridor.advance(100 * MS, running, True) is moves
    assert corridor.position_m == pytest.approx(0.06 if moves else 0.0)


@given(paths, st.sampled_from([0.5, 1.0, 2.0]))
def test_with_a_gain_the_corridor_goes_as_far_as_the_mouse_came_forward(
    steps: list[tuple[int, float]], gain: float
) -> None:
    running, corridor = RunningDetector(100, 6, 6), Corridor("gain", 60, gain)
    way_cm, last_cm = 0.0, None
    for t, cm in _summed(steps):
        running.update(t, cm)
        corridor.advance(t, running, True)
        way_cm += 0.0 if last_cm is None else max(0.0, cm - last_cm)
        last_cm = cm
    assert corridor.position_m == pytest.approx(way_cm / 100 * gain)
