"""One whole real session: screens, messages, files and what is read back agree."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from acquisition.follow.file_follower import FileFollower
from analysis.session import Session
from rig.cli.sessions.end_summary import SUMMARY_FILE
from rig.messages import Edge
from rig.replay.replay import replay
from rig.session.provenance import about
from rig.transport.frame_ring import read_pixels
from rig.transport.log import JOURNAL_FOLDER, LOG_FILE, read_kinds
from stimuli.window.display_requirements import missing
from tests.live import NO_SCREEN, SHORT, Live

TRIALS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    screen = () if missing() is None else (NO_SCREEN,)
    with Live(
        tmp_path_factory.mktemp("data"),
        *SHORT,
        *screen,
        args=("--trials", str(TRIALS), "--seed", "3"),
    ) as live:
        code, output = live.end()
        assert code == 0, output
        yield live.folder


def test_the_summary_agrees_with_the_log(folder: Path) -> None:
    summary = json.loads((folder / SUMMARY_FILE).read_text())
    assert summary["end_reason"] == "all trials done"
    assert len(summary["trials"]) == TRIALS
    assert summary["gaps"] == 0
    assert summary["faults"] == []
    assert summary["rewards"] == sum(t["reward_position_m"] is not None for t in summary["trials"])
    assert summary["water_ul"] == pytest.approx(3.0 * summary["rewards"])
    frames = {summary[f"frames_{how}"] for how in ("written", "streamed", "analysed")}
    assert len(frames) == 1
    assert summary["latency_ms"]["wheel_to_flip"]["n"] > 0
    written = summary["frames_written"]
    assert summary["integrity"] == {
        "sound": True,
        "edges": written,
        "pages": written,
        "findings": {},
    }


def test_nothing_is_left_behind(folder: Path) -> None:
    assert not (folder / JOURNAL_FOLDER).exists()
    assert not list(folder.glob("*.err.txt"))
    ring = Session(folder).settings["ring"]["path"]
    assert not Path(ring).exists()


def test_rewards_are_in_the_texture_of_rewarded_corridors_after_the_cue(folder: Path) -> None:
    trials = Session(folder).trials
    assert (trials.stimulus[trials.rewarded] == "leaf1").all()
    got = trials.dropna(subset="reward_position_m")
    assert len(got) > 0
    assert got.rewarded.all()
    assert (got.reward_position_m >= got.cue_position_m).all()
    assert (got.reward_position_m < got.texture_m).all()


def test_streamed_frames_are_the_pages_of_the_file(folder: Path) -> None:
    frames = Session(folder).frames
    follower = FileFollower(folder / "imaging" / "field_00001.tif")
    pages = list(follower.poll())
    assert len(pages) == len(frames)
    rows: list[Any] = frames.to_dict("records")
    for page, row in zip(pages, rows, strict=True):
        frame = SimpleNamespace(**row)
        where = (folder / frame.file, frame.offset_bytes, (frame.height_px, frame.width_px))
        pixels = read_pixels(*where, frame.dtype)
        assert pixels is not None
        assert np.array_equal(pixels, follower.pixels(page))
    follower.close()


def test_final_selectivity_is_the_formula_on_the_logged_traces(folder: Path) -> None:
    session = Session(folder)
    decoded, texture_m = session.decoded, session.settings["task"]["texture_m"]
    inside = decoded.moving & (decoded.position_m < texture_m) & (decoded.trial >= 0)
    a, b = (
        session.traces[(inside & (decoded.stimulus == name)).to_numpy()].astype(np.float64)
        for name in ("leaf1", "circle1")
    )
    assert min(len(a), len(b)) > 3
    formula = 2 * (a.mean(0) - b.mean(0)) / (a.std(0) + b.std(0))
    np.testing.assert_allclose(session.d_prime[-1], formula, rtol=1e-6)


def test_the_simulated_cells_preference_is_recovered(folder: Path) -> None:
    cells = np.genfromtxt(
        folder / "files" / "simulated_cells.csv", delimiter=",", names=True, dtype=None
    )
    d_prime = Session(folder).d_prime[-1]
    assert (d_prime[cells["prefers"] == "leaf1"] > 0.3).mean() > 0.9
    assert (d_prime[cells["prefers"] == "circle1"] < -0.3).mean() > 0.9


def light_changes(folder: Path) -> int:
    """Return how often the photodiode's line changed in a session."""
    edges = [message for _, message in read_kinds(folder / LOG_FILE, {Edge})]
    return sum(isinstance(message, Edge) and message.line == "photodiode" for message in edges)


def test_it_replays_bit_for_bit(folder: Path) -> None:
    session = Session(folder)
    report = replay(folder, [], about())
    assert report.first is None
    assert report.exact
    assert report.unproven == {}
    assert report.compared["online"] == len(session.decoded) + len(session.learning)
    assert report.compared["integrity"] == len(Session(folder).integrity)
    assert light_changes(folder) > 100  # its photodiode took part
    assert report.compared["task"] > len(Session(folder).position)


def test_another_running_rule_is_caught_by_the_replay(folder: Path) -> None:
    report = replay(folder, ["task.run_threshold_cm_s=30"], about())
    assert report.first is not None
    assert report.first.sender == "task"
