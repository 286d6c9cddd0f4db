"""Open the screens of a setup without a session."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rig.cli.bringup.setup_argument import setup_session
from rig.errors import Refused
from rig.session.locks import RigLock
from rig.settings.config import convert
from stimuli.display import Display
from stimuli.scene.screen import Screen, Stage
from stimuli.screens.screen_geometry import Pane, panes
from stimuli.screens.screen_overlap import check_overlap


@contextmanager
def opened(setup: Path) -> Iterator[tuple[Screen, tuple[Pane, ...], Display.Settings]]:
    """Open a setup's screens on grey, and close them at the end. Raises Refused."""
    session = setup_session(setup)
    tables = session.nodes
    if "display" not in tables:
        raise Refused(f"{setup} has no [nodes.display] and so no screens; name another setup")
    table = _beside(tables["display"], setup.parent)
    node = Display(convert(table, Display.Settings, "[nodes.display]"), lambda _: None)
    settings = node.settings
    shown = panes(settings.views, settings.warps)
    check_overlap(shown)
    grey = {name: np.full((4, 4), 128, np.uint8) for name in _planes(settings)}
    with RigLock(session, "a command that shows a picture on its screens"):
        node.screen.open(Stage(shown, settings.corridor, grey, settings.paced == "vblank"))
        try:
            yield node.screen, shown, settings
        finally:
            node.screen.close()


def _planes(settings: Display.Settings) -> list[str]:
    return ["grey", *filter(None, (settings.corridor.floor, settings.corridor.ceiling))]


def _beside(table: Any, folder: Path) -> Any:
    """Return the table with the files that it names relative to the setup's folder."""
    if not isinstance(table, dict):
        return table
    return {
        key: str(folder / value) if key.endswith("_file") and value else _beside(value, folder)
        for key, value in table.items()
    }
