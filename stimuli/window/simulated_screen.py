"""A simulated screen, which shows nothing and stores the last scene."""

from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from stimuli.scene.screen import GREY_SCENE, RenderSetup, Scene, check_scene
from stimuli.screens.window_layout import WindowLayout, compute_layout
from stimuli.textures.names import GREY

_Pixels = Annotated[int, msgspec.Meta(ge=16, le=8192)]


class SimulatedScreen:
    """A screen that accepts scenes like a real screen and stores the last one, without drawing."""

    simulated: ClassVar[bool] = True

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The size of the screen."""

        size_px: tuple[_Pixels, _Pixels] = (400, 300)
        """Width and height of one view, px."""

    layout: WindowLayout

    def __init__(self, settings: Settings) -> None:
        self.shown: Scene | None = None
        """The scene on the screen; None while the screen is closed."""
        self._settings = settings
        self._setup: RenderSetup | None = None
        self._drawn = GREY_SCENE
        self._pixels: NDArray[np.uint8] | None = None

    def open(self, setup: RenderSetup) -> None:
        self.layout = compute_layout(setup.screens, self._settings.size_px)
        self._setup = setup
        self.draw(GREY_SCENE)
        self.flip()

    def draw(self, scene: Scene) -> None:
        assert self._setup is not None, "open the screen first"
        check_scene(scene, self._setup)
        self._drawn, self._pixels = scene, None

    def draw_pixels(self, pixels: NDArray[np.uint8]) -> None:
        assert self._setup is not None, "open the screen first"
        self._pixels = pixels

    def wait(self, wait_ns: int) -> None:
        pass

    def flip(self) -> None:
        self.shown = self._drawn

    def read_pixels(self) -> NDArray[np.uint8]:
        assert self._setup is not None, "open the screen first"
        if self._pixels is not None:
            return self._pixels
        width, height = self.layout.size_px
        return np.full((height, width, 3), GREY, np.uint8)

    def close(self) -> None:
        self.shown, self._setup = None, None
