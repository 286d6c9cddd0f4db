"""The detected cells are those of the simulated microscope, and few others."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from acquisition.simulation.ground_truth import read_truth
from analysis.cells.model import Cells
from analysis.cells.read_cells import read_cells
from analysis.cells.run_length_masks import decode_runs, encode_runs, label_image
from analysis.detection.cell_detector import CellDetector, FindSettings
from analysis.online import Online
from analysis.registration.rigid import MotionSettings
from analysis.report.write import report
from analysis.session import Session
from analysis.session.offline_tuning import imaged_cells
from behavior.hardware import Hardware
from rig import virtual_session
from rig.errors import Refused
from rig.messages import CellsFound, CellSignals, Fault, Frame, Message
from rig.process import completed
from rig.replay.replay import replay
from rig.session.provenance import about
from tests.analysis.logs import write_log
from tests.analysis.nodes import SIGNALS
from tests.behavior.sessions import session

SHIPPED = Path(__file__).parents[3] / "rig" / "setups" / "simulated_cells.csv"
AFTER_S = 120.0


def node(**table: Any) -> tuple[Online, list[Message]]:
    published: list[Message] = []
    made = Online(msgspec.convert(table, Online.Settings), published.append)
    made.open()
    return made, published


def handle_all(made: Online, pages: NDArray[np.int16], rate_hz: float = 3.0) -> None:
    for index, page in enumerate(pages):
        time_s = index / rate_hz
        t = int(time_s * 1e9)
        height, width = page.shape
        frame = Frame(t, index, "a.tif", 0, height, width, time_s, pixels=page, number=index + 1)
        made.handle(frame)
    made.close()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session in virtual time without a cells file, which detects its cells."""
    folder = tmp_path_factory.mktemp("found")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(Hardware, "period_s", 0.02)
        shutil.copy(SHIPPED, folder / "cells.csv")
        chosen = session(3, trials=18, signals=SIGNALS)
        nodes = {
            **chosen.nodes,
            "mesoscope": {"run": "acquisition.mesoscope", "cells_file": "cells.csv"},
            "stream": {"run": "acquisition.stream"},
            "online": {"run": "analysis.online", "find": {"after_s": AFTER_S}},
        }
        chosen = msgspec.structs.replace(chosen, nodes=nodes, about=about())
        write_log(folder, virtual_session.run(completed(chosen)))
    yield Session(folder)


def test_trials_before_the_cells_are_known_do_not_count(found: Session) -> None:
    begins_s = float(found.found.t_s.iloc[0])
    done = found.trials[found.trials.outcome == "done"]
    later = done[done.start_s > begins_s]
    assert 0 < len(later) < len(done)
    assert found.analysed_trials.trial.tolist() == later.trial.tolist()
    last = found.learning.iloc[-1]
    assert int(last.trials) == len(later)
    assert len(last.responded) == len(later)
    tuned = np.concatenate(found.decoded.tuned.tolist())
    assert int(tuned.max()) < 60 * (len(later) + 1)


def matched(cells: Cells, y: Any, x: Any, radius_px: Any) -> dict[int, int]:
    """Return the true cell of each found one: within its radius, nearest pairs first, once each."""
    middle = cells.centres()
    away = np.hypot(middle[:, :1] - y, middle[:, 1:] - x)
    pairs: dict[int, int] = {}
    for at in np.argsort(away, axis=None):
        mine, true = divmod(int(at), len(y))
        if away[mine, true] > radius_px[true]:
            continue
        if mine not in pairs and true not in pairs.values():
            pairs[mine] = true
    return pairs


def test_cells_that_fire_are_found_and_hardly_any_others(found: Session) -> None:
    cells = imaged_cells(found)
    assert cells is not None
    with SHIPPED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    y, x, radius = (np.array([float(r[k]) for r in rows]) for k in ("y_px", "x_px", "radius_px"))
    pairs = matched(cells, y, x, radius)
    (tiff,) = (found.folder / "imaging").glob("*.tif")
    truth = read_truth(tiff)
    looked = truth.t_ns < truth.t_ns[0] + AFTER_S * 1e9
    fires = truth.spikes[looked].sum(axis=0) / AFTER_S >= 0.5
    hit = np.isin(np.flatnonzero(fires), list(pairs.values()))
    false = len(cells) - len(pairs)
    print(f"{hit.mean():.1%} of {fires.sum()} cells that fire found; {false} of {len(cells)} false")
    assert hit.mean() >= 0.8
    assert false <= 0.05 * len(cells)


