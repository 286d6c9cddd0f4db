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
    as_json: Json = False,
) -> None:
    """Measure the analysis of a volume: two pages of 3000 x 1500 px, one core."""
    from rig.cli.bench.imaging.pipeline import compare, measure  # slow to load

    if not all(text.isdigit() and int(text) > 1 for text in cells.split(",")) or volumes < 1:
        raise Refused(
            f"--cells {cells} --volumes {volumes}: give whole numbers, as in --cells 1000,9000"
        )
    rows = list(measure([int(text) for text in cells.split(",")], volumes))
    show("rig bench analysis: per volume, on one core", rows, as_json, compare())
