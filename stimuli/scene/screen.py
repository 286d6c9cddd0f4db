"""What a screen must be able to do, what it is asked to show, and how one is chosen in a setup."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from stimuli.scene.corridor_geometry import CorridorGeometry, Laps
from stimuli.scene.open_loop import Bar, Image
from stimuli.screens.screen_geometry import Pane
from stimuli.screens.window_layout import WindowLayout
from stimuli.textures.names import Picture


class Scene(msgspec.Struct, frozen=True):
    """One picture: where the animal stands in which laps (None: uniform grey), and the patch."""

    laps: Laps | None
    position_m: float
    patch_bright: bool
    open_loop: Image | Bar | None = None
    """What stands there in place of the corridor."""


GREY_SCENE = Scene(None, 0.0, False)


class Stage(msgspec.Struct, frozen=True):
    """All that stays while a session runs: screens, corridor, pictures, and who sets the pace."""

    panes: tuple[Pane, ...]
    corridor: CorridorGeometry
    pictures: Mapping[str, Picture]
    waits_for_vblank: bool
    images: Mapping[str, Picture] = {}
    """What open-loop trials may show, all of one size, over all that the screens show."""


class Screen(Protocol):
    """Shows scenes. Real and simulated screens behave alike, except that one is seen."""

    Settings: ClassVar[type[msgspec.Struct]]
    simulated: ClassVar[bool]
    """True if nothing is shown to an animal. Each class declares this itself."""
    layout: WindowLayout
    """Where everything is in the window; there once it is open."""

    def __init__(self, settings: Any) -> None: ...

    def open(self, stage: Stage) -> None:
        """Take hold of the display and show grey; raise Refused if it cannot be had."""

    def draw(self, scene: Scene) -> None:
        """Make the scene ready, unseen. Raises Refused if a lap's stimulus has no picture."""

    def draw_image(self, image: NDArray[np.uint8]) -> None:
        """Make an image of the whole window ready: height x width x 3 levels, row 0 on top."""

    def wait(self, wait_ns: int) -> None:
        """Let the time until a flip pass, if the screen has no refresh of its own to wait for."""

    def flip(self) -> None:
        """Show what was drawn last; return when it is shown."""

    def picture(self) -> NDArray[np.uint8]:
        """Return what was drawn last: height x width x 3 of the whole window, row 0 on top."""

    def close(self) -> None:
        """Show grey once more and let go. Does nothing if nothing is open."""


def check_pictures(scene: Scene, stage: Stage) -> None:
    """Raise Refused if the scene shows a stimulus that has no picture."""
    match scene.open_loop:
        case Image(name) if name not in stage.images:
            raise Refused(f"there is no image {name!r}; put it into the task's images_folder")
    for lap in scene.laps or ():
        if lap.stimulus is not None and lap.stimulus not in stage.pictures:
            known = ", ".join(stage.pictures)
            raise Refused(f"stimulus {lap.stimulus!r} has no picture; the task may use: {known}")
