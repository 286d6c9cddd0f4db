"""rig calibrate screen: make a screen's gamma table, with its date, from photometer readings."""

from datetime import date
from pathlib import Path

import numpy as np
from rich.console import Console

from rig.cli.bringup.open_screens import open_screens
from rig.cli.bringup.setup_argument import setup_session
from rig.cli.numbers import ask
from rig.errors import Refused
from rig.settings.calibration_overlay import measure
from stimuli.screens.gamma import check_readings, write_gamma
from stimuli.screens.window_layout import from_top_left


def calibrate_screen(setup: Path, name: str, levels: int, console: Console) -> None:
    """Measure one screen of a setup, level by level, and store its gamma table beside the setup.

    Raises:
        Refused: There is no such screen, or the readings are not a gamma curve.
    """
    session = setup_session(setup)
    display = session.nodes.get("display", {})
    kind = next((k for k in ("views", "warps") if name in display.get(k, {})), None)
    if kind is None:
        known = [*display.get("views", {}), *display.get("warps", {})]
        raise Refused(
            f"--screen {name}: {setup} has no screen of that name; choose one of "
            f"{', '.join(known) or 'none'}"
        )
    today = date.today().isoformat()
    path = setup.with_name(f"{session.rig.name}_{name}_gamma_{today}.csv")
    if path.exists():
        raise Refused(f"{path} exists already; delete it to measure again today")
    console.print("Darken the room and point the photometer at the middle of the screen.")
    readings = check_readings(_measure(setup, name, levels), f"screen {name}")
    comment = f"screen {name} of rig {session.rig.name}, measured on {today}"
    write_gamma(path, readings, [comment, "level sent (0 to 1), luminance measured (cd/m2)"])
    table = f"nodes.display.{kind}.{name}"
    written = measure(setup, session.rig.name, table, {"gamma_file": path.name})
    black, white = readings[0, 1], readings[-1, 1]
    console.print(f"screen {name}: {black:g} to {white:g} cd/m2; saved to {path}")
    console.print(f"{written} names the table; sessions of this setup use it from now on")


def _measure(setup: Path, name: str, levels: int) -> list[tuple[float, float]]:
    """Show grey levels on one screen and ask for their luminance (cd/m2)."""
    pairs = []
    with open_screens(setup) as (screen, physical, _):
        index = [one.name for one in physical].index(name)
        colour = np.array(physical[index].settings.colour)
        width, height = screen.layout.size_px
        left, top, wide, high = from_top_left(screen.layout.areas[index], height)
        image = np.zeros((height, width, 3), np.uint8)
        for level in np.rint(np.linspace(0, 255, levels)):
            image[top : top + high, left : left + wide] = np.rint(level * colour)
            for _ in range(2):  # fill both buffers of the window
                screen.draw_pixels(image)
                screen.flip()
            cd_m2 = ask(f"level {level / 255:.3f}: cd/m2", 0.0)
            pairs.append((float(level) / 255, cd_m2))
    return pairs
