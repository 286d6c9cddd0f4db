"""Streamed tuning is the interpolation of the whole recording, however the session went."""

from errno import ENOSPC
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.signals.tuning import BINS, TrialStore, Tuning
from rig.errors import Refused

CELLS = 3

step = st.tuples(st.integers(0, 400).map(lambda thousandths: thousandths / 1000), st.booleans())
trial = st.tuples(st.sampled_from(["done", "done", "done", "aborted"]), st.lists(step, max_size=9))


def by_definition(
    frames: list[tuple[int, float, NDArray[np.float32]]], aborted: set[int], trials: int
) -> NDArray[np.float64]:
    """Interpolate all moving frames at once, extrapolating in line: (trials, 60, cells)."""
    at = np.array([trial + fraction for trial, fraction, _ in frames])
    values = np.array([x for *_, x in frames], np.float64).reshape(-1, CELLS)
    if at.size:
        last_of_each = np.append(np.diff(at) > 0, True)
        at, values = at[last_of_each], values[last_of_each]
    out = np.full((trials, BINS, CELLS), np.nan)
    if at.size < 2:
        return out
    points = np.arange(trials * BINS) // BINS + np.arange(trials * BINS) % BINS / BINS
    right = np.clip(np.searchsorted(at, points), 1, at.size - 1)
    share = (points - at[right - 1]) / (at[right] - at[right - 1])
    line = values[right - 1] + share[:, None] * (values[right] - values[right - 1])
    out[:] = line.reshape(out.shape)
    out[sorted(aborted)] = np.nan
    return out


@settings(deadline=None, max_examples=100)
@given(trials=st.lists(trial, max_size=6), seed=st.integers(0, 99))
def test_at_the_end_every_trial_is_what_the_definition_gives(
    trials: list[tuple[str, list[tuple[float, bool]]]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    told: dict[int, NDArray[np.float32]] = {}
    with TrialStore(None, CELLS) as store:
        tuning = Tuning(store, told.__setitem__)
        frames, aborted = [], set()
        for number, (outcome, steps) in enumerate(trials):
            fraction = 0.0
            for forward, imaged in steps:
                fraction = min(fraction + forward, 0.9999)
                activity = rng.exponential(100, CELLS).astype(np.float32)
                if imaged:
                    tuning.add(number, fraction, activity)
                    frames.append((number, fraction, activity))
            if outcome == "aborted":
                tuning.leave_out(number)
                aborted.add(number)
        kept = [frame for frame in frames if frame[0] not in aborted]
        tuning.finish(len(trials))
        got = np.array([tuning.trial(number) for number in range(len(trials))])
    wanted = by_definition(kept, aborted, len(trials))
    if not trials:
        return
    scale = max(1.0, float(np.nanmax(np.abs(wanted), initial=0.0)))
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6 * scale)
    for point, row in told.items():
        kept_row = got[point // BINS, point % BINS]
        if not np.isnan(kept_row).any():
            np.testing.assert_array_equal(row, kept_row)


def test_a_point_is_told_as_soon_as_the_mouse_has_passed_it() -> None:
    told: list[int] = []

    def tell(point: int, row: NDArray[np.float32]) -> None:
        assert row.shape == (1,)
        told.append(point)

    with TrialStore(None, 1) as store:
        tuning = Tuning(store, tell)
        tuning.add(0, 2.5 / 60, np.ones(1, np.float32))
        assert told == []
        tuning.add(0, 4.5 / 60, np.ones(1, np.float32))
        assert told == [0, 1, 2, 3, 4]
        tuning.add(0, 5.0 / 60, np.ones(1, np.float32))
        assert told[5:] == [5]
        assert np.isnan(tuning.trial(0)[6:]).all()


def test_a_scratch_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"cannot be written to .*TMPDIR"):
        TrialStore(tmp_path / "absent", 3)


def test_a_row_that_the_disk_has_no_room_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(ENOSPC, "No space left on device")

    with TrialStore(tmp_path, 2) as store:
        for pwrite, sentence in ((lambda *_: 5, "is full; make room"), (full, "No space left")):
            monkeypatch.setattr("analysis.signals.tuning.os.pwrite", pwrite)
            with pytest.raises(Refused, match=f"scratch folder {tmp_path} .*{sentence}"):
                store.write(0, np.ones(2, np.float32))


def test_the_file_of_the_trials_leaves_nothing_behind(tmp_path: Path) -> None:
    with TrialStore(tmp_path, 2) as store:
        store.write(3, np.ones(2, np.float32))
        assert list(tmp_path.iterdir()) == []
        np.testing.assert_array_equal(store.read(2, 2), [[0, 0], [1, 1]])
