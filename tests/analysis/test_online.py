"""The signals equal their definition on the whole recording, for any session."""

import tracemalloc
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rig.messages import (
    CellSignals,
    Fault,
    Frame,
    LearningSignals,
    Message,
    Position,
    TrialEnd,
    TrialStart,
)
from tests.analysis.logs import MS, corridor, standing
from tests.analysis.nodes import SHAPE, frame, handle_all, online

GROUPS = {"all": (0, 1, 2), "V1": (0,), "medial": (), "lateral": (), "anterior": (1,)}

step = st.tuples(
    st.floats(0, 5.9),  # where
    st.booleans(),  # moving
    st.sampled_from(["none", "early", "late", "lost", "flat"]),  # what the microscope does
)
trial = st.tuples(
    st.sampled_from(["leaf1", "circle1", "leaf2"]),
    st.sampled_from(["done", "done", "aborted"]),
    st.lists(step, max_size=8),
)


Outcome = Literal["done", "aborted"]


def recording(trials: list[tuple[str, Outcome, list[tuple[float, bool, str]]]]) -> list[Message]:
    """The messages of such a session; frames arrive before their Positions, or after them."""
    rng = np.random.default_rng(len(trials))
    messages: list[Message] = []
    lagging: list[Message] = []
    t, index = 0, 0
    for number, (stimulus, outcome, steps) in enumerate(trials):
        messages.append(corridor(number, stimulus, t))
        for position_m, moving, imaging in steps:
            t += 10 * MS
            place = standing(t, number, position_m, moving)
            shown, overdue, lagging = [place, *lagging], lagging, []
            if imaging != "none":
                pixels = rng.integers(0, 2000, SHAPE).astype(np.int16)
                if imaging == "flat":
                    pixels = np.full(SHAPE, 700, np.int16)
                message = frame(t + 3 * MS, index, None if imaging == "lost" else pixels)
                index += 1
                if imaging == "early":
                    shown = [*overdue, message, place]
                elif imaging == "late":
                    lagging.append(message)
                else:
                    shown.append(message)
            messages += shown
        t += 10 * MS
        messages.append(TrialEnd(t, number, outcome))
    return [*messages, *lagging]


def by_definition(
    frames: list[tuple[str | None, bool, NDArray[np.float32]]],
) -> NDArray[np.float64]:
    """d' = 2 (mean_A - mean_B) / (sd_A + sd_B) over the moving texture frames, all at once."""
    a, b = (
        np.array([x for stimulus, use, x in frames if use and stimulus == s], np.float64)
        for s in ("leaf1", "circle1")
    )
    if not len(a) or not len(b):
        return np.full(3, np.nan)
    spread = a.std(axis=0) + b.std(axis=0)
    d_prime = np.full(3, np.nan)
    np.divide(2 * (a.mean(axis=0) - b.mean(axis=0)), spread, out=d_prime, where=spread > 0)
    return d_prime


def shares_by_definition(d_prime: NDArray[np.float64]) -> NDArray[np.float32]:
    """Selective cells over all cells, by area group, sign (both, A, B) and threshold."""
    shares = []
    for cells in GROUPS.values():
        values = d_prime[list(cells)].astype(np.float32)
        for reached in (np.abs(values), values, -values):
            for tenths in range(1, 11):
                count = np.sum(reached.astype(np.float64) >= tenths / 10)
                shares.append(count / len(cells) if cells else np.nan)
    return np.array(shares, np.float32)


def middles_by_definition(frames: list[Frame]) -> dict[int, int]:
    """The middle of each frame's scan: its end minus half of the shortest step so far."""
    t = np.array([f.t for f in frames])
    stamps = np.array([round(f.timestamp_s * 1e9) for f in frames])
    middles = {}
    for k, page in enumerate(frames):
        steps = np.diff(stamps[: k + 1])
        half = int(steps.min()) // 2 if len(steps) else 0
        middles[page.index] = int(stamps[k] + (t - stamps)[: k + 1].min()) - half
    return middles


