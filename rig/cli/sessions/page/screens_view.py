"""Draw what the screens of a session show, for the thumbnail of its live page."""

from contextlib import chdir
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from rig.settings.config import SessionSettings, convert

_SIZE_PX = (96, 72)


class ScreensView:
    """A renderer of small pictures of the screens; it loads the textures at the first picture."""

    def __init__(self, folder: Path, session: SessionSettings) -> None:
        self._folder, self._session = folder, session
        self._thumbnail: Any = None
        self._failed = "display" not in session.nodes

    def image(self, trial: dict[str, Any] | None, position_m: float) -> NDArray[np.uint8] | None:
        """Return the picture, rows from the top x columns; None if it cannot be drawn.

        Args:
            trial: The current corridor, in the form that the page uses; None for grey.
            position_m: The position that was shown, m.
        """
        from stimuli.scene.corridor_geometry import Lap

        if self._thumbnail is None and not self._failed:
            self._load()
        if self._failed:
            return None
        if trial is None:
            grey: NDArray[np.uint8] = self._thumbnail.grey()
            return grey
        names = (None, trial["stimulus"], trial["next_stimulus"])
        laps = tuple(Lap(name, trial["texture_m"], trial["grey_m"]) for name in names)
        drawn: NDArray[np.uint8] = self._thumbnail.draw(laps, position_m)
        return drawn

    def _load(self) -> None:
        from stimuli.display import Display
        from stimuli.scene.task_stimuli import task_stimuli
        from stimuli.scene.thumbnail import Thumbnail
        from stimuli.screens.screen_geometry import THREE_VIEWS, load_screens
        from stimuli.textures.cache import load_textures

        table = self._session.nodes["display"]
        try:
            with chdir(self._folder):  # paths in a session's settings are relative to its folder
                settings = convert(table, Display.Settings, "[nodes.display]")
                views = {n: _uncalibrated(view) for n, view in settings.views.items()}
                warps = {n: _uncalibrated(warp) for n, warp in settings.warps.items()}
                screens = load_screens(views if views or warps else THREE_VIEWS, warps)
                stimuli = task_stimuli(self._session.task)
                textures = load_textures(stimuli.walls, stimuli.photographs)
            self._thumbnail = Thumbnail(screens, settings.corridor, textures, _SIZE_PX)
        except (Refused, OSError):
            self._failed = True


def _uncalibrated(screen: Any) -> Any:
    return msgspec.structs.replace(screen, gamma_file="")
