"""What a machine lacks to open the corridor's window, in one sentence."""

import ctypes
import os
import sys
from importlib.util import find_spec

APT_LINE = "apt-get install -y --no-install-recommends libgl1 libglu1-mesa libegl1"
_LIBRARIES = ("libGL.so.1", "libGLU.so.1")
_EGL_PLATFORM_SURFACELESS = 0x31DD


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
    wanted = (*_LIBRARIES, "libEGL.so.1" if headless() else "libX11.so.6")
    absent = [name for name in wanted if not _loads(name)]
    if not absent and headless() and not _egl_starts():
        absent = ["a driver for libEGL (Mesa)"]
    if absent:
        return f"the corridor's window needs {' and '.join(absent)}; run: {APT_LINE}"
    if not headless() and not _x_answers():
        at = os.environ["DISPLAY"]
        return f"no X server answers at DISPLAY = {at}; correct it, or unset it to draw in memory"
    return None


def headless() -> bool:
    """Whether the window is to be drawn in memory, because there is no X server to show it."""
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
