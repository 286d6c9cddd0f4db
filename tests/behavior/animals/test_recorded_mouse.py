"""The recorded mouse repeats real recordings, and refuses files that are not recordings."""

import gzip
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from behavior.animals.recorded_mouse import RecordedMouse, read_recording
from rig.errors import Refused
from rig.messages import Start
from tests.behavior.sessions import MS, SHARED, S

HEADER = "lap,pitch_counts,lick,time_ms\n"
ROWS = "0,0,0,1000\n0,5,0,1017\n0,-2,31,1034\n0,4,31,2734\n1,1,0,2751\n1,2,31,2768\n"


def _real(name: str) -> Path:
    path = SHARED / "mouse_vr" / f"{name}.csv.gz"
    if not path.is_file():
        pytest.skip(f"the recordings are not here: there is no {path}")
    return path


def _mouse(path: Path, **keys: Any) -> RecordedMouse:
    table = {"mouse_file": str(path), **keys}
    mouse = RecordedMouse(msgspec.convert(table, RecordedMouse.Settings))
    mouse.open()
    mouse.handle(Start(10 * S, {"seed": 1}))
    return mouse


def _file(folder: Path, text: str, name: str = "mouse.csv.gz") -> Path:
    path = folder / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    return path


@pytest.mark.parametrize(
    ("name", "laps", "licks"),
    [("mouse1_day1", 40, 1375), ("mouse1_day5", 80, 2613), ("mouse3_day5", 40, 1263)],
)
def test_real_recordings_have_their_known_counts(name: str, laps: int, licks: int) -> None:
    recording = read_recording(_real(name))
    assert len(np.unique(recording.lap)) == laps
    assert len(recording.lick_t) == licks
    steps_ms = np.diff(recording.t) / MS
    assert np.median(steps_ms) == 17
    assert 23 <= np.percentile(steps_ms, 99) <= 25
    assert 1600 < steps_ms.max() < 1800


@pytest.mark.parametrize("name", ["mouse1_day1", "mouse1_day5", "mouse3_day5"])
def test_the_counts_agree_with_the_position_on_the_track(name: str) -> None:
    path = _real(name)
    table = pd.read_csv(path)
    lap, z_m = table["lap"].to_numpy(), table["z_m"].to_numpy()
    recording = read_recording(path)
    inside = np.abs(z_m) < 0.74
    both = inside[1:] & inside[:-1] & (np.diff(lap) == 0)
    counts = np.diff(recording.counts)[both]
    way_cm = np.diff(z_m)[both] * 100
    assert np.corrcoef(counts, way_cm)[0, 1] > 0.99
    assert (counts @ way_cm) / (counts @ counts) == pytest.approx(0.0135, abs=0.0002)


def test_the_whole_recording_is_played_whatever_the_tick() -> None:
    path = _real("mouse3_day5")
    recording = read_recording(path)
    mouse = _mouse(path)
    licks: list[int] = []
    for ms in range(0, int(recording.t[-1]) // MS + 1000, 333):
        licks += mouse.licks(10 * S + ms * MS)
        mouse.counts(10 * S + ms * MS)
    assert licks == [int(t) + 10 * S for t in recording.lick_t]
    assert mouse.counts(10**15) == recording.counts[-1]


def test_it_moves_at_recorded_times_and_stops_at_the_end(tmp_path: Path) -> None:
    mouse = _mouse(_file(tmp_path, HEADER + ROWS))
    at_ms = {0: 0, 16: 0, 17: 5, 33: 5, 34: 3, 1733: 3, 1734: 7, 1751: 8, 1768: 10, 99_999: 10}
    assert {ms: mouse.counts(10 * S + ms * MS) for ms in at_ms} == at_ms
    assert mouse.licks(10 * S + 33 * MS) == []
    assert mouse.licks(99 * S) == [10 * S + 34 * MS, 10 * S + 1768 * MS]
    assert mouse.licks(999 * S) == []


def test_a_recording_can_start_later(tmp_path: Path) -> None:
    mouse = _mouse(_file(tmp_path, HEADER + ROWS, "mouse.csv"), start_s=1.7)
    assert mouse.counts(10 * S) == 3
    assert mouse.licks(99 * S) == [10 * S + 68 * MS]


def test_blocks_are_played_one_after_the_other(tmp_path: Path) -> None:
    anew = "2,9,0,500\n2,1,0,520\n"
    recording = read_recording(_file(tmp_path, HEADER + ROWS + anew))
    assert list(recording.t[-3:] // MS) == [1768, 1785, 1805]
    assert all(a < b for a, b in pairwise(recording.t))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        (HEADER, "is empty"),
        ("speed,time_ms\n1,2\n3,4\n", "is not a recording"),
        (HEADER + ROWS + "1,2,0\n", "a row is truncated"),
        (HEADER + "0,0,zero,1000\n0,0,zero,1001\n", "not integers"),
        (HEADER + "0,0,0,1000\n0,0,0,1010\n0,0,0,1009\n", "line 4: time does not increase"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(Refused, match=expected):
        read_recording(_file(tmp_path, text))


def test_a_missing_or_cut_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="does not exist"):
        read_recording(tmp_path / "mouse.csv.gz")
    whole = _file(tmp_path, HEADER + ROWS * 1)
    for size in (5, 20, len(whole.read_bytes()) - 4):
        cut = tmp_path / f"cut{size}.csv.gz"
        cut.write_bytes(whole.read_bytes()[:size])
        with pytest.raises(Refused):
            read_recording(cut)
    plain = tmp_path / "plain.csv.gz"
    plain.write_text(HEADER + ROWS)
    with pytest.raises(Refused, match="is not a recording"):
        read_recording(plain)


def test_a_start_beyond_the_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="lasts only 2 s; set start_s to less"):
        _mouse(_file(tmp_path, HEADER + ROWS), start_s=5.0)
