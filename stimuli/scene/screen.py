"""The Protocol of a screen, and the scenes that it shows."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from stimuli.scene.corridor_geometry import CorridorGeometry, Laps
from stimuli.scene.open_loop import Bar, Image
from stimuli.screens.screen_geometry import PhysicalScreen
from stimuli.screens.window_layout import WindowLayout
from stimuli.textures.names import Texture


class Scene(msgspec.Struct, frozen=True):
    """One frame: the corridor at a position, or an open-loop stimulus, or uniform grey."""

    laps: Laps | None
    """The corridors behind, around and ahead of the mouse; None if no corridor is shown."""
    position_m: float
    patch_bright: bool
    open_loop: Image | Bar | None = None


GREY_SCENE = Scene(None, 0.0, False)


class RenderSetup(msgspec.Struct, frozen=True):
    """The properties of the display that do not change during a session."""

    screens: tuple[PhysicalScreen, ...]
    corridor: CorridorGeometry
    textures: Mapping[str, Texture]
    """Textures by name: those of the walls, by stimulus, and those of floor and ceiling."""
    waits_for_vblank: bool
    """True if a flip waits for the monitor's vertical blank."""
    images: Mapping[str, Texture] = {}
    """Open-loop images by name, all of one size."""


class Screen(Protocol):
    """A window over all physical screens that shows scenes. Each class has its own `Settings`."""

    simulated: ClassVar[bool]
    """True if nothing is shown to an animal. Each class declares this itself."""
    layout: WindowLayout
    """The layout of the window; set by open."""

    def __init__(self, settings: Any) -> None: ...

    def open(self, setup: RenderSetup) -> None:
        """Open the window and show grey. Raises Refused if that is not possible."""

    def draw(self, scene: Scene) -> None:
        """Draw a scene without showing it. Raises Refused if a stimulus in it is not loaded."""

    def draw_pixels(self, pixels: NDArray[np.uint8]) -> None:
        """Draw an image of the whole window: height x width x 3 levels, row 0 at the top."""

    def wait(self, wait_ns: int) -> None:
        """Wait for wait_ns before a flip, if the screen has no vertical sync."""

    def flip(self) -> None:
        """Show the last drawn frame; return when it is visible."""

    def read_pixels(self) -> NDArray[np.uint8]:
        """Return the last drawn frame: height x width x 3 levels, row 0 at the top."""

    def close(self) -> None:
        """Show grey and close the window; do nothing if it is not open."""


def check_scene(scene: Scene, setup: RenderSetup) -> None:
    """Raise Refused if a stimulus in the scene is not loaded."""
    match scene.open_loop:
        case Image(name) if name not in setup.images:
            raise Refused(f'there is no image "{name}"; add it to the images_folder of the task')
    for lap in scene.laps or ():
        if lap.stimulus is not None and lap.stimulus not in setup.textures:
            known = ", ".join(setup.textures)
            raise Refused(f'stimulus "{lap.stimulus}" has no texture; the task may use: {known}')
