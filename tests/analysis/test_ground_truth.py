"""The analysis of simulated pages finds what the simulated cells really prefer."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from acquisition.simulation.ground_truth import read_truth
from acquisition.simulation.simulated_brain import Brain, SimulatedBrain
from acquisition.simulation.simulated_cells import table
from acquisition.simulation.strip_layout import StripLayout
from analysis.cells.areas import GROUPS, NAMES
from analysis.session import Session
from analysis.signals import (
    coding_direction,
    learning,
    learning_job,
    reward_prediction,
    trial_records,
)
from behavior.hardware import Hardware
from rig import virtual_session
from rig.cli.bench.ground_truth import MICE, SETUP, TASK
from rig.cli.bench.imaging.recovered_cells import Recovered, rates, recovered_cells, rows_of
from rig.cli.bench.imaging.simulated_imaging import run_imaging_session
from rig.process import completed
from rig.replay.replay import replay
from rig.session.provenance import about
from tests.analysis.logs import write_log
from tests.analysis.nodes import SIGNALS
from tests.behavior.sessions import session

pytestmark = pytest.mark.slow

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


def test_the_measured_motion_is_the_true_one(shipped: Session) -> None:
    """The true motion differs across the field by warping; the strip is located as a whole."""
    (tiff,) = shipped.folder.rglob("*.tif")
    true = read_truth(tiff).moved_px.mean(1)
    measured = np.array([strips[0][:2] for strips in shipped.decoded.motion])
    error = measured - true
    error -= np.median(error, 0)  # both are relative to a reference of their own
    assert np.ptp(true, axis=0).min() > 4.0
    assert np.abs(error).max() < 1.0
    assert np.quantile(np.abs(error), 0.9) < 0.5


def test_it_replays_bit_for_bit(shipped: Session) -> None:
    report = replay(shipped.folder, [], about())
    assert (report.first, report.exact) == (None, True)
    assert len(shipped.decoded) == len(shipped.frames)
    assert report.compared["online"] == len(shipped.decoded) + len(shipped.learning)


def test_another_fraction_of_neuropil_is_caught_by_the_replay(shipped: Session) -> None:
    report = replay(shipped.folder, ["nodes.online.traces.neuropil_share=0.6"], about())
    assert report.first is not None
    assert report.first.sender == "online"


@pytest.mark.parametrize(
    ("module", "name", "planted"),
    [
        (reward_prediction, "PERCENTILE", 90.0),
        (reward_prediction, "PREDICTS_AT", 0.6),
        (learning, "BINS_BEFORE_CUE", slice(5, 41)),
        (learning, "GREY_BINS", slice(41, 52)),
        (coding_direction, "TAIL_PERCENT", 10.0),
        (learning_job, "TEXTURE_BINS", slice(0, 41)),
        (trial_records, "ZONE_M", (2.0, 4.0)),
    ],
)
def test_a_planted_change_of_a_rule_is_caught_by_the_replay(
    shipped: Session, module: Any, name: str, planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unchanged = planted == getattr(module, name)
    monkeypatch.setattr(module, name, planted)
    report = replay(shipped.folder, [], about())
    assert (report.first is None) == unchanged
    if report.first is not None:
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


@pytest.fixture(scope="module")
def mice(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recovered]:
    """A task mouse and an unrewarded one, each with 2400 cells."""
    found = {}
    for cohort in MICE.values():
        folder = tmp_path_factory.mktemp(cohort)
        changes = ["task.trials=40", f'task.cohort="{cohort}"']
        run_imaging_session(SETUP, TASK, folder, 1, changes)
        found[cohort] = recovered_cells(folder)
        for row in rows_of(cohort, found[cohort]):
            print(f"{row.name}: {row.p50:.1f} {row.unit} (n = {row.n})")
    return found


def test_thousands_of_cells_are_recovered_area_by_area(mice: dict[str, Recovered]) -> None:
    """The fraction of leaf1 and of circle1 cells that are found in each group of areas."""
    cells = mice["task"]
    for group in GROUPS:
        # reward-prediction cells fire only in the rewarded corridor, so they are truly selective
        own = cells.inside(group) & (cells.prefers != "reward")
        assert own.sum() >= 200
        for name, found in (("leaf1", cells.leaf1), ("circle1", cells.circle1)):
            assert found[own].mean() == pytest.approx(np.mean(cells.prefers[own] == name), abs=0.05)
            sensitivity, false = rates(found, cells.prefers == name, own)
            assert sensitivity >= 0.95
            assert false <= 0.05


def test_a_task_mouse_has_a_reward_prediction_population_in_anterior_areas(
    mice: dict[str, Recovered],
) -> None:
    cells = mice["task"]
    anterior = cells.inside("anterior")
    sensitivity, false = rates(cells.predicting, cells.predicts, anterior)
    assert cells.predicts.sum() >= 100
    assert sensitivity >= 0.95
    assert false <= 0.25  # d' of about ten late and ten early trials varies by 0.4 by chance
    assert cells.above_other_areas >= 0.1


def test_an_unrewarded_mouse_has_no_reward_prediction_population(
    mice: dict[str, Recovered],
) -> None:
    cells = mice["unrewarded"]
    assert (cells.prefers == "reward").sum() >= 100
    assert not cells.predicts.any()
    assert abs(cells.above_other_areas) <= 0.05