def test_signals_begin_when_cells_are_detected(found: Session) -> None:
    cells = imaged_cells(found)
    assert cells is not None
    (row,) = found.found.itertuples()
    announced: Any = row
    assert announced.cells == len(cells) == found.traces.shape[1]
    assert found.decoded.frame.iloc[0] == announced.frame
    times_s = found.frames.timestamp_s
    assert times_s[announced.frame] - times_s[0] == pytest.approx(AFTER_S, abs=1.0)
    assert len(found.decoded) == len(found.frames) - announced.frame
    assert np.abs(np.nan_to_num(found.d_prime[-1])).max() > 0.3
    under_way = found.decoded[found.decoded.trial >= 0]
    began = found.trials.start_s[under_way.trial.iloc[0]]
    assert began < found.frames.t_s[announced.frame]  # the trial had begun before
    assert under_way.stimulus.notna().all()


def test_the_report_saves_them_for_another_day(found: Session, tmp_path: Path) -> None:
    report(found.folder, tmp_path / "report.html")
    assert "Cells were found during the session" in (tmp_path / "report.html").read_text()
    before, again = imaged_cells(found), read_cells(tmp_path / "found_cells.npy")
    assert before is not None
    assert again.drawn_on == (128, 128)
    assert len(again) == len(before)
    np.testing.assert_array_equal(again.centres(), before.centres())


def test_it_replays_bit_for_bit(found: Session) -> None:
    result = replay(found.folder, [], about())
    assert (result.first, result.exact) == (None, True)
    assert result.compared["online"] == len(found.decoded) + len(found.learning) + 1


def test_another_contrast_is_caught_by_the_replay(found: Session) -> None:
    result = replay(found.folder, ["nodes.online.find.contrast=0.2"], about())
    assert result.first is not None
    assert result.first.sender == "online"


@pytest.mark.parametrize("dim", ["flat", "noise", "steady"])
def test_a_field_without_cells_is_reported_in_one_sentence(dim: str) -> None:
    rng = np.random.default_rng(4)
    pages = np.full((90, 48, 40), 300, np.int16)
    if dim != "flat":
        pages += rng.normal(0, 250, pages.shape).astype(np.int16)
    if dim == "steady":
        pages[:, 10:16, 10:16] += 900
    made, published = node(find={"after_s": 20.0})
    handle_all(made, pages)
    messages = [message for message in published if isinstance(message, CellsFound)]
    assert [message.cells for message in messages] == [0]
    (fault,) = [message for message in published if isinstance(message, Fault)]
    assert "no cell was detected in the first 20 s: this session has no signals" in fault.text
    assert not any(isinstance(message, CellSignals) for message in published)


def test_a_session_that_ends_before_cells_are_detected_is_reported() -> None:
    made, published = node(find={"after_s": 60.0})
    handle_all(made, np.full((30, 32, 32), 300, np.int16))
    (fault,) = published
    assert isinstance(fault, Fault)
    assert "ended 10 s after its first frame, before cells were detected" in fault.text


def test_a_flickering_blob_is_found_at_its_place_in_the_reference() -> None:
    rng = np.random.default_rng(4)
    scene = np.abs(np.cumsum(rng.normal(0, 40, (64, 64)), axis=1)) + 200
    y, x = np.mgrid[:64, :64]
    blob = np.hypot(y - 30, x - 41) <= 4
    finder = CellDetector((64, 64), FindSettings(), MotionSettings(reference_s=10.0), scene)
    level = 0.0
    for index in range(150):
        level = 0.7 * level + (rng.random() < 0.15)
        page = rng.normal(scene * (1 + level * blob), 20).astype(np.int16)
        finder.add_page(
            np.roll(page, (3 * (index % 5) - 6, 4 * (index % 4) - 6), (0, 1)), index / 3
        )
    labels = finder.find_cells()
    assert labels.max() == 1
    mine = labels == 1
    assert (mine & blob).sum() / (mine | blob).sum() > 0.6


def test_cells_are_either_given_or_detected() -> None:
    for table in ({}, {"cells_file": "a.csv", "find": {}}):
        with pytest.raises(Refused, match="cells_file or a table `find`, not both"):
            node(**table)
    with pytest.raises(Refused, match="areas_file gives the areas of the cells of cells_file"):
        node(find={}, areas_file="a.npy")


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), planes=st.integers(1, 3))
def test_masks_are_restored_from_their_runs(seed: int, planes: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.zeros((planes, 7, 9), np.int32)
    for plane in labels:
        drawn = rng.integers(0, 5, plane.shape)
        names = np.unique(drawn[drawn > 0])
        plane[:] = np.searchsorted(np.concatenate(([0], names)), drawn)
    runs = [np.insert(encode_runs(plane), 0, n, axis=1) for n, plane in enumerate(labels)]
    joined = np.concatenate(runs)
    if len(joined):
        np.testing.assert_array_equal(label_image(decode_runs(joined), planes, (7, 9)), labels)
    else:
        assert not labels.any()
