"""Streamed tuning is the interpolation of the whole recording over its completed trials."""

import resource
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.signals.scratch import ScratchRows
from analysis.signals.tuning import BINS, Tuning
from rig.errors import Refused

CELLS = 3

step = st.tuples(st.integers(0, 400).map(lambda thousandths: thousandths / 1000), st.booleans())
trial = st.tuples(st.sampled_from(["done", "done", "done", "aborted"]), st.lists(step, max_size=9))

Frames = list[tuple[int, float, NDArray[np.float32]]]


def by_definition(frames: Frames, trials: int) -> NDArray[np.float64]:
    """Interpolate all moving frames at once, and extrapolate beyond them: (trials, 60, cells).

    Frames are (index among the completed trials, fraction of the corridor, activity).
    """
    at = np.array([index + fraction for index, fraction, _ in frames])
    cells = frames[0][2].size if frames else CELLS
    values = np.array([x for *_, x in frames], np.float64).reshape(-1, cells)
    if at.size:
        last_of_each = np.append(np.diff(at) > 0, True)
        at, values = at[last_of_each], values[last_of_each]
    out = np.full((trials, BINS, cells), np.nan)
    if at.size < 2:
        return out
    points = np.arange(trials * BINS) // BINS + np.arange(trials * BINS) % BINS / BINS
    right = np.clip(np.searchsorted(at, points), 1, at.size - 1)
    share = (points - at[right - 1]) / (at[right] - at[right - 1])
    line = values[right - 1] + share[:, None] * (values[right] - values[right - 1])
    out[:] = line.reshape(out.shape)
    return out


@settings(deadline=None, max_examples=100)
@given(trials=st.lists(trial, max_size=6), seed=st.integers(0, 99))
def test_after_each_completed_trial_the_tuning_agrees_with_the_definition(
    trials: list[tuple[str, list[tuple[float, bool]]]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    emitted: dict[int, NDArray[np.float32]] = {}
    with closing(ScratchRows(None, CELLS)) as store:
        tuning = Tuning(CELLS, store, emitted.__setitem__)
        frames: Frames = []
        completed = 0
        for number, (outcome, steps) in enumerate(trials):
            fraction = 0.0
            own: Frames = []
            tuning.start_trial(number)
            for forward, imaged in steps:
                fraction = min(fraction + forward, 0.9999)
                activity = rng.exponential(100, CELLS).astype(np.float32)
                if imaged:
                    tuning.add_frame(number, fraction, activity)
                    own.append((completed, fraction, activity))
            if outcome == "aborted":
                tuning.drop_trial(number)
                continue
            frames += own
            completed += 1
            got = np.array([tuning.rows(index) for index in range(completed)])
            wanted = by_definition(frames, completed)
            scale = max(1.0, float(np.nanmax(np.abs(wanted), initial=0.0)))
            np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6 * scale)
        tuning.finish()
        if not completed:
            return
        assert tuning.trials == completed
        got = np.array([tuning.rows(index) for index in range(completed)])
        for point, row in emitted.items():
            if point < BINS * completed:
                np.testing.assert_array_equal(row, got[point // BINS, point % BINS])
        assert set(emitted) >= set(range(BINS * completed))


def test_an_aborted_trial_leaves_no_gap_between_its_neighbours() -> None:
    """Activity equals the position run so far, so every grid point has a known value."""
    with closing(ScratchRows(None, 1)) as store:
        tuning = Tuning(1, store, lambda *_: None)
        run = 0
        for trial, steps, aborted in ((0, 60, False), (1, 31, True), (2, 60, False)):
            tuning.start_trial(trial)
            for step in range(1, steps, 2):
                value = 999 if aborted else run + step
                tuning.add_frame(trial, step / 60, np.full(1, value, np.float32))
            if aborted:
                tuning.drop_trial(trial)
            else:
                run += 60
        tuning.finish()
        rows = np.concatenate([tuning.rows(0), tuning.rows(1)])[:, 0]
        np.testing.assert_allclose(rows, np.arange(120), atol=1e-4)


def test_a_point_is_emitted_as_soon_as_the_mouse_has_passed_it() -> None:
    emitted: list[int] = []

    def emit(point: int, row: NDArray[np.float32]) -> None:
        assert row.shape == (1,)
        emitted.append(point)

    with closing(ScratchRows(None, 1)) as store:
        tuning = Tuning(1, store, emit)
        tuning.start_trial(7)
        tuning.add_frame(7, 2.5 / 60, np.ones(1, np.float32))
        assert emitted == []
        tuning.add_frame(7, 4.5 / 60, np.ones(1, np.float32))
        assert emitted == [0, 1, 2, 3, 4]
        tuning.add_frame(7, 5.0 / 60, np.ones(1, np.float32))
        assert emitted[5:] == [5]
        assert not tuning.is_final(0)


def test_a_scratch_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"cannot be written to .*TMPDIR"):
        ScratchRows(tmp_path / "absent", 3)


def test_a_row_that_does_not_fit_on_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the limit would cut off a .pyc file
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(ScratchRows(tmp_path, 2)) as store:
        for row, sentence in ((0, "is full; free disk space"), (1, "File too large")):
            resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))
            try:
                with pytest.raises(Refused, match=f"scratch folder {tmp_path} .*{sentence}"):
                    store.write(row, np.ones(2, np.float32))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_point_far_beyond_two_frames_almost_at_one_place_is_undetermined(tmp_path: Path) -> None:
    with closing(ScratchRows(tmp_path, 2)) as store:
        tuning = Tuning(2, store, lambda _point, _row: None)
        tuning.start_trial(0)
        tuning.add_frame(0, 0.0, np.zeros(2, np.float32))
        tuning.add_frame(0, 1e-45, np.array([1, 0], np.float32))
        rows = tuning.rows(0)
    assert np.isnan(rows[1:, 0]).all()
    assert (rows[:, 1] == 0).all()


def test_the_scratch_file_leaves_nothing_behind(tmp_path: Path) -> None:
    with closing(ScratchRows(tmp_path, 2)) as store:
        store.write(3, np.ones(2, np.float32))
        assert list(tmp_path.iterdir()) == []
        np.testing.assert_array_equal(store.read(2, 2), [[0, 0], [1, 1]])
