"""rig bench ground-truth: how many of the simulated cells the analysis identifies correctly."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

import rig
from rig.cli.bench.harness import Json, Row, show

_PACKAGE = Path(rig.__file__).parent
SETUP = _PACKAGE / "setups" / "simulated_2400_cells.toml"
TASK = _PACKAGE.parent / "behavior" / "tasks" / "train1.toml"
MICE = {"task mouse": "task", "unrewarded mouse": "unrewarded"}
"""The cohort of each mouse; the second mouse gets the same corridors and cues, but no water."""


def ground_truth(
    trials: Annotated[int, typer.Option(help="Trials of each mouse.", min=20, max=1000)] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the sessions.", min=0)] = 1,
    as_json: Json = False,
) -> None:
    """Count which of 2400 simulated cells the analysis finds in two mice.

    One mouse is a task mouse, one unrewarded. Cells prefer a corridor or predict the reward.
    """
    from rig.cli.bench.imaging.recovered_cells import recovered_cells, rows_of  # slow to load
    from rig.cli.bench.imaging.simulated_imaging import run_imaging_session

    rows: list[Row] = []
    for mouse, cohort in MICE.items():
        changes = [f"task.trials={trials}", "task.minutes=600", f'task.cohort="{cohort}"']
        with tempfile.TemporaryDirectory() as folder:
            run_imaging_session(SETUP, TASK, Path(folder), seed, changes)
            cells = recovered_cells(Path(folder))
        rows += rows_of(mouse, cells)
    notes = [
        f"A d' of {cells.late} late against {cells.early} early trials has a standard error of "
        f"{(1 / cells.late + 1 / cells.early) ** 0.5:.2f} in a cell that does not differ: "
        "false positives at 0.3 decrease with the number of trials."
    ]
    show("rig bench ground-truth: simulated cells, as they are and as they were found", rows,
         as_json, notes)  # fmt: skip
