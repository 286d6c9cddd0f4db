"""What the simulated microscope's cells really prefer is what the analysis of its pages finds."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from acquisition.simulation.simulated_brain import Brain, SimulatedBrain
from acquisition.simulation.simulated_cells import table
from acquisition.simulation.strip_layout import StripLayout
from analysis.cells.areas import GROUPS, NAMES
from analysis.session import Session
from behavior.hardware import Hardware
from rig import virtual_session
from rig.process import completed
from rig.replay.replay import replay
from rig.session.provenance import about
from tests.analysis.logs import write_log
from tests.analysis.nodes import SIGNALS
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
        chosen = session(3, trials=trials, signals=SIGNALS)
        nodes = {
            **chosen.nodes,
            "mesoscope": {"run": "acquisition.mesoscope", **named, **mesoscope},
            "stream": {"run": "acquisition.stream"},
            "online": {"run": "analysis.online", **named},
        }
        chosen = msgspec.structs.replace(chosen, nodes=nodes, about=about())
        write_log(folder, virtual_session.run(completed(chosen)))
    return Session(folder)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    yield imaged(tmp_path_factory.mktemp("shipped"), SHIPPED, 16)


def error_rates(session: Session, rows: list[dict[str, str]]) -> dict[str, tuple[float, float]]:
    """Return, for leaf1 and circle1 cells that have learned, which part was missed, and which part
    of the others was taken for them; print both."""
    d_prime = session.d_prime[-1].astype(np.float64)
    found = np.select([d_prime >= 0.3, d_prime <= -0.3], ["leaf1", "circle1"], "none")
    prefers = np.array([row["prefers"] for row in rows])
    ready = np.array([float(row["learns_at"]) < 1.0 for row in rows])
    rates = {}
    for name in ("leaf1", "circle1"):
        own, others = (prefers == name) & ready, (prefers != name) & (prefers != "reward")
        missed, taken = float(np.mean(found[own] != name)), float(np.mean(found[others] == name))
        print(f"{name}: {missed:.1%} of {own.sum()} missed, {taken:.1%} of {others.sum()} others")
        rates[name] = missed, taken
    return rates


def test_leaf_and_circle_cells_are_found_with_their_areas(shipped: Session) -> None:
    with SHIPPED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert np.max(list(error_rates(shipped, rows).values())) <= 0.1
    d_prime = shipped.d_prime[-1].astype(np.float64)
    found = np.select([d_prime >= 0.3, d_prime <= -0.3], ["leaf1", "circle1"], "none")
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
    assert len(shipped.decoded) == len(shipped.frames)
    assert report.compared["online"] == len(shipped.decoded) + len(shipped.learning)


def test_another_share_of_neuropil_is_caught_by_the_replay(shipped: Session) -> None:
    report = replay(shipped.folder, ["nodes.online.traces.neuropil_share=0.6"], about())
    assert report.first is not None
    assert report.first.sender == "online"


def test_strips_and_depths_are_put_together(tmp_path: Path) -> None:
    layout = StripLayout(64, 64, 2, 8)
    cells = SimulatedBrain(Brain(cells=40, radius_px=3.0), layout, 2, None).cells
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


def test_thousands_of_cells_are_recovered_area_by_area(tmp_path: Path) -> None:
    """The share of leaf1 and of circle1 cells in each group of areas, of 2,000 drawn cells."""
    layout = StripLayout(448, 448)
    brain = Brain(cells=2000, radius_px=3.0)
    cells = SimulatedBrain(brain, layout, 1, None).cells
    path = tmp_path / "drawn.csv"
    path.write_text(table(cells))
    made = imaged(tmp_path, path, 20, height_px=448, width_px=448, brain=msgspec.to_builtins(brain))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert np.max(list(error_rates(made, rows).values())) <= 0.1
    prefers = np.array([row["prefers"] for row in rows])
    d_prime = made.d_prime[-1].astype(np.float64)
    for sign, name in ((1, "leaf1"), (-1, "circle1")):
        for group, ids in GROUPS.items():
            # cells that foresee the reward fire in the rewarded corridor alone, and rightly differ
            own = np.isin(cells.area, ids) & (prefers != "reward")
            wanted, got = np.mean(prefers[own] == name), np.mean(sign * d_prime[own] >= 0.3)
            print(f"{group}: {own.sum()} cells, {name} {wanted:.1%}, found {got:.1%}")
            assert got == pytest.approx(wanted, abs=0.05)
    reward = prefers == "reward"
    print(f"reward: {reward.sum()} cells, {np.mean(d_prime[reward] >= 0.3):.1%} taken for leaf1")
    seen = made.decoded.t_s.iloc[-1] - made.decoded.t_s.iloc[0]
    print(f"{len(made.decoded)} frames, {seen:.0f} s")
