"""The real screen: one PsychoPy window over all physical screens.

On Linux without DISPLAY the same window is rendered in memory, with EGL. Only this file and its
reference (psychopy_reference) use PsychoPy.
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
from stimuli.opengl.corridor_renderer import CorridorRenderer
from stimuli.scene.corridor_geometry import Lap
from stimuli.scene.open_loop import Image
from stimuli.scene.screen import GREY_SCENE, RenderSetup, Scene, check_scene
from stimuli.screens.window_layout import WindowLayout, compute_layout, from_top_left
from stimuli.window import grey_backdrop
from stimuli.window.display_requirements import headless, missing

_SPIN_NS = 150_000
"""Time (ns) before a flip when a screen without vertical sync stops sleeping and polls the clock.

Linux wakes a sleeping process up to 50 us late (its timer slack), and later if it is busy.
"""

_SizePx = Annotated[int, msgspec.Meta(ge=16, le=8192)]
_PositionPx = Annotated[int, msgspec.Meta(ge=0, le=32768)]


class PsychopyScreen:
    """A borderless window over all screens of the desktop, in which the corridor is drawn."""

    simulated: ClassVar[bool] = False

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The window on the desktop, and the quality of drawing."""

        size_px: tuple[_SizePx, _SizePx] = (400, 300)
        """Width and height of one view, if the views have no area_px, px."""
        position_px: tuple[int, int] = (0, 0)
        """Left and top of the window on the desktop, px."""
        full_screen: bool = False
        """True for a full-screen window; possible only if all screens are one monitor for the
        graphics driver."""
        anisotropy: Annotated[float, msgspec.Meta(ge=1.0, le=16.0)] = 1.0
        """Sharpness of walls seen at an angle; 8 is good, but slow without a graphics card."""
        patch_px: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 24
        """Side of the photodiode patch, px; 0 for none."""
        patch_at_px: tuple[_PositionPx, _PositionPx] | None = None
        """Left and top of the patch in the window, px; the window is enlarged if needed. None:
        the lower left corner."""

    layout: WindowLayout

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._window: Any = None
        self._renderer: CorridorRenderer | None = None
        self._drawn: Scene | NDArray[np.uint8] = GREY_SCENE

    def open(self, setup: RenderSetup) -> None:
        """Open the window. Raises Refused if its layout is impossible or it cannot be opened."""
        settings = self._settings
        self._setup = setup
        self.layout = compute_layout(
            setup.screens, settings.size_px, settings.patch_px, settings.patch_at_px
        )
        if (lack := missing()) is not None:
            raise Refused(lack)
        self._window, self._gl = _open_window(
            size=self.layout.size_px,
            pos=settings.position_px,
            fullscr=settings.full_screen,
            waitBlanking=setup.waits_for_vblank,
        )
        self._window.winHandle.set_vsync(setup.waits_for_vblank)
        size_px = tuple(int(side) for side in self._window.frameBufferSize)
        if size_px != self.layout.size_px:
            raise Refused(
                f"the window is {size_px[0]} x {size_px[1]} pixels, but the screens need "
                f"{self.layout.size_px[0]} x {self.layout.size_px[1]}; correct size_px or area_px"
            )
        self._renderer = CorridorRenderer(self._gl, setup, self.layout, settings.anisotropy)
        self._warm_up()
        self.draw(GREY_SCENE)
        self.flip()
        if grey_backdrop.supported():
            self._show_backdrop(self._renderer)

    def draw(self, scene: Scene) -> None:
        assert self._renderer is not None, "open the screen first"
        check_scene(scene, self._setup)
        self._renderer.draw(scene)
        self._drawn = scene
        self._gl.glFinish()

    def draw_pixels(self, pixels: NDArray[np.uint8]) -> None:
        assert self._renderer is not None, "open the screen first"
        self._renderer.draw_pixels(pixels)
        self._drawn = pixels

    def wait(self, wait_ns: int) -> None:
        if self._setup.waits_for_vblank:
            return
        due = time.monotonic_ns() + wait_ns
        if wait_ns > _SPIN_NS:
            time.sleep((wait_ns - _SPIN_NS) / 1e9)
        while time.monotonic_ns() < due:
            pass

    def flip(self) -> None:
        self._window.flip(clearBuffer=False)

    def read_pixels(self) -> NDArray[np.uint8]:
        gl, (width, height) = self._gl, self.layout.size_px
        if isinstance(self._drawn, Scene):
            self.draw(self._drawn)
        else:
            self.draw_pixels(self._drawn)
        rows = np.empty((height, width, 3), np.uint8)
        gl.glPixelStorei(gl.GL_PACK_ALIGNMENT, 1)
        gl.glReadBuffer(gl.GL_BACK)
        gl.glReadPixels(0, 0, width, height, gl.GL_RGB, gl.GL_UNSIGNED_BYTE, rows.ctypes.data)
        return rows[::-1]

    def close(self) -> None:
        if self._window is None:
            return
        try:
            if self._renderer is not None:
                self.draw(GREY_SCENE)
                self.flip()
        finally:
            self._window.close()
            self._window = self._renderer = None

    def _warm_up(self) -> None:
        """Draw a corridor and an image without showing them.

        Graphics drivers complete a shader only when it is first used.
        """
        for name in tuple(self._setup.textures)[:1]:
            self.draw(Scene((Lap(name, 1.0, 1.0),) * 3, 0.0, False))
        for name in tuple(self._setup.images)[:1]:
            self.draw(Scene(None, 0.0, False, Image(name)))

    def _show_backdrop(self, renderer: CorridorRenderer) -> None:
        """Show a backdrop with the greys of this window behind it, in case this process dies."""
        (left, top), size_px = self._settings.position_px, self.layout.size_px
        areas = [(from_top_left(area, size_px[1]), grey) for area, grey in renderer.other_greys]
        window = self._window.winHandle._window
        grey_backdrop.show(window, (left, top, *size_px), renderer.grey, areas)


def _open_window(**options: Any) -> tuple[Any, Any]:
    """Open a PsychoPy window; return it and its OpenGL functions. Raises Refused if that fails."""
    with _without_side_effects():
        import pyglet

        pyglet.options["debug_gl"] = False  # else each OpenGL call is followed by glGetError
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
                f"the corridor's window does not open ({error}); check DISPLAY and the graphics "
                "driver"
            ) from error
    return window, gl


@contextmanager
def _without_side_effects() -> Iterator[None]:
    """Keep PsychoPy from writing folders to the home directory and warnings to the terminal."""
    home = str(Path.home())
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ["HOME"] = folder
        try:
            yield
        finally:
            os.environ["HOME"] = home


def _prepare_egl() -> None:
    """Make PsychoPy able to open its window with EGL.

    PsychoPy passes the arguments of an X11 window to any pyglet window, and reads X11 attributes
    from it. So pyglet's headless window gets such arguments and attributes, which do nothing.
    """
    import pyglet

    pyglet.options["headless"] = True
    from pyglet.canvas import headless as canvas
    from pyglet.window import headless

    window: Any = headless.HeadlessWindow
    if hasattr(window, "_x_display"):
        return
    original = canvas.HeadlessDisplay.__init__

    def initialize(self: Any, *arguments: Any, **options: Any) -> None:
        original(self)

    def set_no_icon(self: Any, *images: Any) -> None:
        pass

    canvas.HeadlessDisplay.__init__ = initialize
    window._window, window._x_display, window._x_screen_id = 0, None, None
    window.set_icon = set_no_icon
