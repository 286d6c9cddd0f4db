"""rig bench analysis: the processor time of a volume of up to 90,000 cells, part by part."""

from typing import Annotated

import typer

from rig.cli.bench.harness import Json, show
from rig.errors import Refused


def analysis(
    cells: Annotated[
        str, typer.Option(metavar="N,N,...", help="Numbers of cells to measure.")
    ] = "1000,10000,90000",
    volumes: Annotated[int, typer.Option(help="Number of volumes to measure.")] = 30,
    trials: Annotated[
        int,
        typer.Option(
            help="Trials of the session whose work after a trial is measured; 0: not measured. "
            "The largest session, 400 trials, takes minutes and 9 GB of scratch files.",
            min=0,
            max=1000,
        ),
    ] = 400,
    as_json: Json = False,
) -> None:
    """Measure the analysis of a volume: two pages of 3000 x 1500 px, one core."""
    from rig.cli.bench.imaging.pipeline import compare, measure  # slow to load
    from rig.cli.bench.imaging.trial_end import measure_trial_end

    if not all(text.isdigit() and int(text) > 1 for text in cells.split(",")) or volumes < 1:
        raise Refused(
            f"--cells {cells} --volumes {volumes}: give whole numbers, as in --cells 1000,9000"
        )
    counts = [int(text) for text in cells.split(",")]
    rows = list(measure(counts, volumes))
    if trials:
        rows += measure_trial_end(max(counts), trials)
    show("rig bench analysis: per volume, on one core", rows, as_json, compare())
