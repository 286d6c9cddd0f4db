"""The running signals equal the definition on the whole recording, whatever the session was."""

import tracemalloc
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.online import Online
from analysis.selectivity import Selectivity
from analysis.signals import Signals
from analysis.tuning import TrialStore
from rig.messages import Decoded, Fault, Frame, Message, Position, Scan, TrialEnd, TrialStart
from rig.refused import Refused
from tests.analysis.logs import MS, corridor, standing
from tests.analysis.test_registration import stack_of

SHAPE = (9, 12)
CELLS = "cell,y_px,x_px,radius_px,area\n0,2,2,1,8\n1,5,6,2,3\n2,6,10,1.5,-1\n"
GROUPS = {"all": (0, 1, 2), "V1": (0,), "medial": (), "lateral": (), "anterior": (1,)}


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cells") / "cells.csv"
    path.write_text(CELLS)
    return path


def online(cells: Path, **table: object) -> tuple[Online, list[Message]]:
    said: list[Message] = []
    node = Online(
        msgspec.convert({"cells_file": str(cells), **table}, Online.Settings), said.append
    )
    node.open()
    return node, said


def frame(t: int, index: int, pixels: NDArray[np.int16] | None) -> Frame:
    height, width = SHAPE if pixels is None else pixels.shape
    return Frame(t, index, "imaging/a.tif", 0, height, width, t / 1e9, pixels=pixels)


def tell(node: Online, words: list[Message]) -> None:
    for word in words:
        node.hear(word)


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


def recording(trials: list[tuple[str, str, list[tuple[float, bool, str]]]]) -> list[Message]:
    """The words of such a session; frames overtake Positions on the wire, or lag behind them."""
    rng = np.random.default_rng(len(trials))
    words: list[Message] = []
    lagging: list[Message] = []
    t, index = 0, 0
    for number, (stimulus, outcome, steps) in enumerate(trials):
        words.append(corridor(number, stimulus, t))
        for position_m, moving, imaging in steps:
            t += 10 * MS
            place = standing(t, number, position_m, moving)
            shown, overdue, lagging = [place, *lagging], lagging, []
            if imaging != "none":
                pixels = rng.integers(0, 2000, SHAPE).astype(np.int16)
                if imaging == "flat":
                    pixels = np.full(SHAPE, 700, np.int16)
                word = frame(t + 3 * MS, index, None if imaging == "lost" else pixels)
                index += 1
                if imaging == "early":
                    shown = [*overdue, word, place]
                elif imaging == "late":
                    lagging.append(word)
                else:
                    shown.append(word)
            words += shown
        t += 10 * MS
        words.append(TrialEnd(t, number, outcome))
    return [*words, *lagging]


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
    """Selective cells among the defined, by area group, sign (both, A, B) and threshold."""
    shares = []
    for cells in GROUPS.values():
        values = d_prime[list(cells)]
        values = values[~np.isnan(values)]
        for reached in (np.abs(values), values, -values):
            for tenths in range(1, 11):
                share = np.mean(reached >= tenths / 10) if values.size else np.nan
                shares.append(share)
    return np.array(shares, np.float32)


def middles_by_definition(frames: list[Frame]) -> dict[int, int]:
    """When each frame was half scanned: its end less half the shortest step so far."""
    t = np.array([f.t for f in frames])
    stamps = np.array([round(f.timestamp_s * 1e9) for f in frames])
    middles = {}
    for k, frame in enumerate(frames):
        steps = np.diff(stamps[: k + 1])
        half = int(steps.min()) // 2 if len(steps) else 0
        middles[frame.index] = int(stamps[k] + (t - stamps)[: k + 1].min()) - half
    return middles


