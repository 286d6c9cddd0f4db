"""Find out what is missing on a computer to open the corridor's window."""

import ctypes
import os
import sys
from importlib.util import find_spec

APT_LINE = "apt-get install -y --no-install-recommends libgl1 libglu1-mesa libegl1"
_LIBRARIES = ("libGL.so.1", "libGLU.so.1")
_EGL_PLATFORM_SURFACELESS = 0x31DD


def missing() -> str | None:
    """Return a sentence on what is missing to open the window, or None. Takes a few ms."""
    absent = [name for name in ("psychopy", "pyglet") if find_spec(name) is None]
    if absent:
        return (
            f"the corridor's window needs the Python package {absent[0]}; "
            "run: pip install --no-deps -r requirements.txt"
        )
    return _missing_libraries() if sys.platform == "linux" else None


def _missing_libraries() -> str | None:
    """Return a sentence on missing system libraries or a missing X server (Linux), or None."""
    libraries = (*_LIBRARIES, "libEGL.so.1" if headless() else "libX11.so.6")
    absent = [name for name in libraries if not _loads(name)]
    if not absent and headless() and not _egl_initializes():
        absent = ["a driver for libEGL (Mesa)"]
    if absent:
        return f"the corridor's window needs {' and '.join(absent)}; run: {APT_LINE}"
    return None if headless() else missing_x_server()


def headless() -> bool:
    """Return True if the window is drawn in memory, because DISPLAY is not set."""
    return sys.platform == "linux" and not os.environ.get("DISPLAY")


def missing_x_server() -> str | None:
    """Return a sentence if no X server answers at DISPLAY, or None."""
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = x11.XOpenDisplay(None)
    if display:
        x11.XCloseDisplay(ctypes.c_void_p(display))
        return None
    return (
        f"no X server answers at DISPLAY = {os.environ.get('DISPLAY', '')}; correct DISPLAY, or "
        "unset it to draw in memory"
    )


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _egl_initializes() -> bool:
    """Return True if EGL finds a working driver."""
    egl = ctypes.CDLL("libEGL.so.1")
    egl.eglGetPlatformDisplay.restype = ctypes.c_void_p
    display = egl.eglGetPlatformDisplay(_EGL_PLATFORM_SURFACELESS, None, None)
    if not display:
        return False
    initialized = egl.eglInitialize(ctypes.c_void_p(display), None, None)
    egl.eglTerminate(ctypes.c_void_p(display))
    return bool(initialized)
