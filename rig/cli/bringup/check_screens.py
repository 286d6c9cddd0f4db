"""rig check screens: show a calibration pattern on every screen, and the photodiode's patch."""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from rig.cli.bringup.open_screens import opened
from rig.cli.bringup.setup_argument import SetupFile
from rig.cli.imaging.png import write_png
from rig.cli.numbers import number
from stimuli.photodiode.patch_code import encode
from stimuli.scene.screen import Screen
from stimuli.screens.calibration_pattern import azimuth_elevation, pattern
from stimuli.screens.screen_geometry import Pane
from stimuli.window import grey_backdrop


def screens(
    setup: SetupFile,
    seconds: Annotated[
        float, typer.Option(parser=number(0.5), help="Time to show the pattern, seconds.")
    ] = 30.0,
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the pattern as a PNG.")
    ] = None,
    desktop: Annotated[
        bool, typer.Option("--desktop", help="Only remove the grey that the last session left.")
    ] = False,
) -> None:
    """Show a pattern with angles as the mouse sees them, and the photodiode's patch."""
    console = Console()
    if desktop:
        removed = grey_backdrop.possible() and grey_backdrop.take_down()
        console.print("the grey was removed" if removed else "there was no grey to remove")
        return
    with opened(setup) as (screen, shown, settings):
        image = pattern(shown, screen.layout)
        hz = _show(screen, image, settings.refresh_hz, seconds)
        picture = screen.picture()
        console.print(_table(screen, shown))
        console.print(f"{hz:.1f} flips per second; the setup says {settings.refresh_hz:g}")
    if png is not None:
        write_png(png, picture)
        console.print(f"pattern saved in {png}")


def _show(screen: Screen, image: NDArray[np.uint8], refresh_hz: float, seconds: float) -> float:
    """Show an image with the changing patch in it; return the flips per second."""
    patch = screen.layout.patch
    height = image.shape[0]
    began, shown = time.monotonic(), 0
    while (now := time.monotonic() - began) < seconds:
        if patch is not None:
            rows = slice(height - patch.y - patch.height, height - patch.y)
            image[rows, patch.x : patch.x + patch.width] = 255 * encode(shown)
        screen.draw_image(image)
        screen.wait(max(0, round((shown / refresh_hz - now) * 1e9)))
        screen.flip()
        shown += 1
        if shown > seconds * refresh_hz:
            break
    return (shown - 1) / max(1e-9, time.monotonic() - began)


def _table(screen: Screen, shown: tuple[Pane, ...]) -> Table:
    columns = ("screen", "azimuth, deg", "elevation, deg", "min px/deg", "gamma", "colour")
    table = Table(*columns, title="screens as the mouse sees them")
    for pane, area in zip(shown, screen.layout.areas, strict=True):
        azimuth, elevation = azimuth_elevation(pane, area.width, area.height)
        across = np.unwrap(np.radians(azimuth[area.height // 2]))
        steps = np.degrees(np.abs(np.diff(across)))
        ends = sorted(np.degrees(across[[0, -1]]).tolist())
        table.add_row(
            pane.name,
            f"{ends[0]:.0f} to {ends[1]:.0f}",
            f"{np.nanmin(elevation):.0f} to {np.nanmax(elevation):.0f}",
            f"{1 / np.nanmax(steps):.1f}",
            "measured" if pane.readings is not None else "-",
            " ".join(f"{share:g}" for share in pane.look.colour),
        )
    return table
