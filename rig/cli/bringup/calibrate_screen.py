"""rig calibrate screen: turn a photometer's readings into a screen's dated gamma table."""

from datetime import date
from pathlib import Path

import numpy as np
from rich.console import Console

from rig.cli.bringup.open_screens import opened
from rig.cli.bringup.setup_argument import setup_session
from rig.cli.numbers import ask
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
            f"--screen {name}: {setup} has no screen of that name; choose one of "
            f"{', '.join(known) or 'none'}"
        )
    rig = setup_session(setup).rig.name
    path = setup.with_name(f"{rig}_{name}_gamma_{date.today().isoformat()}.csv")
    if path.exists():
        raise Refused(f"{path} exists already; delete it to measure again today")
    console.print("Darken the room and point the photometer at the middle of the screen.")
    pairs = _measured(setup, name, levels)
    readings = checked(pairs, f"screen {name}")
    about = f"screen {name} of rig {rig}, measured on {date.today().isoformat()}"
    write_gamma(path, readings, [about, "level sent (0 to 1), luminance measured (cd/m2)"])
    written = measure(setup, rig, f"nodes.display.{kind}.{name}", {"gamma_file": path.name})
    black, white = readings[0, 1], readings[-1, 1]
    console.print(f"screen {name}: {black:g} to {white:g} cd/m2, in {path}")
    console.print(f"saved in {written}; sessions with this setup use it from now on")


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
            for _ in range(2):  # both buffers of the window
                screen.draw_image(image)
                screen.flip()
            cd_m2 = ask(f"level {level / 255:.3f}: cd/m2", 0.0)
            pairs.append((float(level) / 255, cd_m2))
    return pairs
