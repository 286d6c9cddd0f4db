"""The running rule (forward distance in a window), and the motion of the corridor."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behavior.animals.recorded_mouse import read_recording
from behavior.trials.corridor import MAX_STEP_NS, Corridor, RunningDetector
from behavior.trials.task_settings import Block
from rig.settings.config import convert
from tests.behavior.sessions import SHARED

MS = 1_000_000
MICE = ["mouse1_day1", "mouse1_day5", "mouse3_day5"]
CM_PER_COUNT = 0.0135

paths = st.lists(st.tuples(st.integers(1, 2000), st.floats(-5, 5)), min_size=1, max_size=100)


def _summed(steps: list[tuple[int, float]]) -> list[tuple[int, float]]:
    t, cm = 0, 0.0
    path = []
    for ms, forward_cm in steps:
        t, cm = t + ms * MS, cm + forward_cm
        path.append((t, cm))
    return path


def _corridor(**options: Any) -> Corridor:
    return Corridor(convert({"stimuli": ["leaf1"], **options}, Block, "block"), window_ms=100)


def _follow(path: list[tuple[int, float]], **options: Any) -> tuple[Corridor, list[bool]]:
    """Return a corridor that followed the wheel positions (ns, cm), and when it moved."""
    running, corridor = RunningDetector(100, 6, 6), _corridor(motion="gain", **options)
    moved = []
    for t, cm in path:
        running.update(t, cm)
        moved.append(corridor.advance(t, running, True))
    return corridor, moved


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
    corridor, resting = _corridor(motion="always"), RunningDetector(100, 6, 6)
    t = newest = 0
    corridor.advance(0, resting, False)
    for ms, in_trial in steps:
        t += ms * MS
        before_m = corridor.position_m
        assert corridor.advance(t, resting, in_trial) is in_trial
        passed_ns = min(max(0, t - newest), MAX_STEP_NS) if in_trial else 0
        newest = max(newest, t)
        assert corridor.position_m - before_m == pytest.approx(0.6 * passed_ns / 1e9)


@pytest.mark.parametrize(("cm_s", "moves"), [(3, False), (30, True)])
def test_with_motion_running_the_corridor_moves_only_while_the_mouse_runs(
    cm_s: float, moves: bool
) -> None:
    running, corridor = _run(cm_s, 0.5), _corridor(motion="running")
    corridor.advance(0, running, True)
    assert corridor.advance(100 * MS, running, True) is moves
    assert corridor.position_m == pytest.approx(0.06 if moves else 0.0)


@given(paths, st.sampled_from([0.5, 1.0, 2.0]))
def test_with_a_gain_the_corridor_covers_the_net_distance_of_the_mouse(
    steps: list[tuple[int, float]], gain: float
) -> None:
    path = _summed(steps)
    corridor, _ = _follow(path, gain=gain)
    farthest_cm = max(cm for _, cm in path) - path[0][1]
    assert corridor.position_m == pytest.approx(farthest_cm / 100 * gain, abs=1e-9)


@given(paths, st.sampled_from([0.5, 1.0, 2.0]))
def test_with_gain_distance_forward_backward_steps_count_as_zero(
    steps: list[tuple[int, float]], gain: float
) -> None:
    path = _summed(steps)
    corridor, _ = _follow(path, gain=gain, gain_distance="forward")
    forward_cm = sum(max(0.0, b - a) for (_, a), (_, b) in pairwise(path))
    assert corridor.position_m == pytest.approx(forward_cm / 100 * gain, abs=1e-9)


def test_a_wheel_that_rocks_at_rest_does_not_move_the_corridor() -> None:
    path = [
        (ms * MS, CM_PER_COUNT * round(15 * np.sin(4 * np.pi * ms / 1000))) for ms in range(60_001)
    ]
    net, moved = _follow(path)
    assert net.position_m == pytest.approx(15 * CM_PER_COUNT / 100)
    assert not any(moved[300:])
    forward, moved = _follow(path, gain_distance="forward")
    assert forward.position_m / 60 == pytest.approx(0.0081, rel=0.01)  # 0.8 cm/s
    assert np.mean(moved) > 0.5


def test_a_corridor_with_a_gain_moves_until_a_window_after_its_last_step() -> None:
    path = [(ms * MS, 0.03 * min(ms, 1000)) for ms in range(1300)]
    _, moved = _follow(path)
    assert moved == [0 < ms < 1100 for ms in range(1300)]


def test_backward_steps_outside_a_trial_are_not_paid_back() -> None:
    running, corridor = RunningDetector(100, 6, 6), _corridor(motion="gain")
    for t, cm, in_trial in [(0, 0.0, False), (1, -50.0, False), (2, -49.0, True)]:
        running.update(t * MS, cm)
        corridor.advance(t * MS, running, in_trial)
    assert corridor.position_m == pytest.approx(0.01)


@pytest.mark.parametrize("name", MICE)
def test_the_corridor_of_a_recorded_mouse_covers_its_net_distance(name: str) -> None:
    file = SHARED / "mouse_vr" / f"{name}.csv.gz"
    if not file.is_file():
        pytest.skip(f"the recordings are not here: there is no {file}")
    mouse = read_recording(file)
    path = list(zip(mouse.t.tolist(), (CM_PER_COUNT * mouse.counts).tolist(), strict=True))
    net_m = CM_PER_COUNT * float(mouse.counts.max()) / 100
    net, _ = _follow(path)
    forward, _ = _follow(path, gain_distance="forward")
    excess = forward.position_m / net_m - 1
    print(f"{name}: net {net_m:.2f} m, forward {forward.position_m:.2f} m, {excess:+.1%}")
    assert net.position_m == pytest.approx(net_m, abs=1e-6)
    assert excess > 0.02
