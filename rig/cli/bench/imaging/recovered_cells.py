"""Compare the cells of a simulated session with what the analysis found them to be."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import GROUPS
from analysis.session import Session
from analysis.signals.reward_prediction import predicts_reward
from rig.cli.bench.harness import Row, count

Chosen = NDArray[np.bool_]

_SELECTIVE_AT = 0.3
_LEAST_PERCENT = 90.0
"""Target of the sensitivity for each kind of cell, percent."""
_MOST_ABOVE_PERCENT = 5.0
"""Largest excess of reward-prediction cells in anterior areas over other areas, percent, in a mouse
that gets no water."""


@dataclass(frozen=True)
class Recovered:
    """The true and the detected properties of the cells of a session: (cells,) each."""

    prefers: NDArray[np.str_]
    """What the cell responds to."""
    learned: Chosen
    """True if the animal has learned enough for the cell to respond."""
    watered: bool
    """True if the animal got water; otherwise no cell predicts it."""
    area: NDArray[np.int64]
    leaf1: Chosen
    """True if d' of leaf1 against circle1 is at least 0.3."""
    circle1: Chosen
    """True if d' of leaf1 against circle1 is at most -0.3."""
    predicting: Chosen
    """True if the analysis found that the cell predicts the reward."""
    late: int
    early: int
    """Number of rewarded trials with a late and with an early cue."""

    @property
    def predicts(self) -> Chosen:
        """True for cells that truly predict the reward: (cells,)."""
        return np.asarray((self.prefers == "reward") & self.learned & self.watered)

    def inside(self, group: str) -> Chosen:
        """Return a mask of the cells in a group of areas: (cells,)."""
        return np.isin(self.area, GROUPS[group])

    @property
    def above_other_areas(self) -> float:
        """Fraction of reward-prediction cells in anterior areas minus that in all other areas."""
        anterior = self.inside("anterior")
        return float(self.predicting[anterior].mean() - self.predicting[~anterior].mean())


def recovered_cells(folder: Path) -> Recovered:
    """Compare the signals at the end of a simulated session with its table of cells."""
    session = Session(folder)
    nodes, task = session.settings["nodes"], session.settings["task"]
    with (folder / nodes["mesoscope"]["cells_file"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    learned = float(nodes["mesoscope"].get("brain", {}).get("learned", 1.0))
    signals = session.learning.iloc[-1]
    late_early = np.frombuffer(signals.late_early, "<f4").astype(np.float64)
    d_prime = session.d_prime[-1].astype(np.float64)
    done = session.trials[session.trials.outcome == "done"]
    late = done.cue_position_m > done.cue_position_m.mean()
    own = done.stimulus == task["signals"]["rewarded"]
    return Recovered(
        np.array([row["prefers"] for row in rows]),
        np.array([float(row["learns_at"]) <= learned for row in rows]),
        task["cohort"] in task["water_for"],
        np.array([int(row["area"]) for row in rows]),
        d_prime >= _SELECTIVE_AT,
        d_prime <= -_SELECTIVE_AT,
        predicts_reward(late_early, d_prime),
        int((late & own).sum()),
        int((~late & own).sum()),
    )


def rates(found: Chosen, true: Chosen, among: Chosen) -> tuple[float, float]:
    """Return sensitivity and false-positive rate among some cells; NaN without such cells."""
    return _share(found[among & true]), _share(found[among & ~true])


def rows_of(mouse: str, cells: Recovered) -> Iterator[Row]:
    """Yield the sensitivity and the false-positive rate of each kind of cell."""
    for name, found in (("leaf1", cells.leaf1), ("circle1", cells.circle1)):
        true = (cells.prefers == name) & cells.learned
        # A cell that predicts the reward fires in only one corridor, so it is correctly selective.
        among = cells.prefers != "reward"
        yield from _pair(f"{mouse}: cells that prefer {name}", found, true, among)
    for area in GROUPS:
        name = f"{mouse}: cells that predict the reward, {area}"
        yield from _pair(name, cells.predicting, cells.predicts, cells.inside(area))
    above = 100 * cells.above_other_areas
    name = f"{mouse}: reward prediction in anterior areas above the others"
    if cells.watered:
        yield count(name, above, "% of cells", least=_MOST_ABOVE_PERCENT)
    else:
        yield count(name, above, "% of cells", most=_MOST_ABOVE_PERCENT)


def _share(found: Chosen) -> float:
    return float(found.mean()) if found.size else float("nan")


def _pair(name: str, found: Chosen, true: Chosen, among: Chosen) -> Iterator[Row]:
    sensitivity, false = rates(found, true, among)
    positive, negative = int((among & true).sum()), int((among & ~true).sum())
    if positive:
        found_percent = 100 * sensitivity
        yield count(f"{name}: sensitivity", found_percent, "%", least=_LEAST_PERCENT, n=positive)
    if negative:
        yield count(f"{name}: false positives", 100 * false, "%", n=negative)
