"""rig bench analysis: what a volume of up to 90,000 cells costs, part by part, on one core."""

from typing import Annotated

import typer

from rig.cli.terminal import new_console
from rig.errors import Refused


def analysis(
    cells: Annotated[str, typer.Option(help="How many cells, one after the other.")] = (
        "1000,10000,90000"
    ),
    volumes: Annotated[int, typer.Option(help="How many volumes are measured.")] = 30,
) -> None:
    """Measure the analysis of a volume (two pages of 3000 x 1500 px) beside the memory's pace."""
    from rig.cli.bench.imaging.pipeline import measure  # loads compilers: not for every verb

    if not all(text.isdigit() and int(text) > 1 for text in cells.split(",")) or volumes < 1:
        raise Refused(f"--cells {cells} --volumes {volumes}: give numbers, as in --cells 1000,9000")
    measure([int(text) for text in cells.split(",")], volumes, new_console())