@settings(max_examples=150, deadline=None)
@given(trials=st.lists(trial, max_size=6))
@example(
    [("leaf1", "done", [(0.0, True, "early"), (1.4e-45, True, "none"), (0.0, False, "early")])]
)
def test_the_signals_agree_with_the_definition(
    cells: Path, trials: list[tuple[str, Outcome, list[tuple[float, bool, str]]]]
) -> None:
    node, published = online(cells)
    messages = recording(trials)
    aborted_by: list[set[int]] = []
    aborted: set[int] = set()
    for message in messages:
        if isinstance(message, TrialEnd) and message.outcome == "aborted":
            aborted = aborted | {message.trial}
        node.handle(message)
        aborted_by += [aborted] * (len(published) - len(aborted_by))
    node.close()
    aborted_by += [aborted] * (len(published) - len(aborted_by))
    positions = [m for m in messages if isinstance(m, Position)]
    starts = {m.trial: m for m in messages if isinstance(m, TrialStart)}
    frames = {m.index: m for m in messages if isinstance(m, Frame)}
    middles = middles_by_definition(list(frames.values()))
    seen: list[tuple[int, str | None, bool, NDArray[np.float32]]] = []
    for message, known in zip(published, aborted_by, strict=True):
        if isinstance(message, LearningSignals):
            assert known >= {n for n in range(message.trial) if trials[n][1] == "aborted"}
            wanted = by_definition([f[1:] for f in seen if f[0] not in known])
            got = np.frombuffer(message.d_prime, "<f4")
            np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)
        if not isinstance(message, CellSignals):
            continue
        assert message.t == frames[message.frame].t
        assert message.scanned_t == middles[message.frame]
        before = [p for p in positions if p.t <= message.scanned_t]
        place = max(before, key=lambda p: p.t, default=Position(0, -1, 0.0, 0.0, False, "grey"))
        stimulus = starts[place.trial].stimulus if before else None
        state = (message.trial, message.stimulus, message.position_m, message.moving)
        assert state == (place.trial, stimulus, place.position_m, place.moving)
        use = place.moving and place.position_m < 4.0
        seen.append((place.trial, stimulus, use, np.frombuffer(message.traces, "<f4")))
        wanted = by_definition([f[1:] for f in seen if f[0] not in known])
        wanted_shares = shares_by_definition(wanted)
        np.testing.assert_array_equal(np.frombuffer(message.fractions, "<f4"), wanted_shares)
        defined = ~np.isnan(wanted)
        assert message.defined == tuple(int(defined[list(own)].sum()) for own in GROUPS.values())
        share = float(np.mean(np.abs(wanted) >= 0.3)) if defined.any() else None
        assert message.selective_fraction == share
        shown = {stimulus for trial, stimulus, use, _ in seen if use and trial not in known}
        assert ("leaf1" in message.undefined) == ("leaf1" not in shown)
        assert ("circle1" in message.undefined) == ("circle1" not in shown)
    lost = [m.index for m in messages if isinstance(m, Frame) and m.pixels is None]
    assert [m.frame for m in published if isinstance(m, Fault)] == lost
    with_signals = [m.frame for m in published if isinstance(m, CellSignals)]
    assert sorted([*with_signals, *lost]) == sorted(frames)
    completed = [n for n, (_, outcome, _) in enumerate(trials) if outcome == "done"]
    if with_signals:
        ends = [m for m in published if isinstance(m, LearningSignals)]
        assert [m.trial for m in ends if not m.final] == completed
        assert ends[-1].final


@settings(max_examples=20, deadline=None)
@given(trials=st.lists(trial, max_size=5))
def test_the_same_messages_give_bit_identical_signals(
    cells: Path, trials: list[tuple[str, Outcome, list[tuple[float, bool, str]]]]
) -> None:
    runs = []
    for _ in range(2):
        node, published = online(cells)
        handle_all(node, recording(trials))
        node.close()
        runs.append(msgspec.msgpack.encode(published))
    assert runs[0] == runs[1]


def test_a_frame_waits_for_the_first_position_after_it(cells: Path) -> None:
    node, published = online(cells, traces={"deconvolution_lag_frames": 0})
    pixels = np.ones(SHAPE, np.int16)
    messages = [corridor(0, "leaf1"), standing(10, 0, 1.0), frame(20, 0, pixels)]
    handle_all(node, [*messages, standing(20, 0, 2.0)])
    assert published == []
    node.handle(standing(30, 0, 3.0))
    (decoded,) = published
    assert isinstance(decoded, CellSignals)
    assert (decoded.t, decoded.frame, decoded.position_m) == (20, 0, 2.0)
    node.close()


def test_a_frame_is_decoded_when_its_values_are_final_with_its_position_then(
    cells: Path,
) -> None:
    """Ten minutes pass without a frame, so its position has long been forgotten."""
    node, published = online(cells)
    pixels = np.ones(SHAPE, np.int16)
    handle_all(node, [corridor(0, "leaf1"), standing(10, 0, 1.0), frame(20, 0, pixels)])
    for second in range(1, 600):
        node.handle(standing(second * 1000 * MS, 0, 2.0, moving=False))
    for index in range(1, 6):
        assert published == []
        t = (600 + index) * 1000 * MS
        handle_all(node, [frame(t, index, pixels), standing(t + 1, 0, 3.0)])
    (decoded,) = published
    assert isinstance(decoded, CellSignals)
    assert (decoded.frame, decoded.position_m, decoded.moving) == (0, 1.0, True)
    node.close()
    frames = [message.frame for message in published if isinstance(message, CellSignals)]
    assert frames == list(range(6))


def test_a_frame_with_undefined_values_is_left_out_and_reported(cells: Path) -> None:
    node, published = online(cells, traces={"deconvolution_lag_frames": 0})
    rng = np.random.default_rng(1)
    for index in range(6):
        pixels = rng.random(SHAPE).astype("<f4")
        if index == 2:
            pixels[3, 3] = np.nan
        node.handle(frame(10 * index, index, pixels))
        node.handle(standing(10 * index + 5, -1, 0.0, moving=False))
    node.close()
    (fault,) = [message for message in published if isinstance(message, Fault)]
    assert (fault.frame, fault.text) == (
        2,
        "the pixels of frame 2 are not all finite numbers: it has no signals",
    )
    decoded = [message for message in published if isinstance(message, CellSignals)]
    assert [message.frame for message in decoded] == [0, 1, 3, 4, 5]
    assert all(np.isfinite(np.frombuffer(message.traces, "<f4")).all() for message in decoded)


def test_an_hour_without_imaging_needs_no_more_memory_than_its_last_seconds(cells: Path) -> None:
    node, published = online(cells)
    tracemalloc.start()
    try:
        for tenth in range(36_000):
            node.handle(standing(tenth * 100 * MS, -1, 0.0, moving=False))
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes < 200_000
    node.close()
    assert published == []