@settings(max_examples=150, deadline=None)
@given(trials=st.lists(trial, max_size=6))
def test_after_every_frame_the_signals_are_those_of_the_definition(
    cells: Path, trials: list[tuple[str, str, list[tuple[float, bool, str]]]]
) -> None:
    node, said = online(cells)
    words = recording(trials)
    aborted_by: list[set[int]] = []
    aborted: set[int] = set()
    for word in words:
        if isinstance(word, TrialEnd) and word.outcome == "aborted":
            aborted = aborted | {word.trial}
        node.hear(word)
        aborted_by += [aborted] * (len(said) - len(aborted_by))
    node.close()
    aborted_by += [aborted] * (len(said) - len(aborted_by))
    positions = [w for w in words if isinstance(w, Position)]
    starts = {w.trial: w for w in words if isinstance(w, TrialStart)}
    frames = {w.index: w for w in words if isinstance(w, Frame)}
    middles = middles_by_definition(list(frames.values()))
    seen: list[tuple[int, str | None, bool, NDArray[np.float32]]] = []
    for word, known in zip(said, aborted_by, strict=True):
        if isinstance(word, Fault):
            continue
        assert isinstance(word, Decoded)
        assert word.t == frames[word.frame].t
        assert word.scanned_t == middles[word.frame]
        before = [p for p in positions if p.t <= word.scanned_t]
        place = max(before, key=lambda p: p.t, default=Position(0, -1, 0.0, 0.0, False, "grey"))
        stimulus = starts[place.trial].stimulus if before else None
        state = (word.trial, word.stimulus, word.position_m, word.moving)
        assert state == (place.trial, stimulus, place.position_m, place.moving)
        use = place.moving and place.position_m < 4.0
        seen.append((place.trial, stimulus, use, np.frombuffer(word.traces, "<f4")))
        wanted = by_definition([f[1:] for f in seen if f[0] not in known])
        got = np.frombuffer(word.d_prime, "<f4")
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)
        defined = got[~np.isnan(got)]
        share = float(np.mean(np.abs(defined) >= 0.3)) if len(defined) else None
        assert word.selective_fraction == share
        wanted_shares = shares_by_definition(got.astype(np.float64))
        np.testing.assert_array_equal(np.frombuffer(word.fractions, "<f4"), wanted_shares)
        shown = {stimulus for trial, stimulus, use, _ in seen if use and trial not in known}
        assert ("leaf1" in word.undefined) == ("leaf1" not in shown)
        assert ("circle1" in word.undefined) == ("circle1" not in shown)
    lost = [w.index for w in words if isinstance(w, Frame) and w.pixels is None]
    assert [w.frame for w in said if isinstance(w, Fault)] == lost
    assert sorted([f.frame for f in said]) == sorted(frames)  # type: ignore[attr-defined]


@settings(max_examples=20, deadline=None)
@given(trials=st.lists(trial, max_size=5))
def test_the_same_words_give_the_same_bits(
    cells: Path, trials: list[tuple[str, str, list[tuple[float, bool, str]]]]
) -> None:
    runs = []
    for _ in range(2):
        node, said = online(cells)
        tell(node, recording(trials))
        node.close()
        runs.append(msgspec.msgpack.encode(said))
    assert runs[0] == runs[1]


def test_a_frame_waits_for_the_first_position_after_it(cells: Path) -> None:
    node, said = online(cells, traces={"deconvolution_lag_frames": 0})
    pixels = np.ones(SHAPE, np.int16)
    words = [corridor(0, "leaf1"), standing(10, 0, 1.0), frame(20, 0, pixels)]
    tell(node, [*words, standing(20, 0, 2.0)])
    assert said == []
    node.hear(standing(30, 0, 3.0))
    (decoded,) = said
    assert isinstance(decoded, Decoded)
    assert (decoded.t, decoded.frame, decoded.position_m) == (20, 0, 2.0)
    node.close()


def test_a_frame_is_decoded_when_its_values_are_final_with_the_place_that_it_had(
    cells: Path,
) -> None:
    """Ten minutes without a frame in between: its place is long forgotten by then."""
    node, said = online(cells)
    pixels = np.ones(SHAPE, np.int16)
    tell(node, [corridor(0, "leaf1"), standing(10, 0, 1.0), frame(20, 0, pixels)])
    for second in range(1, 600):
        node.hear(standing(second * 1000 * MS, 0, 2.0, moving=False))
    for index in range(1, 6):
        assert said == []
        t = (600 + index) * 1000 * MS
        tell(node, [frame(t, index, pixels), standing(t + 1, 0, 3.0)])
    (decoded,) = said
    assert isinstance(decoded, Decoded)
    assert (decoded.frame, decoded.position_m, decoded.moving) == (0, 1.0, True)
    node.close()
    assert [word.frame for word in said] == list(range(6))  # type: ignore[attr-defined]


def test_a_frame_that_is_not_all_numbers_is_left_out_and_said(cells: Path) -> None:
    node, said = online(cells, traces={"deconvolution_lag_frames": 0})
    rng = np.random.default_rng(1)
    for index in range(6):
        pixels = rng.random(SHAPE).astype("<f4")
        if index == 2:
            pixels[3, 3] = np.nan
        node.hear(frame(10 * index, index, pixels))
        node.hear(standing(10 * index + 5, -1, 0.0, moving=False))
    node.close()
    (fault,) = [word for word in said if isinstance(word, Fault)]
    assert (fault.frame, fault.what) == (
        2,
        "the pixels of frame 2 are not all finite numbers: it is left out of the analysis",
    )
    decoded = [word for word in said if isinstance(word, Decoded)]
    assert [word.frame for word in decoded] == [0, 1, 3, 4, 5]
    assert all(np.isfinite(np.frombuffer(word.traces, "<f4")).all() for word in decoded)


