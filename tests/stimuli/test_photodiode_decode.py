"""Flips matched with the light that a photodiode saw, by the session's or another clock."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from rig.errors import Refused
from rig.messages import Flip
from stimuli.photodiode.decode import fit_clock, match_edges, match_trace
from stimuli.photodiode.patch_code import encode

HZ = 60.0
DELAY_S = 0.008


def flipped(count: int = 900, late: int = 5, seed: int = 1) -> list[Flip]:
    """Return flips one period apart, a few of them late."""
    rng = np.random.default_rng(seed)
    held = np.ones(count, int)
    held[rng.choice(count, late, replace=False)] += 1
    t = np.round((1.0 + np.cumsum(held) / HZ) * 1e9).astype(int).tolist()
    return [Flip(one, n, 0.0, 0, one, False, 0, encode(n)) for n, one in enumerate(t)]


def edges_s(flips: list[Flip]) -> NDArray[np.float64]:
    changes = [b for a, b in pairwise(flips) if a.bright != b.bright]
    return np.array([flip.t / 1e9 + DELAY_S for flip in changes])


def trace_of(
    flips: list[Flip], sample_hz: float, begin_s: float, rate: float
) -> NDArray[np.float64]:
    """Return a noisy photodiode trace of a clock with session time = begin_s + rate * its time."""
    t = np.array([flip.t for flip in flips]) / 1e9 + DELAY_S
    samples = begin_s + rate * np.arange(int((t[-1] - begin_s) * sample_hz)) / sample_hz
    light = np.array([flip.bright for flip in flips], float)
    seen = light[np.clip(np.searchsorted(t, samples, side="right") - 1, 0, None)]
    return 0.3 + 2.0 * seen + 0.1 * np.random.default_rng(2).standard_normal(seen.size)


def test_edges_give_each_flip_with_its_delay() -> None:
    flips = flipped()
    matched = match_edges(edges_s(flips), flips, HZ)
    assert matched.flip_index.size > 700
    delays = (matched.seen_s - matched.flip_s)[matched.exact]
    assert delays == pytest.approx(np.full(delays.size, DELAY_S), abs=1e-6)


@pytest.mark.parametrize(("begin_s", "ppm"), [(0.4, 0.0), (-3.0, 80.0), (0.9, -200.0)])
def test_a_trace_of_another_clock_gives_that_clock(begin_s: float, ppm: float) -> None:
    flips = flipped()
    matched = match_trace(trace_of(flips, 5000.0, begin_s, 1 + ppm * 1e-6), 5000.0, flips, HZ)
    line = fit_clock(matched)
    assert matched.flip_index.size > 700
    assert line.begin_s == pytest.approx(begin_s - DELAY_S, abs=2e-3)
    assert (line.rate - 1) * 1e6 == pytest.approx(ppm, abs=20)
    assert line.residual_ms < 1.0


def test_the_light_of_another_session_fits_no_clock() -> None:
    """Flip numbers start at 0 in every session, so only their times differ."""
    matched = match_edges(edges_s(flipped(late=8, seed=5)), flipped(late=2), HZ)
    assert fit_clock(matched).residual_ms > 500 / HZ


@pytest.mark.parametrize(
    ("trace", "sentence"),
    [
        (
            np.random.default_rng(3).standard_normal(20_000),
            "0 of the 0 frames",
        ),
        (np.zeros(20_000), "0 of the 0 frames"),
        (np.full(20_000, np.nan), "values that are not numbers"),
        (np.zeros(100), "shorter than a second"),
    ],
)
def test_a_trace_without_the_patch_is_refused(trace: NDArray[np.float64], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        match_trace(trace, 5000.0, flipped(), HZ)


def test_a_trace_of_a_longer_session_is_refused() -> None:
    flips = flipped()
    with pytest.raises(Refused, match="belong to this session"):
        match_edges(edges_s(flips), flips[:300], HZ)
