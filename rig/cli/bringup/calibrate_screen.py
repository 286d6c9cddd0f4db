"""rig calibrate screen: from a photometer's readings to a screen's dated gamma table."""

from datetime import date
from pathlib import Path

import numpy as np
import typer
from rich.console import Console

from rig.cli.bringup.open_screens import opened
from rig.cli.bringup.setup_argument import setup_session
from rig.errors import Refused
from rig.settings.calibration_overlay import measure
from stimuli.screens.gamma import checked, write_gamma
from stimuli.screens.window_layout import upside_down


def calibrate_screen(setup: Path, name: str, levels: int, console: Console) -> None:
    """Measure one screen of a setup, level by level. Raises Refused."""
    display = setup_session(setup).nodes.get("display", {})
    kind = next((k for k in ("views", "warps") if name in display.get(k, {})), None)
    if kind is None:
        known = [*display.get("views", {}), *display.get("warps", {})]
        raise Refused(
            f"{setup} has no screen {name!r} in [nodes.display.views] or warps (there are: "
            f"{', '.join(known) or 'none'}); correct --screen"
        )
    rig = setup_session(setup).rig.name
    path = setup.with_name(f"{rig}_{name}_gamma_{date.today().isoformat()}.csv")
    if path.exists():
        raise Refused(f"{path} is there already; remove it to measure again today")
    console.print("Point the photometer at the middle of the screen; the room is dark.")
    pairs = _measured(setup, name, levels)
    readings = checked(pairs, f"screen {name}")
    about = f"screen {name} of rig {rig}, measured on {date.today().isoformat()}"
    write_gamma(path, readings, [about, "level sent (0 to 1), luminance seen"])
    written = measure(setup, rig, f"nodes.display.{kind}.{name}", {"gamma_file": path.name})
    black, white = readings[0, 1], readings[-1, 1]
    console.print(f"screen {name}: {black:g} to {white:g} cd/m2, in {path}")
    console.print(f"written to {written}; sessions of this setup use it from now on")


def _measured(setup: Path, name: str, levels: int) -> list[tuple[float, float]]:
    pairs = []
    with opened(setup) as (screen, shown, _):
        at = [pane.name for pane in shown].index(name)
        look = shown[at].look
        width, height = screen.layout.size_px
        left, top, wide, high = upside_down(screen.layout.areas[at], height)
        image = np.zeros((height, width, 3), np.uint8)
        for level in np.rint(np.linspace(0, 255, levels)):
            image[top : top + high, left : left + wide] = np.rint(level * np.array(look.colour))
            for _ in range(2):  # both of the window's pictures
                screen.draw_image(image)
                screen.flip()
            cd_m2 = typer.prompt(f"level {level / 255:.3f}: cd/m2", type=float)
            pairs.append((float(level) / 255, cd_m2))
    return pairs
