"""The real screen: one PsychoPy window over all views; the only file that knows PsychoPy.

On Linux without a DISPLAY it is the same window on EGL, rendered in memory.
"""

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from stimuli.opengl.corridor_renderer import Painter
from stimuli.scene.corridor_geometry import Lap
from stimuli.scene.open_loop import Image
from stimuli.scene.screen import GREY_SCENE, Scene, Stage, check_pictures
from stimuli.screens.window_layout import WindowLayout, laid_out, upside_down
from stimuli.window import grey_backdrop
from stimuli.window.display_requirements import headless, missing

_SPIN_NS = 500_000
"""How long before a due flip a paced screen stops sleeping and watches the clock."""

_Pixels = Annotated[int, msgspec.Meta(ge=16, le=8192)]
_Place = Annotated[int, msgspec.Meta(ge=0, le=32768)]


class PsychopyScreen:
    """Draws the corridor into one borderless window that spans all screens of the desktop."""

    simulated: ClassVar[bool] = False

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The window on the desktop, and how much the graphics card may be asked for."""

        size_px: tuple[_Pixels, _Pixels] = (400, 300)
        """Width and height of one view, where the views have no area_px of their own."""
        position_px: tuple[int, int] = (0, 0)
        full_screen: bool = False
        """Only where the driver presents all screens as one."""
        anisotropy: Annotated[float, msgspec.Meta(ge=1.0, le=16.0)] = 1.0
        """Sharpness of walls seen at a slant; 8 is good, and slow without a graphics card."""
        patch_px: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 24
        """Side of the photodiode's patch; 0 for none."""
        patch_at_px: tuple[_Place, _Place] | None = None
        """Its left and top in the window, which grows to hold it; None: the lower left corner."""

    layout: WindowLayout

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._window: Any = None
        self._painter: Painter | None = None
        self._drawn: Scene | NDArray[np.uint8] = GREY_SCENE

    def open(self, stage: Stage) -> None:
        """Open the window. A layout that cannot be is refused before that."""
        asked = self._settings
        self._stage = stage
        self.layout = laid_out(stage.panes, asked.size_px, asked.patch_px, asked.patch_at_px)
        if (lack := missing()) is not None:
            raise Refused(lack)
        self._window, self._gl = _open_window(
            size=self.layout.size_px,
            pos=asked.position_px,
            fullscr=asked.full_screen,
            waitBlanking=stage.waits_for_vblank,
        )
        self._window.winHandle.set_vsync(stage.waits_for_vblank)
        size_px = tuple(int(side) for side in self._window.frameBufferSize)
        if size_px != self.layout.size_px:
            raise Refused(
                f"the window is {size_px[0]} x {size_px[1]} pixels, and the screens need "
                f"{self.layout.size_px[0]} x {self.layout.size_px[1]}; correct size_px or area_px"
            )
        self._painter = Painter(self._gl, stage, self.layout, asked.anisotropy)
        self._draw_once()
        self.draw(GREY_SCENE)
        self.flip()
        if grey_backdrop.possible():
            self._hang_curtain(self._painter)

    def draw(self, scene: Scene) -> None:
        assert self._painter is not None, "open the screen first"
        check_pictures(scene, self._stage)
        self._painter.draw(scene)
        self._drawn = scene
        self._gl.glFinish()

    def draw_image(self, image: NDArray[np.uint8]) -> None:
        assert self._painter is not None, "open the screen first"
        self._painter.draw_image(image)
        self._drawn = image

    def wait(self, wait_ns: int) -> None:
        if self._stage.waits_for_vblank:
            return
        due = time.monotonic_ns() + wait_ns
        if wait_ns > _SPIN_NS:
            time.sleep((wait_ns - _SPIN_NS) / 1e9)
        while time.monotonic_ns() < due:
            pass

    def flip(self) -> None:
        self._window.flip(clearBuffer=False)

    def picture(self) -> NDArray[np.uint8]:
        gl, (width, height) = self._gl, self.layout.size_px
        if isinstance(self._drawn, Scene):
            self.draw(self._drawn)
        else:
            self.draw_image(self._drawn)
        rows = np.empty((height, width, 3), np.uint8)
        gl.glPixelStorei(gl.GL_PACK_ALIGNMENT, 1)
        gl.glReadBuffer(gl.GL_BACK)
        gl.glReadPixels(0, 0, width, height, gl.GL_RGB, gl.GL_UNSIGNED_BYTE, rows.ctypes.data)
        return rows[::-1]

    def close(self) -> None:
        if self._window is None:
            return
        try:
            if self._painter is not None:
                self.draw(GREY_SCENE)
                self.flip()
        finally:
            self._window.close()
            self._window = self._painter = None

    def _draw_once(self) -> None:
        """Draw a corridor and an image, unseen: a driver makes its programs ready at first use."""
        stage = self._stage
        for name in tuple(stage.pictures)[:1]:
            self.draw(Scene((Lap(name, 1.0, 1.0),) * 3, 0.0, False))
        for name in tuple(stage.images)[:1]:
            self.draw(Scene(None, 0.0, False, Image(name)))

    def _hang_curtain(self, painter: Painter) -> None:
        """Put the greys of this window behind it, for the case that it dies."""
        (left, top), size_px = self._settings.position_px, self.layout.size_px
        parts = [(upside_down(area, size_px[1]), grey) for area, grey in painter.other_grounds]
        window = self._window.winHandle._window
        grey_backdrop.hang(window, (left, top, *size_px), painter.ground, parts)


def _open_window(**options: Any) -> tuple[Any, Any]:
    """Open PsychoPy's window; return it and its OpenGL functions. Raises Refused."""
    with _quietly():
        if headless():
            _prepare_egl()
        from psychopy import logging as psychopy_logging

        psychopy_logging.console.setLevel(psychopy_logging.CRITICAL)
        from psychopy import visual
        from pyglet import gl
        from pyglet.gl import ContextException
        from pyglet.window import WindowException

        try:
            window = visual.Window(
                **options,
                color=0,
                units="pix",
                allowGUI=False,
                winType="pyglet",
                checkTiming=False,
                gammaErrorPolicy="ignore",
            )
        except (ContextException, WindowException) as error:
            raise Refused(
                f"the corridor's window does not open ({error}); check DISPLAY and the driver"
            ) from error
    return window, gl


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep PsychoPy's folders out of the person's home, its deprecations out of the terminal."""
    home = str(Path.home())
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ["HOME"] = folder
        try:
            yield
        finally:
            os.environ["HOME"] = home


def _prepare_egl() -> None:
    """Let PsychoPy open its window on EGL: it hands pyglet's in-memory window X11's arguments."""
    import pyglet

    pyglet.options["headless"] = True
    from pyglet.canvas import headless as canvas
    from pyglet.window import headless

    window: Any = headless.HeadlessWindow
    if hasattr(window, "_x_display"):
        return
    start = canvas.HeadlessDisplay.__init__

    def start_plainly(self: Any, *arguments: Any, **options: Any) -> None:
        start(self)

    def set_no_icon(self: Any, *images: Any) -> None:
        pass

    canvas.HeadlessDisplay.__init__ = start_plainly
    window._window, window._x_display, window._x_screen_id = 0, None, None
    window.set_icon = set_no_icon
