"""The pages of the simulated microscope agree with the ground truth that it writes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from acquisition.simulation.ground_truth import read_truth, truth_folder
from acquisition.simulation.simulated_cells import read_cells
from acquisition.simulation.strip_layout import StripLayout
from rig.messages import Message
from tests.acquisition.scopes import (
    FRAME_NS,
    SHIPPED,
    at,
    begun,
    only_tiff,
    recorded,
    start,
    trial,
)

FEW = {"cells": 16, "radius_px": 3.0}


@pytest.fixture(autouse=True)
def session_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(SHIPPED, tmp_path / "cells.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("messages", "answers"),
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
    messages: list[Message], answers: bool
) -> None:
    recorded(messages)
    leaf = read_cells(SHIPPED, StripLayout(128, 128)).prefers == 0
    per_frame = read_truth(only_tiff()).spikes[:, leaf].mean()
    assert (per_frame > 0.5) == answers
    assert answers or per_frame < 0.15


@pytest.mark.parametrize(("leaves_after", "answers"), [(0.6, True), (0.4, False)])
def test_a_frame_shows_where_the_animal_was_in_the_middle_of_its_scan(
    leaves_after: float, answers: bool
) -> None:
    """In each frame the animal runs in leaf1 for that fraction of the scan, then is in grey."""
    node = begun([])
    node.handle(start())
    node.handle(trial("leaf1"))
    for frame in range(30):
        t = frame * FRAME_NS
        node.tick(t)
        node.handle(at(2.0, t=t))
        node.handle(at(0.0, number=-1, t=t + round(leaves_after * FRAME_NS)))
    node.close()
    leaf = read_cells(SHIPPED, StripLayout(128, 128)).prefers == 0
    per_frame = read_truth(only_tiff()).spikes[:, leaf].mean()
    assert (per_frame > 0.5) == answers
    assert answers or per_frame < 0.15


def test_the_ground_truth_is_beside_the_file() -> None:
    node = begun([], cells_file="", depths=2, rois=2, height_px=48, width_px=40, brain=FEW)
    for message in (start(), trial("leaf1"), at(1.0)):
        node.handle(message)
    for i in range(7):
        node.tick(i * FRAME_NS)
    node.close()
    with tifffile.TiffFile(only_tiff()) as file:
        pages = [page.asarray() for page in file.pages]
        groups = file.scanimage_metadata["RoiGroups"]["imagingRoiGroup"]  # type: ignore[index]
    assert [page.shape for page in pages] == [(48 + 12 + 48, 40)] * 7
    assert [roi["zs"] for roi in groups["rois"]] == [[100, 180]] * 2
    truth = read_truth(only_tiff())
    assert truth.number.tolist() == list(range(1, 8))
    assert truth.t_ns.tolist() == [i * FRAME_NS for i in range(7)]
    assert truth.plane.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert truth.spikes.shape == (7, 16) and truth.spikes.any()
    assert truth.moved_px.shape == (7, 4, 2) and truth.blocks_px.shape == (4, 2)
    cells = read_cells(
        truth_folder(only_tiff()) / "cells.csv", StripLayout(48, 40, 2, 12), depths=2
    )
    for plane in (0, 1):
        others = truth.spikes[truth.plane == plane][:, cells.plane != plane]
        assert not others.any()


def test_the_true_motion_is_that_of_the_pages() -> None:
    """Phase correlation of each frame with the mean of the others, with little noise."""
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
