"""What the simulated microscope's cells really prefer is what the analysis of its pages finds."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from acquisition.cells import table
from acquisition.layout import Layout
from acquisition.specimen import Brain, Specimen
from analysis.areas import GROUPS, NAMES
from analysis.session import Session
from behavior.devices.hardware import Hardware
from rig import virtual
from rig.process import completed
from rig.replay import replay
from rig.session.about import about
from tests.analysis.logs import write_log
from tests.behavior.sessions import session

SHIPPED = Path(__file__).parents[2] / "rig" / "setups" / "simulated_cells.csv"


def imaged(folder: Path, cells: Path, trials: int, **mesoscope: Any) -> Session:
    """A whole session in virtual time: mouse, task, microscope, stream, analysis."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(Hardware, "period_s", 0.02)
        (folder / "files").mkdir()
        shutil.copy(cells, folder / "files" / "cells.csv")
        named = {"cells_file": "files/cells.csv"}
        chosen = session(3, trials=trials)
        nodes = {
            **chosen.nodes,
            "mesoscope": {"run": "acquisition.mesoscope", **named, **mesoscope},
            "stream": {"run": "acquisition.stream"},
            "online": {"run": "analysis.online", **named},
        }
        chosen = msgspec.structs.replace(chosen, nodes=nodes, about=about())
        write_log(folder, virtual.run(completed(chosen)))
    return Session(folder)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    yield imaged(tmp_path_factory.mktemp("shipped"), SHIPPED, 16)


def test_leaf_and_circle_cells_are_found_with_their_areas(shipped: Session) -> None:
    with SHIPPED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    d_prime = shipped.d_prime[-1].astype(np.float64)
    found = np.select([d_prime >= 0.3, d_prime <= -0.3], ["leaf1", "circle1"], "none")
    prefers = np.array([row["prefers"] for row in rows])
    ready = np.array([float(row["learns_at"]) < 1.0 for row in rows])
    for name in ("leaf1", "circle1"):
        own = (prefers == name) & ready
        missed, taken = (
            np.mean(found[own] != name),
            np.mean(found[(prefers != name) & (prefers != "reward")] == name),
        )
        print(f"{name}: {missed:.1%} of {own.sum()} missed, {taken:.1%} of the others taken for it")
        assert missed <= 0.1
        assert taken <= 0.1
    areas = np.array([int(row["area"]) for row in rows])
    of_leaf = shipped.fractions[-1, :, 1, 2].astype(np.float64)
    for name, ids in GROUPS.items():
        own = np.isin(areas, ids)
        wanted = np.mean(found[own] == "leaf1") if own.any() else np.nan
        assert of_leaf[NAMES.index(name)] == pytest.approx(wanted, nan_ok=True, abs=1e-6)


def test_motion_is_followed(shipped: Session) -> None:
    moved = np.array([m[0] for m in shipped.decoded.motion])
    assert np.isfinite(moved).all()
    assert np.median(moved[:, 2]) > 0.1


def test_it_replays_bit_for_bit(shipped: Session) -> None:
    report = replay(shipped.folder, [], about())
    assert (report.first, report.exact) == (None, True)
    assert report.compared["online"] == len(shipped.decoded) == len(shipped.frames)


def test_another_share_of_neuropil_is_caught_by_the_replay(shipped: Session) -> None:
    report = replay(shipped.folder, ["nodes.online.traces.neuropil_share=0.6"], about())
    assert report.first is not None
    assert report.first.speaker == "online"


def test_strips_and_depths_are_put_together(tmp_path: Path) -> None:
    layout = Layout(64, 64, 2, 8)
    cells = Specimen(Brain(cells=40, radius_px=3.0), layout, 2, None).cells
    path = tmp_path / "drawn.csv"
    path.write_text(table(cells))
    made = imaged(
        tmp_path, path, 4, height_px=64, width_px=64, rois=2, fly_rows=8, depths=2,
        frame_rate_hz=6.0,
    )  # fmt: skip
    volumes = made.decoded
    assert len(volumes) == len(made.frames) // 2
    assert {len(motion) for motion in volumes.motion} <= {3, 4}
    assert made.traces.shape[1] == len(cells)
    assert (made.traces.max(axis=0) > 0).all()
