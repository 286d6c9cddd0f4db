"""Published deconvolved values are final, and equal OASIS as written again from its paper."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.extraction.baseline import Baseline
from analysis.extraction.deconvolution import MOST_LAG, Deconvolution

TAU_S = 0.75


def oasis(values: NDArray[np.float64], times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The whole-trace algorithm: pools of (value, weight, start), merged while they violate."""
    pools: list[list[float]] = []
    for at, value in enumerate(values):
        pools.append([value, 1.0, at])
        while len(pools) > 1:
            (v0, w0, s0), (v1, w1, s1) = pools[-2:]
            left = np.exp((times_s[int(s0)] - times_s[int(s1)]) / TAU_S)
            if v0 * left <= v1:
                break
            weight = w0 + w1 * left**2
            pools[-2:] = [[(v0 * w0 + v1 * w1 * left) / weight, weight, s0]]
    spikes = np.zeros(values.size)
    for (v0, _, s0), (v1, _, s1) in pairwise(pools):
        spikes[int(s1)] = v1 - v0 * np.exp((times_s[int(s0)] - times_s[int(s1)]) / TAU_S)
    return spikes


def calcium(
    rng: np.random.Generator, frames: int, noise: float, rate: float = 0.15
) -> NDArray[np.float32]:
    spikes = rng.poisson(rate, frames) * rng.uniform(50, 200)
    trace = np.zeros(frames)
    for at in range(1, frames):
        trace[at] = trace[at - 1] * np.exp(-1 / (3 * TAU_S)) + spikes[at]
    return (trace + rng.normal(0, noise, frames)).astype(np.float32)


def streamed(
    traces: NDArray[np.float32], times_s: NDArray[np.float64], lag: int
) -> NDArray[np.float32]:
    """Return the values of each frame, then those of the end: (frames, cells)."""
    deconvolution = Deconvolution(traces.shape[0], TAU_S, lag)
    values_by_frame = [
        deconvolution.add(np.ascontiguousarray(v), t)
        for v, t in zip(traces.T, times_s, strict=True)
    ]
    assert all(values is None for values in values_by_frame[:lag])
    assert not any(values is None for values in values_by_frame[lag:])
    return np.array([*values_by_frame[lag:], *deconvolution.rest()][: len(values_by_frame)])


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    lag=st.integers(0, MOST_LAG),
    frames=st.integers(1, 90),
    noise=st.sampled_from([0.0, 5.0, 60.0]),
    uneven=st.booleans(),
)
def test_a_value_is_that_of_the_whole_algorithm_on_all_frames_up_to_lag_later(
    seed: int, lag: int, frames: int, noise: float, uneven: bool
) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.choice([1 / 3, 2 / 3, 600.0], frames, p=[0.8, 0.15, 0.05])
    times_s = np.cumsum(steps) if uneven else np.arange(frames) / 3
    traces = np.array([calcium(rng, frames, noise) for _ in range(3)])
    got = streamed(traces, times_s, lag)
    for cell, trace in enumerate(traces.astype(np.float64)):
        for at in range(frames):
            upto = min(at + lag + 1, frames)
            wanted = oasis(trace[:upto], times_s[:upto])[at]
            assert got[at, cell] == pytest.approx(wanted, abs=0.02)


def test_at_lag_five_the_values_are_nearly_those_that_the_whole_trace_gives() -> None:
    rng = np.random.default_rng(5)
    times_s = np.arange(900) / 3
    traces = np.array([calcium(rng, 900, 20.0) for _ in range(40)])
    got = streamed(traces, times_s, 5).T
    whole = np.array([oasis(trace.astype(np.float64), times_s) for trace in traces])
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(got, whole, strict=True)]
    assert np.median(alike) > 0.999
    at_once = streamed(traces, times_s, 0).T
    early = [np.corrcoef(a, b)[0, 1] for a, b in zip(at_once, whole, strict=True)]
    assert np.median(early) < np.median(alike)


def test_the_baseline_is_below_transients_and_follows_a_slow_change() -> None:
    rng = np.random.default_rng(2)
    frames = 3 * 600
    drift = np.linspace(800, 500, frames).astype(np.float32)
    traces = np.array([calcium(rng, frames, 10.0, rate=0.02) for _ in range(30)])
    baseline = Baseline(30, window_s=60.0, smooth_frames=10.0)
    off = []
    for at in range(frames):
        values = traces[:, at] + drift[at]
        baseline.subtract(values, at / 3)
        off.append(values - traces[:, at])
    later = np.array(off)[3 * 120 :]
    assert np.abs(np.median(later, axis=0)).max() < 40
    assert np.abs(later).max() < 160


def test_the_baseline_recovers_after_a_gap_of_ten_minutes() -> None:
    baseline = Baseline(1, window_s=60.0, smooth_frames=2.0)
    values = np.zeros(1, np.float32)
    for at in range(300):
        level, t_s = (500.0, at / 3) if at < 150 else (900.0, 600 + at / 3)
        values = np.full(1, level, np.float32)
        baseline.subtract(values, t_s)
    for at in range(600):
        values = np.full(1, 900.0, np.float32)
        baseline.subtract(values, 800 + at / 3)
    assert values[0] == pytest.approx(0.0, abs=1.0)


def test_a_smaller_lag_makes_values_less_exact() -> None:
    """The correlations for each lag, for a fast closed loop; `pytest -s` prints them."""
    rng = np.random.default_rng(3)
    traces = np.stack([calcium(rng, 900, 30.0) for _ in range(50)])
    times_s = np.arange(900) / 3.0
    final = streamed(traces, times_s, MOST_LAG).ravel()
    lags = (0, 1, 2, 3, 5)
    found = [np.corrcoef(streamed(traces, times_s, lag).ravel(), final)[0, 1] for lag in lags]
    print({lag: round(float(value), 4) for lag, value in zip(lags, found, strict=True)})
    assert found == sorted(found)
    assert found[0] < 0.99
    assert found[-1] > 0.999
