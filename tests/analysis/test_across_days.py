"""The same cells on two days: masks moved by rig align, or new masks for each day."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest

import rig
from analysis.cells.mask_file import write_masks
from analysis.cells.read_cells import read_cells
from analysis.registration.day_alignment import DayAlignment, move_cells
from analysis.report.data import read_data
from analysis.report.signals.across_days import across_days
from analysis.report.signals.density_map import local_fraction
from analysis.session import Session
from analysis.session.across_days import other_day
from analysis.session.offline_tuning import scanned_pixels
from rig.cli.bench.ground_truth import TASK
from rig.cli.bench.imaging.simulated_imaging import run_imaging_session
from rig.errors import Refused
from tests.analysis.test_ground_truth import SHIPPED

pytestmark = pytest.mark.slow

SETUP = Path(rig.__file__).parent / "setups" / "simulated.toml"
MOVED = DayAlignment(5.0, -6.0, 0.0, 1.0)


def image(folder: Path, seed: int, scanned: Path, masks: Path) -> Path:
    """Run a session of a brain whose cells are in one table, with the masks of another file."""
    folder.mkdir(parents=True)
    changes = [
        "task.trials=12",
        f'nodes.mesoscope.cells_file="{scanned}"',
        f'nodes.online.cells_file="{masks}"',
    ]
    run_imaging_session(SETUP, TASK, folder, seed, changes)
    return folder


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Three sessions: a first day, a field that has moved, and new masks for the first."""
    root = tmp_path_factory.mktemp("days") / "sub-X"
    first = image(root / "ses-20261124_1", 1, SHIPPED, SHIPPED)
    inside = scanned_pixels(Session(first))
    moved = dataclasses.replace(move_cells(read_cells(SHIPPED), MOVED, inside), origin=first.name)
    shape = (inside.shape[0], inside.shape[1])
    write_masks(root.parent / "moved.npz", moved, shape)
    with SHIPPED.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["cell"] in moved.names]
    for row in rows:
        row["y_px"] = str(float(row["y_px"]) + MOVED.down_px)
        row["x_px"] = str(float(row["x_px"]) + MOVED.right_px)
    table = root.parent / "moved.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    second = image(root / "ses-20261125_1", 2, table, root.parent / "moved.npz")
    anew = read_cells(SHIPPED).subset(np.random.default_rng(0).permutation(60)[:50])
    anew = dataclasses.replace(anew, names=tuple(f"n{n}" for n in range(50)))
    write_masks(root.parent / "anew.npz", anew, shape)
    third = image(root / "ses-20261126_1", 3, SHIPPED, root.parent / "anew.npz")
    return first, second, third


def d_primes_agree(session: Path, other: Path, pairs: np.ndarray) -> float:
    here, there = (Session(folder).d_prime[-1].astype(float) for folder in (session, other))
    return float(np.corrcoef(here[pairs[:, 0]], there[pairs[:, 1]])[0, 1])


def test_moved_masks_are_the_cells_of_the_day_they_come_from(days: tuple[Path, ...]) -> None:
    first, second, _ = days
    data = read_data(second)
    other = data.other_day
    assert other is not None
    assert other.session.folder.name == first.name
    names = read_cells(SHIPPED).names
    here = read_cells(second / Session(second).settings["nodes"]["online"]["cells_file"]).names
    assert [(here[a], names[b]) for a, b in other.pairs] == [(name, name) for name in here]
    assert d_primes_agree(second, first, other.pairs) > 0.9
    section = across_days(data)
    assert section is not None
    assert f"{len(here)} of the 60 cells of that day are in this session" in section.text
    assert f"Not matched: {next(n for n in names if n not in here)}" in section.text
    assert len(section.figures) == 5  # d' of both days, and the tuning of two stimuli on both


def test_new_masks_are_matched_by_their_place(days: tuple[Path, ...]) -> None:
    first, _, third = days
    assert other_day(Session(third)) is None
    data = read_data(third, first)
    other = data.other_day
    assert other is not None
    assert other.alignment is not None
    chosen = np.random.default_rng(0).permutation(60)[:50]
    assert len(other.pairs) >= 48
    assert (chosen[other.pairs[:, 0]] == other.pairs[:, 1]).all()
    assert d_primes_agree(third, first, other.pairs) > 0.9
    section = across_days(data)
    assert section is not None
    assert "px down" in section.text


def test_a_session_without_cells_is_refused(days: tuple[Path, ...]) -> None:
    first, _, third = days
    cells = first / Session(first).settings["nodes"]["online"]["cells_file"]
    held = cells.read_bytes()
    cells.unlink()
    try:
        with pytest.raises(Refused, match="has no cells; give sessions that were imaged"):
            other_day(Session(third), first)
    finally:
        cells.write_bytes(held)


def test_the_local_fraction_follows_where_cells_are() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 3000, (2, 5000))
    chosen = (x > 1500) & (rng.random(5000) < 0.6)
    (columns, rows), fraction = local_fraction(x, y, chosen)
    inner = (rows > 300) & (rows < 2700)
    left = fraction[inner][:, (columns > 300) & (columns < 1200)]
    right = fraction[inner][:, (columns > 1800) & (columns < 2700)]
    assert np.nanmean(left) == pytest.approx(0.0, abs=0.01)
    assert np.nanmean(right) == pytest.approx(0.6, abs=0.03)
    assert np.isnan(local_fraction(x[:40], y[:40], chosen[:40])[1]).any()