def test_a_trial_taken_back_leaves_no_trace_in_later_signals() -> None:
    ends = []
    for trials in (["leaf1", "circle1"], ["leaf1", "aborted", "circle1"]):
        rng, spoiled = np.random.default_rng(3), np.random.default_rng(4)
        with TrialStore(None, 3) as store:
            signals = Signals(Selectivity("leaf1", "circle1", 3), store, np.zeros(3, np.uint8), 0.3)
            for number, stimulus in enumerate(trials):
                aborted = stimulus == "aborted"
                signals.begin(corridor(number, "circle1" if aborted else stimulus))
                for i in range(1, 4):
                    activity = (spoiled if aborted else rng).exponential(9, 3).astype(np.float32)
                    place = standing(0, number, 1.0 + i / 10)
                    last = signals.decoded(frame(0, i, None), place, activity)
                if aborted:
                    signals.leave_out(number)
        ends.append((last.d_prime, last.fractions))
    assert ends[0] == ends[1]
    assert not np.isnan(np.frombuffer(ends[0][0], "<f4")).any()


def test_an_hour_without_imaging_needs_no_more_memory_than_its_last_seconds(cells: Path) -> None:
    node, said = online(cells)
    tracemalloc.start()
    try:
        for tenth in range(36_000):
            node.hear(standing(tenth * 100 * MS, -1, 0.0, moving=False))
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes < 200_000
    node.close()
    assert said == []


def test_nothing_is_written_while_the_session_runs(
    cells: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **given: made.append(given))
    node, said = online(cells, traces={"deconvolution_lag_frames": 0})
    node.hear(corridor(0, "leaf1"))
    for at in range(3):
        node.hear(frame(10 * at, at, np.full(SHAPE, at, np.int16)))
        node.hear(standing(10 * at + 1, 0, 1.0 + at))
    node.close()
    assert any(word.tuned for word in said if isinstance(word, Decoded))
    assert made == []


def test_a_cell_outside_the_field_ends_the_node_at_its_first_frame(cells: Path) -> None:
    node, said = online(cells)
    with pytest.raises(Refused, match=r"cell 1 .* leaves the frame of 6 x 6 px"):
        node.hear(frame(0, 0, np.ones((6, 6), np.int16)))
    node.close()
    assert said == []


def test_a_field_that_changes_its_size_ends_the_node(cells: Path) -> None:
    node, _ = online(cells)
    node.hear(frame(0, 0, np.ones(SHAPE, np.int16)))
    with pytest.raises(Refused, match="frame 1 has 20 x 20 px, those before it 9 x 12"):
        node.hear(frame(1, 1, np.ones((20, 20), np.int16)))
    node.close()


def scanned(*zs_um: tuple[float, ...], file: str = "a.tif", **header: object) -> Scan:
    header = {"channels": [1], "averaged": 1, "zs_um": zs_um, **header}
    region = {"first_row": 0, "height_px": SHAPE[0], "width_px": SHAPE[1]}
    depths = tuple(z for zs in zs_um for z in zs) or (0.0,)
    return Scan(0, file, header, depths, tuple({"plane": i, **region} for i in range(len(depths))))


def deep(tmp_path: Path, *planes: int) -> Path:
    path = tmp_path / "deep.csv"
    lines = [f"{i},3,{2 + 3 * i},1,{plane}" for i, plane in enumerate(planes)]
    path.write_text("\n".join(["cell,y_px,x_px,radius_px,plane", *lines]))
    return path


SLICES = ((10.0,), (40.0,), (70.0,))


@pytest.mark.parametrize("averaged", [1, 4])
def test_no_volume_is_put_together_from_pages_of_two(tmp_path: Path, averaged: int) -> None:
    lag = {"deconvolution_lag_frames": 0}
    node, said = online(deep(tmp_path, 0, 2), traces=lag)
    node.hear(scanned(*SLICES, averaged=averaged))
    rng = np.random.default_rng(1)
    lost = {5, 6, 7, 13}  # a whole volume's, then one page that shows no cell
    for at in set(range(18)) - lost:
        word = frame(at * MS, at, rng.integers(0, 99, SHAPE).astype(np.int16))
        node.hear(msgspec.structs.replace(word, plane=at % 3, number=1 + averaged * at))
    node.close()
    assert [word.frame for word in said if isinstance(word, Decoded)] == [2, 11, 14, 17]


