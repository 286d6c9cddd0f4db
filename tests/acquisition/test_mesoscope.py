"""The simulated microscope: a frame and a pulse a tick, in a file as ScanImage's."""

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tifffile

from acquisition.cells import read_cells
from acquisition.closed import pages_in
from acquisition.follow import FileFollower
from acquisition.layout import Layout
from acquisition.mesoscope import Mesoscope
from acquisition.truth import read_truth, truth_folder
from rig.clock import SetClock
from rig.messages import Message, Position, Pulse, Start, TrialStart
from rig.refused import Refused

SHIPPED = Path(__file__).parents[2] / "rig" / "setups" / "simulated_cells.csv"
FRAME_NS = 333_333_333
FEW = {"cells": 16, "radius_px": 3.0}


@pytest.fixture(autouse=True)
def session_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(SHIPPED, tmp_path / "cells.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(**table: Any) -> Mesoscope.Settings:
    return msgspec.convert({"cells_file": "cells.csv", **table}, Mesoscope.Settings)


def start(seed: int = 1, **more: Any) -> Start:
    return Start(0, {"seed": seed, "ring": None, **more})


def trial(stimulus: str, number: int = 0) -> TrialStart:
    return TrialStart(0, number, stimulus, None, False, 4.0, 2.0, None, "none", 0.0)


def at(position_m: float, moving: bool = True, number: int = 0, t: int = 0) -> Position:
    return Position(t, number, position_m, 60.0, moving, "corridor")


def begun(said: list[Message], **table: Any) -> Mesoscope:
    node = Mesoscope(settings(**table), said.append)
    node.clock = SetClock()
    node.open()
    return node


def only_tiff() -> Path:
    (path,) = Path("imaging").glob("*.tif")
    return path


def recorded(words: list[Message], frames: int = 30, seed: int = 1, **table: Any) -> Any:
    """Return the frames of a microscope that has heard these words."""
    node = begun([], **table)
    for word in [start(seed), *words]:
        node.hear(word)  # type: ignore[arg-type]
    for i in range(frames):
        node.tick(i * FRAME_NS)
    node.close()
    path = sorted(Path("imaging").glob("*.tif"))[-1]
    return tifffile.imread(path)


@pytest.mark.parametrize("link", ["pre", "post"])
@pytest.mark.parametrize("piece_kb", [0, 1])
def test_each_frame_has_an_edge_as_it_begins_and_a_page_as_it_ends(
    link: str, piece_kb: int
) -> None:
    said: list[Message] = []
    node = begun(said, link=link, piece_kb=piece_kb, height_px=130, width_px=140)
    node.tick(0)
    assert said == []
    node.hear(start(began="2025-05-06T07:08:09.125+02:00"))
    times = [1_000_000_000 + i * FRAME_NS for i in range(4)]
    for frames_over, now in enumerate(times):
        node.tick(now)
        with closing(FileFollower(only_tiff())) as follower:
            assert len(list(follower.poll())) == frames_over
    node.close()
    assert said == [Pulse(now, "frame_clock") for now in times]
    assert pages_in(only_tiff()) == 4
    with tifffile.TiffFile(only_tiff()) as file:
        assert file.asarray().shape == (4, 130, 140)
        texts = [page.description for page in file.pages]  # type: ignore[union-attr]
    for i, text in enumerate(texts):
        assert f"frameNumbers = {i + 1}\n" in text
        assert f"frameTimestamps_sec = {i * FRAME_NS / 1e9:.9f}\n" in text
        assert "epoch = [2025 05 06 07 08 9.125]" in text


def test_it_ticks_as_often_as_its_frame_rate_says() -> None:
    assert Mesoscope(settings(), print).period_s == pytest.approx(1 / 3)
    assert Mesoscope(settings(frame_rate_hz=10), print).period_s == pytest.approx(0.1)


def test_the_same_seed_gives_the_same_frames() -> None:
    words: list[Message] = [trial("leaf1"), at(1.0)]
    first, again, other = (recorded(words, frames=3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        ([trial("leaf1"), at(2.0)], True),
        ([trial("leaf1"), at(2.0, moving=False)], False),
        ([trial("leaf1"), at(2.0), at(0.0, number=-1)], False),
        ([trial("leaf1"), trial("circle1", number=1), at(2.0)], True),
        ([at(2.0)], False),
        ([trial("leaf1", number=1), at(2.0, number=0)], False),
    ],
)
def test_leaf_cells_fire_while_the_animal_runs_in_leaves(
    words: list[Message], answers: bool
) -> None:
    recorded(words)
    leaf = read_cells(SHIPPED, Layout(128, 128)).prefers == 0
    per_frame = read_truth(only_tiff()).spikes[:, leaf].mean()
    assert (per_frame > 0.5) == answers
    assert answers or per_frame < 0.15


@pytest.mark.parametrize(("leaves_after", "answers"), [(0.6, True), (0.4, False)])
def test_a_frame_shows_where_the_animal_was_in_the_middle_of_its_scan(
    leaves_after: float, answers: bool
) -> None:
    """In each frame it runs in leaves for that part of the scan, then stands in grey."""
    node = begun([])
    node.hear(start())
    node.hear(trial("leaf1"))
    for frame in range(30):
        t = frame * FRAME_NS
        node.tick(t)
        node.hear(at(2.0, t=t))
        node.hear(at(0.0, number=-1, t=t + round(leaves_after * FRAME_NS)))
    node.close()
    leaf = read_cells(SHIPPED, Layout(128, 128)).prefers == 0
    per_frame = read_truth(only_tiff()).spikes[:, leaf].mean()
    assert (per_frame > 0.5) == answers
    assert answers or per_frame < 0.15


def test_the_truth_lies_beside_the_file() -> None:
    node = begun([], cells_file="", depths=2, rois=2, height_px=48, width_px=40, brain=FEW)
    for word in (start(), trial("leaf1"), at(1.0)):
        node.hear(word)
    for i in range(7):
        node.tick(i * FRAME_NS)
    node.close()
    with tifffile.TiffFile(only_tiff()) as file:
        pages = [page.asarray() for page in file.pages]  # type: ignore[union-attr]
        groups = file.scanimage_metadata["RoiGroups"]["imagingRoiGroup"]  # type: ignore[index]
    assert [page.shape for page in pages] == [(48 + 12 + 48, 40)] * 7
    assert [roi["zs"] for roi in groups["rois"]] == [[100, 180]] * 2
    truth = read_truth(only_tiff())
    assert truth.number.tolist() == list(range(1, 8))
    assert truth.t_ns.tolist() == [i * FRAME_NS for i in range(7)]
    assert truth.plane.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert truth.spikes.shape == (7, 16) and truth.spikes.any()
    assert truth.moved_px.shape == (7, 4, 2) and truth.blocks_px.shape == (4, 2)
    cells = read_cells(truth_folder(only_tiff()) / "cells.csv", Layout(48, 40, 2, 12), depths=2)
    for plane in (0, 1):
        others = truth.spikes[truth.plane == plane][:, cells.plane != plane]
        assert not others.any()


def test_the_true_motion_is_that_of_the_picture() -> None:
    """Phase correlation of each frame with the mean of the others, without noise to speak of."""
    bright = {"cells": 300, "motion_px": 2.0, "warp_px": 0.0, "radius_px": 3.0}
    frames = recorded([], frames=40, cells_file="", brain=bright).astype(float)
    truth = read_truth(only_tiff())
    spectra = np.fft.fft2(frames - frames.mean((1, 2), keepdims=True))
    found = []
    for other in spectra[1:]:
        cross = np.fft.ifft2(np.conj(spectra[0]) * other).real
        peak = np.array(np.unravel_index(cross.argmax(), cross.shape))
        found.append((peak + 64) % 128 - 64)
    moved = truth.moved_px[1:, 0] - truth.moved_px[0, 0]
    assert np.abs(moved).max() > 2.5
    wrong = np.abs(np.array(found) - moved).max(1)
    assert np.quantile(wrong, 0.9) <= 1.0


@pytest.mark.parametrize(
    ("planted", "edges", "pages"),
    [
        ({}, [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]),
        ({"pages_lost": [2]}, [1, 2, 3, 4, 5], [1, 3, 4, 5]),
        ({"pages_doubled": [2]}, [1, 2, 3, 4, 5], [1, 2, 2, 3, 4, 5]),
        ({"edges_lost": [1, 3]}, [2, 4, 5], [1, 2, 3, 4, 5]),
        ({"edges_doubled": [4]}, [1, 2, 3, 4, 4.06, 5], [1, 2, 3, 4, 5]),
        ({"edges_late": [5]}, [1, 2, 3, 4, 5.18], [1, 2, 3, 4, 5]),
        ({"silent_from": 3, "silent_s": 0.6}, [1, 2, 5], [1, 2, 3]),
        ({"crashes_in": 3}, [1, 2, 3, 4], [1, 2]),
    ],
)
def test_faults_are_planted_on_demand(
    planted: dict[str, Any], edges: list[float], pages: list[int]
) -> None:
    said: list[Any] = []
    node = begun(said, planted=planted)
    node.hear(start())
    for i in range(5):
        node.tick(i * FRAME_NS)
    node.close()
    found = [round(1 + pulse.t / FRAME_NS, 2) for pulse in said]
    assert found == pytest.approx(edges, abs=0.01)
    with closing(FileFollower(only_tiff())) as follower:
        assert [page.number for page in follower.poll()] == pages
        assert bool(follower.torn_bytes) == ("crashes_in" in planted)


def test_a_second_life_begins_a_second_file() -> None:
    first = recorded([], frames=2)
    recorded([], frames=3)
    paths = sorted(Path("imaging").glob("*.tif"))
    assert [pages_in(path) for path in paths] == [2, 3]
    np.testing.assert_array_equal(tifffile.imread(paths[0]), first)


def test_a_folder_that_cannot_be_written_to_is_refused(session_folder: Path) -> None:
    (session_folder / "imaging").write_text("a file where the folder should be")
    with pytest.raises(Refused, match="imaging folder imaging cannot be written to"):
        begun([])


def test_it_closes_without_having_begun() -> None:
    begun([]).close()
    assert list(Path("imaging").iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"frame_rate_hz": 0},
        {"link": "both"},
        {"height_px": 3},
        {"gain": 2},
        {"brain": {"cells": 90_001}},
        {"planted": {"pages_lost": [0]}},
    ],
)
def test_wrong_settings_are_errors(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        settings(**wrong)
