"""rig check screens: show a pattern of angles on every screen, and the photodiode patch."""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from rig.cli.bringup.open_screens import open_screens
from rig.cli.bringup.setup_argument import SetupFile
from rig.cli.imaging.png import write_png
from rig.cli.numbers import number
from rig.cli.terminal import new_console
from stimuli.photodiode.patch_code import encode
from stimuli.scene.screen import Screen
from stimuli.screens.calibration_pattern import pattern
from stimuli.screens.screen_geometry import PhysicalScreen, azimuth_elevation
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
        bool,
        typer.Option("--desktop", help="Only remove the grey backdrop that a session left."),
    ] = False,
) -> None:
    """Show a pattern of angles as seen from the eye on every screen, with the photodiode patch."""
    console = new_console()
    if desktop:
        removed = grey_backdrop.supported() and grey_backdrop.remove()
        console.print("the backdrop is removed" if removed else "there is no backdrop to remove")
        return
    with open_screens(setup) as (screen, physical, settings):
        image = pattern(physical, screen.layout)
        hz = _show(screen, image, settings.refresh_hz, seconds)
        shown = screen.read_pixels()
        console.print(_table(screen, physical))
        console.print(f"measured {hz:.1f} flips a second; refresh_hz = {settings.refresh_hz:g}")
    if png is not None:
        write_png(png, shown)
        console.print(f"saved to {png}")


def _show(screen: Screen, image: NDArray[np.uint8], refresh_hz: float, seconds: float) -> float:
    """Show an image with the code of the patch; return the number of flips per second."""
    patch = screen.layout.patch
    height = image.shape[0]
    began, shown = time.monotonic(), 0
    while (now := time.monotonic() - began) < seconds:
        if patch is not None:
            rows = slice(height - patch.y - patch.height, height - patch.y)
            image[rows, patch.x : patch.x + patch.width] = 255 * encode(shown)
        screen.draw_pixels(image)
        screen.wait(max(0, round((shown / refresh_hz - now) * 1e9)))
        screen.flip()
        shown += 1
        if shown > seconds * refresh_hz:
            break
    return (shown - 1) / max(1e-9, time.monotonic() - began)


def _table(screen: Screen, physical: tuple[PhysicalScreen, ...]) -> Table:
    columns = ("screen", "azimuth, °", "elevation, °", "pixels/°", "gamma", "colour")
    table = Table(*columns, title="Screens as seen from the eye")
    for one, area in zip(physical, screen.layout.areas, strict=True):
        azimuth, elevation = azimuth_elevation(one, area.width, area.height)
        across = np.unwrap(np.radians(azimuth[area.height // 2]))
        steps = np.degrees(np.abs(np.diff(across)))
        ends = sorted(np.degrees(across[[0, -1]]).tolist())
        table.add_row(
            one.name,
            f"{ends[0]:.0f} to {ends[1]:.0f}",
            f"{np.nanmin(elevation):.0f} to {np.nanmax(elevation):.0f}",
            f"{1 / np.nanmax(steps):.1f} or more",
            "measured" if one.readings is not None else "-",
            " ".join(f"{share:g}" for share in one.settings.colour),
        )
    return table