@pytest.mark.parametrize(
    ("planes", "scan", "sentence"),
    [
        ((0, 0), scanned(channels=[2, 3]), r"a.tif saves channel 2, 3, not channel 1, .* save it"),
        ((0, 1), scanned((0.0, 9.0), channels=[1, 2]), "depth 0 on channel 1, and cell 1 lies in"),
        ((0, 3), scanned(*SLICES), "shows depth 0, 1, 2 on channel 1, and cell 1 lies in depth 3"),
    ],
)
def test_a_scan_that_never_shows_some_cells_is_refused(
    tmp_path: Path, planes: tuple[int, ...], scan: Scan, sentence: str
) -> None:
    node, _ = online(deep(tmp_path, *planes))
    with pytest.raises(Refused, match=sentence):
        node.hear(scan)
    node.close()


def test_cells_that_say_no_plane_are_refused_where_several_depths_are_scanned(cells: Path) -> None:
    node, _ = online(cells)
    node.hear(scanned((10.0,)))
    with pytest.raises(Refused, match="3 depths, and cells_file does not say in which"):
        node.hear(scanned(*SLICES))
    node.close()


def test_a_second_scan_may_lie_elsewhere_in_depth_but_be_no_other_field(tmp_path: Path) -> None:
    node, _ = online(deep(tmp_path, 0, 2))
    node.hear(scanned(*SLICES))
    node.hear(scanned((0.0,), (20.0,), (40.0,)))  # nothing is imaged yet
    node.hear(frame(0, 0, np.ones(SHAPE, np.int16)))
    node.hear(scanned((5.0,), (25.0,), (45.0,), zoom=2.0))
    with pytest.raises(Refused, match=r"b\.tif scans other regions or depths than a\.tif; image"):
        node.hear(scanned((0.0,), (20.0,), (60.0,), file="b.tif"))
    other = scanned((0.0,), (20.0,), (40.0,), file="c.tif")
    moved = tuple({**region, "first_row": 1} for region in other.regions)
    with pytest.raises(Refused, match=r"c\.tif scans other"):
        node.hear(msgspec.structs.replace(other, regions=moved))
    node.close()


def test_a_stack_for_cells_of_several_depths_is_refused_before_the_session(
    tmp_path: Path,
) -> None:
    stack, z_um = stack_of((64, 64))
    np.savez(tmp_path / "stack.npz", stack=stack, z_um=z_um)
    with pytest.raises(Refused, match=r"drift of one depth, and the cells of .* in several"):
        online(deep(tmp_path, 0, 2), motion={"stack_file": str(tmp_path / "stack.npz")})


def test_comparing_a_stimulus_with_itself_is_refused(cells: Path) -> None:
    with pytest.raises(Refused, match="name two stimuli"):
        online(cells, a="leaf1", b="leaf1")


def test_a_drifting_focus_is_said_once_and_so_is_its_return(cells: Path, tmp_path: Path) -> None:
    stack, z_um = stack_of((64, 64))
    np.savez(tmp_path / "stack.npz", stack=stack, z_um=z_um)
    np.save(tmp_path / "mean.npy", stack[8])
    motion = {
        "stack_file": str(tmp_path / "stack.npz"),
        "reference_file": str(tmp_path / "mean.npy"),
    }
    node, said = online(cells, motion=motion)
    rng = np.random.default_rng(2)
    for index in range(280):
        depth = 10 if 70 <= index < 160 else 8  # 5 um off, then back
        page = rng.poisson(np.maximum(stack[depth], 0)).astype(np.int16)
        node.hear(frame(300 * index * MS, index, page))
        node.hear(standing(300 * index * MS + 1, -1, 0.0, moving=False))
    node.close()
    faults = [word for word in said if isinstance(word, Fault)]
    assert [word.what.partition(",")[0][:22] for word in faults] == [
        "the focus has drifted ",
        "the focus is back",
    ]
    assert 70 < faults[0].t / (300 * MS) < 160 < faults[1].t / (300 * MS)
    depths = [word.z_um[0] for word in said if isinstance(word, Decoded) and word.z_um]
    assert max(depths) == pytest.approx(5.0, abs=1.0)
    assert depths[-1] == pytest.approx(0.0, abs=1.0)
