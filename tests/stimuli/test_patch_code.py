"""The patch code: whatever the photodiode saw, every decoded frame is correct."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stimuli.photodiode.patch_code import PERIOD_FRAMES, PatchDecoder, PatchReading, encode

refresh = st.sampled_from([60.0, 120.0, 144.0])
number = st.integers(0, PERIOD_FRAMES - 1)


def shown_at(
    first: int, holds: list[int], hz: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the numbers of the frames shown and when each appeared (s)."""
    held = np.array(holds)
    begins = (np.cumsum(held) - held) / hz + 0.1
    return first + np.arange(held.size), begins


def trace_of(
    numbers: NDArray[np.int64], begins: NDArray[np.float64], hz: float, sample_hz: float
) -> NDArray[np.float64]:
    """Return the light (0 or 1) that a perfect photodiode would see."""
    t = np.arange(int((begins[-1] + 1 / hz) * sample_hz)) / sample_hz
    light = np.array([encode(int(n)) for n in numbers], float)
    return light[np.clip(np.searchsorted(begins, t, side="right") - 1, 0, None)]


def holds(rng: np.random.Generator, frames: int, late: float) -> list[int]:
    """Return for how many refreshes each frame is shown: mostly one."""
    held: list[int] = (1 + (rng.random(frames) < late) * rng.integers(1, 4, frames)).tolist()
    return held


def worst_s(seen: PatchReading, numbers: NDArray[np.int64], begins: NDArray[np.float64]) -> float:
    """Return the largest error of a decoded time; infinite if a frame was never shown."""
    when = dict(zip((numbers % PERIOD_FRAMES).tolist(), begins.tolist(), strict=True))
    decoded = zip(seen.number.tolist(), seen.t_s.tolist(), strict=True)
    return max((abs(when.get(n, np.inf) - t) for n, t in decoded), default=0.0)


@given(number, refresh, st.integers(0, 2**32 - 1), st.floats(0, 0.12), st.floats(0, 0.03))
@settings(max_examples=40, deadline=None)
def test_a_noisy_trace_with_dropped_frames_is_decoded(
    first: int, hz: float, seed: int, noise: float, late: float
) -> None:
    rng = np.random.default_rng(seed)
    numbers, begins = shown_at(first, holds(rng, 900, late), hz)
    sample_hz = rng.choice([2000.0, 10000.0])
    light = trace_of(numbers, begins, hz, sample_hz)
    trace = rng.choice([-3.0, 0.2]) * (light + noise * rng.standard_normal(light.size)) + 1.0
    seen = PatchDecoder(hz).decode_trace(trace, sample_hz)
    assert worst_s(seen, numbers, begins) < 0.25 / hz
    on_time = np.rint(np.diff(begins) * hz) == 1
    longest = np.bincount(np.cumsum(~on_time)).max()  # frames in a row without a late one
    if longest > 200:
        assert seen.number.size > longest - 100  # the margins on both sides


@given(number, refresh, st.integers(100, 800), st.integers(1, 40), st.sampled_from(["lost", "lit"]))
@settings(max_examples=40, deadline=None)
def test_lost_frames_and_flashes_give_no_wrong_frame(
    first: int, hz: float, at: int, count: int, what: str
) -> None:
    """Frames that were never shown, or a flash of light, cost only the frames around them."""
    numbers, begins = shown_at(first, [1] * 900, hz)
    if what == "lost":
        numbers = np.delete(numbers, np.s_[at : at + count])
        begins = begins[: numbers.size]
    trace = trace_of(numbers, begins, hz, 5000.0)
    if what == "lit":
        here = int(begins[at] * 5000)
        trace[here : here + int(5000 / hz * count / 20)] = 1.0
    seen = PatchDecoder(hz).decode_trace(trace, 5000.0)
    assert worst_s(seen, numbers, begins) < 1.1 / hz  # a flash may move a change
    assert seen.number.size > numbers.size - 350


def test_every_frame_of_a_clean_trace_is_decoded_across_the_end_of_the_period() -> None:
    numbers, begins = shown_at(PERIOD_FRAMES - 300, [1] * 600, 60.0)
    seen = PatchDecoder(60.0).decode_trace(trace_of(numbers, begins, 60.0, 1000.0), 1000.0)
    assert np.isin(numbers[2:-3] % PERIOD_FRAMES, seen.number).all()
    assert 0.6 < seen.changed.mean() < 0.9


@given(number)
def test_the_light_changes_at_least_every_second_frame(first: int) -> None:
    light = [encode(first + k) for k in range(60)]
    runs = np.diff(np.flatnonzero(np.diff(light, prepend=not light[0])))
    assert set(runs.tolist()) <= {1, 2}


@pytest.mark.parametrize("trace", [np.zeros(5000), np.random.default_rng(1).random(50000)])
def test_a_dead_photodiode_gives_no_frame(trace: NDArray[np.float64]) -> None:
    assert PatchDecoder(60.0).decode_trace(trace, 1000.0).number.size == 0


def test_too_few_edges_give_no_frame() -> None:
    for count in (0, 1, 2, 30):
        assert PatchDecoder(60.0).decode_edges(np.arange(count) / 60).number.size == 0
