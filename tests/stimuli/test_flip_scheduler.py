"""The flip scheduler: flips one period apart, and drawing as late as possible."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stimuli.scene.flip_scheduler import FlipScheduler

MS = 1_000_000


def run(
    scheduler: FlipScheduler, drawings_ms: list[float], vblank: bool
) -> tuple[list[float], list[float]]:
    """Draw and flip on an ideal machine; return flip times and frame ages (ms)."""
    flips, ages = [], []
    now = 0
    for drawing_ms in drawings_ms:
        if scheduler.flip_due is not None:
            now = max(now, scheduler.draw_due())
        read = now
        now += round(drawing_ms * MS)
        scheduler.record_drawing(now - read)
        now += scheduler.wait_ns(now)
        if vblank:  # the swap waits for the next multiple of the period
            now = -(-now // scheduler.period_ns) * scheduler.period_ns
        scheduler.record_flip(now)
        flips.append(now / MS)
        ages.append((now - read) / MS)
    return flips, ages


@given(st.sampled_from([60.0, 120.0, 144.0]), st.booleans(), st.integers(0, 2**32 - 1))
def test_flips_are_a_period_apart_and_frames_are_fresh(hz: float, vblank: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    period_ms = 1000 / hz
    drawings = rng.uniform(0.1, 0.25, 1000) * period_ms
    flips, ages = run(FlipScheduler(hz, vblank), drawings.tolist(), vblank)
    steps = np.diff(flips)[200:]
    assert np.abs(steps - period_ms).max() < 0.01
    assert np.median(ages[500:]) < 0.25 * period_ms + 1.5


def test_one_slow_drawing_delays_one_flip_only() -> None:
    drawings = [3.0] * 300 + [40.0] + [3.0] * 300
    flips, ages = run(FlipScheduler(60.0, False), drawings, False)
    late = np.flatnonzero(np.diff(flips) > 25)
    assert late.tolist() == [299]
    assert np.median(ages[310:]) < 5.5


def test_drawings_longer_than_a_frame_follow_each_other_soon() -> None:
    flips, _ = run(FlipScheduler(60.0, False), [20.0] * 300, False)
    assert np.diff(flips)[200:].max() < 20.1


def test_without_vsync_slow_drawing_costs_freshness_only_where_necessary() -> None:
    flips, ages = run(FlipScheduler(60.0, False), [11.0] * 300, False)
    assert np.abs(np.diff(flips)[200:] - 1000 / 60).max() < 0.01
    assert max(ages[200:]) < 11.1
    flips, ages = run(FlipScheduler(60.0, False), [3.0, 3.0, 3.0, 14.0] * 100, False)
    assert np.median(ages[200:]) <= 1000 / 60 / 2
