"""A simulated screen: it shows nothing, and remembers what it was asked to show."""

from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from stimuli.scene.screen import GREY_SCENE, Scene, Stage, check_pictures
from stimuli.screens.window_layout import WindowLayout, laid_out
from stimuli.textures.names import GREY

_Pixels = Annotated[int, msgspec.Meta(ge=16, le=8192)]


class SimulatedScreen:
    """Takes scenes as a real screen does, remembers the last one shown, draws only images."""

    simulated: ClassVar[bool] = True

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """How large the screen would be."""

        size_px: tuple[_Pixels, _Pixels] = (400, 300)
        """Width and height of one view."""

    layout: WindowLayout

    def __init__(self, settings: Settings) -> None:
        self.shown: Scene | None = None
        """The scene on the screen; None while it is not open."""
        self._settings = settings
        self._stage: Stage | None = None
        self._drawn = GREY_SCENE
        self._image: NDArray[np.uint8] | None = None

    def open(self, stage: Stage) -> None:
        self.layout = laid_out(stage.panes, self._settings.size_px)
        self._stage = stage
        self.draw(GREY_SCENE)
        self.flip()

    def draw(self, scene: Scene) -> None:
        assert self._stage is not None, "open the screen first"
        check_pictures(scene, self._stage)
        self._drawn, self._image = scene, None

    def draw_image(self, image: NDArray[np.uint8]) -> None:
        assert self._stage is not None, "open the screen first"
        self._image = image

    def wait(self, wait_ns: int) -> None:
        pass

    def flip(self) -> None:
        self.shown = self._drawn

    def picture(self) -> NDArray[np.uint8]:
        assert self._stage is not None, "open the screen first"
        if self._image is not None:
            return self._image
        width, height = self.layout.size_px
        return np.full((height, width, 3), GREY, np.uint8)

    def close(self) -> None:
        self.shown, self._stage = None, None
