"""The real screen: one PsychoPy window over all views; the only file that knows PsychoPy.

On Linux without a DISPLAY it is the same window on EGL, rendered in memory.
"""

import ctypes
import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.refused import Refused
from stimuli.geometry import THREE_VIEWS, Corridor, Lap
from stimuli.painter import Painter
from stimuli.screen import GREY_SCENE, Scene, Stage, check_pictures
from stimuli.textures import pictures

APT_LINE = "apt-get install -y --no-install-recommends libgl1 libglu1-mesa libegl1"
_LIBRARIES = ("libGL.so.1", "libGLU.so.1")
_EGL_PLATFORM_SURFACELESS = 0x31DD

_Pixels = Annotated[int, msgspec.Meta(ge=16, le=8192)]


class PsychopyScreen:
    """Draws the corridor into one borderless window that spans the views from left to right."""

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The window on the desktop, and how much the graphics card may be asked for."""

        size_px: tuple[_Pixels, _Pixels] = (400, 300)
        """Width and height of one view; the window is as many times wider as there are views."""
        position_px: tuple[int, int] = (0, 0)
        full_screen: bool = False
        """Only where the driver presents all screens as one."""
        anisotropy: Annotated[float, msgspec.Meta(ge=1.0, le=16.0)] = 1.0
        """Sharpness of walls seen at a slant; 8 is good, and slow without a graphics card."""
        patch_px: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 24
        """Side of the photodiode's patch, lower left; 0 for none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._window: Any = None
        self._painter: Painter | None = None
        self._drawn = GREY_SCENE

    def open(self, stage: Stage) -> None:
        if (lack := missing()) is not None:
            raise Refused(lack)
        width, height = self._settings.size_px
        self._stage = stage
        self._window, self._gl = _open_window(
            size=(width * len(stage.views), height),
            pos=self._settings.position_px,
            fullscr=self._settings.full_screen,
            waitBlanking=stage.waits_for_vblank,
        )
        wide, high = (int(side) for side in self._window.frameBufferSize)
        self._size_px = (wide, high)
        patch_px, anisotropy = self._settings.patch_px, self._settings.anisotropy
        self._painter = Painter(self._gl, stage, self._size_px, patch_px, anisotropy)
        self.draw(GREY_SCENE)
        self.flip()

    def draw(self, scene: Scene) -> None:
        assert self._painter is not None, "open the screen first"
        check_pictures(scene, self._stage)
        self._painter.draw(scene)
        self._drawn = scene
        self._gl.glFinish()

    def flip(self) -> None:
        self._window.flip(clearBuffer=False)

    def picture(self) -> NDArray[np.uint8]:
        gl, (width, height) = self._gl, self._size_px
        self.draw(self._drawn)
        rows = np.empty((height, width), np.uint8)
        gl.glPixelStorei(gl.GL_PACK_ALIGNMENT, 1)
        gl.glReadBuffer(gl.GL_BACK)
        gl.glReadPixels(0, 0, width, height, gl.GL_RED, gl.GL_UNSIGNED_BYTE, rows.ctypes.data)
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


def missing() -> str | None:
    """Return in one sentence what this machine lacks to open the window, or None. Quick."""
    absent = [name for name in ("psychopy", "pyglet") if find_spec(name) is None]
    if absent:
        return (
            f"the corridor's window needs the Python package {absent[0]}; "
            "run: pip install --no-deps -r requirements.txt"
        )
    if sys.platform != "linux":
        return None
    wanted = (*_LIBRARIES, "libEGL.so.1" if _headless() else "libX11.so.6")
    absent = [name for name in wanted if not _loads(name)]
    if not absent and _headless() and not _egl_starts():
        absent = ["a driver for libEGL (Mesa)"]
    if absent:
        return f"the corridor's window needs {' and '.join(absent)}; run: {APT_LINE}"
    if not _headless() and not _x_answers():
        at = os.environ["DISPLAY"]
        return f"no X server answers at DISPLAY = {at}; correct it, or unset it to draw in memory"
    return None


def draw_cost_ms(frames: int) -> list[float]:
    """Return the CPU time of this thread (ms) that drawing each frame takes without its pixels.

    Opens a window of three views; the rasterizer is off, so a slow one does not blur the figure.
    """
    screen = PsychopyScreen(msgspec.convert({}, PsychopyScreen.Settings))
    lap = Lap("leaf1", 4.0, 2.0)
    screen.open(Stage(THREE_VIEWS, msgspec.convert({}, Corridor), pictures(), False))
    try:
        gl: Any = screen._gl
        painter: Any = screen._painter
        gl.glEnable(gl.GL_RASTERIZER_DISCARD)
        painter.draw(Scene((lap, lap, lap), 0.0, False))
        stamps_ns = [time.thread_time_ns()]
        for frame in range(frames):
            painter.draw(Scene((lap, lap, lap), frame % 400 / 100, frame % 2 == 0))
            stamps_ns.append(time.thread_time_ns())
        gl.glDisable(gl.GL_RASTERIZER_DISCARD)
    finally:
        screen.close()
    return [float(ns) / 1e6 for ns in np.diff(stamps_ns)]


def _headless() -> bool:
    return sys.platform == "linux" and not os.environ.get("DISPLAY")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _egl_starts() -> bool:
    """Whether EGL finds a driver here and starts it."""
    egl = ctypes.CDLL("libEGL.so.1")
    egl.eglGetPlatformDisplay.restype = ctypes.c_void_p
    display = egl.eglGetPlatformDisplay(_EGL_PLATFORM_SURFACELESS, None, None)
    if not display:
        return False
    started = egl.eglInitialize(ctypes.c_void_p(display), None, None)
    egl.eglTerminate(ctypes.c_void_p(display))
    return bool(started)


def _x_answers() -> bool:
    """Whether there is an X server at DISPLAY that lets this person in."""
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = x11.XOpenDisplay(None)
    if display:
        x11.XCloseDisplay(ctypes.c_void_p(display))
    return bool(display)


def _open_window(**options: Any) -> tuple[Any, Any]:
    """Open PsychoPy's window; return it and its OpenGL functions. Raises Refused."""
    with _quietly():
        if _headless():
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
