"""Open the screens of a setup without a session."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from rig.cli.bringup.setup_argument import setup_session
from rig.errors import Refused
from rig.session.locks import RigLock
from rig.settings.config import convert
from rig.settings.device_factory import animal_devices
from stimuli.display import Display, plane_textures
from stimuli.scene.screen import RenderSetup, Screen
from stimuli.screens.screen_geometry import PhysicalScreen, load_screens
from stimuli.screens.screen_overlap import check_overlap


@contextmanager
def open_screens(
    setup: Path,
) -> Iterator[tuple[Screen, tuple[PhysicalScreen, ...], Display.Settings]]:
    """Open the screens of a setup, showing grey, and close them at the end.

    Yields:
        The window, the physical screens in it, and the display's settings.

    Raises:
        Refused: The setup has no display, or its window cannot be opened.
    """
    session = setup_session(setup)
    tables = session.nodes
    if "display" not in tables:
        raise Refused(f"{setup} has no [nodes.display], so it has no screen; add that table")
    table = _resolve_files(tables["display"], setup.parent)
    node = Display(convert(table, Display.Settings, "[nodes.display]"), lambda _: None)
    settings = node.settings
    screens = load_screens(settings.views, settings.warps)
    check_overlap(screens)
    names = ["grey", *plane_textures(settings.corridor)]
    grey = {name: np.full((4, 4), 128, np.uint8) for name in names}
    vblank = settings.paced == "vblank"
    # A simulated rig needs no lock.
    real = bool(animal_devices(session)[0])
    with (
        RigLock(session, "a command that shows an image on its screens") if real else nullcontext()
    ):
        node.screen.open(RenderSetup(screens, settings.corridor, grey, vblank))
        try:
            yield node.screen, screens, settings
        finally:
            node.screen.close()


def _resolve_files(table: Any, folder: Path) -> Any:
    """Return the table with the paths of its `..._file` keys relative to the setup's folder."""
    if not isinstance(table, dict):
        return table
    return {
        key: str(folder / value)
        if key.endswith("_file") and value
        else _resolve_files(value, folder)
        for key, value in table.items()
    }
