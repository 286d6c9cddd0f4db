"""The simulated microscope: one frame and one pulse per tick, in a file like ScanImage's."""

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tifffile

from acquisition.files.vendor_reader import pages_in
from acquisition.follow.file_follower import FileFollower
from acquisition.mesoscope import Mesoscope
from rig.errors import Refused
from rig.messages import Message, Pulse
from tests.acquisition.scopes import (
    FRAME_NS,
    SHIPPED,
    at,
    begun,
    only_tiff,
    recorded,
    settings,
    start,
    trial,
)


@pytest.fixture(autouse=True)
def session_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(SHIPPED, tmp_path / "cells.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("link", ["pre", "post"])
@pytest.mark.parametrize("piece_kb", [0, 1])
def test_each_frame_has_an_edge_as_it_begins_and_a_page_as_it_ends(
    link: str, piece_kb: int
) -> None:
    published: list[Message] = []
    node = begun(published, link=link, piece_kb=piece_kb, height_px=130, width_px=140)
    node.tick(0)
    assert published == []
    node.handle(start(began="2025-05-06T07:08:09.125+02:00"))
    times = [1_000_000_000 + i * FRAME_NS for i in range(4)]
    for frames_over, now in enumerate(times):
        node.tick(now)
        with closing(FileFollower(only_tiff())) as follower:
            assert len(list(follower.poll())) == frames_over
    node.close()
    assert published == [Pulse(now, "frame_clock") for now in times]
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


def test_a_frame_that_begins_late_lasts_as_long_as_any() -> None:
    node = Mesoscope(settings(frame_rate_hz=10), print)
    due, begins = 0, []
    for late_ms in (0, 3, 0, 80, 0, 0, 250, 9, 0):
        begins.append(due + late_ms * 1_000_000)
        due = node.next_due(due, begins[-1])
    lasted_ms = np.diff(begins) / 1e6
    assert lasted_ms.min() >= 90 and lasted_ms.tolist()[:5] == [103, 97, 180, 100, 100]


def test_the_same_seed_gives_the_same_frames() -> None:
    messages: list[Message] = [trial("leaf1"), at(1.0)]
    first, again, other = (recorded(messages, frames=3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("faults", "edges", "pages"),
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
def test_faults_are_injected_on_demand(
    faults: dict[str, Any], edges: list[float], pages: list[int]
) -> None:
    published: list[Any] = []
    node = begun(published, injected_faults=faults)
    node.handle(start())
    for i in range(5):
        node.tick(i * FRAME_NS)
    node.close()
    found = [round(1 + pulse.t / FRAME_NS, 2) for pulse in published]
    assert found == pytest.approx(edges, abs=0.01)
    with closing(FileFollower(only_tiff())) as follower:
        assert [page.number for page in follower.poll()] == pages
        assert bool(follower.torn_bytes) == ("crashes_in" in faults)


def test_a_second_incarnation_begins_a_second_file() -> None:
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
        {"injected_faults": {"pages_lost": [0]}},
    ],
)
def test_wrong_settings_are_errors(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        settings(**wrong)
