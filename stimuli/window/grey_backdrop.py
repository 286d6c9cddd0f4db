"""A grey window right behind the corridor's, kept by the X server: what is seen if that one dies.

The server keeps it when its maker is gone, however that went (XSetCloseDownMode, RetainPermanent),
so that no process must live on to hold it. It stays until `take_down`, or until another is hung.
"""

import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import byref, c_char_p, c_int, c_long, c_ubyte, c_uint, c_ulong, c_ushort, c_void_p
from typing import Any

Box = tuple[int, int, int, int]
"""Left, top, width and height."""
Colour = tuple[float, float, float]
"""Red, green and blue, 0 to 1."""

_PROPERTY = b"_RIG_CURTAIN"
_REDIRECT_AND_CURSOR, _SIBLING_AND_MODE = 1 << 9 | 1 << 14, 1 << 5 | 1 << 6
_BELOW, _RETAIN_PERMANENT = 1, 1
_XA_WINDOW = 33


class _Attributes(ctypes.Structure):
    """XSetWindowAttributes."""

    _fields_ = (
        *((name, c_ulong) for name in ("pixmap", "pixel", "border_pixmap", "border_pixel")),
        *((name, c_int) for name in ("bit_gravity", "win_gravity", "backing_store")),
        *((name, c_ulong) for name in ("backing_planes", "backing_pixel")),
        ("save_under", c_int),
        *((name, c_long) for name in ("event_mask", "no_propagate")),
        ("override_redirect", c_int),
        *((name, c_ulong) for name in ("colormap", "cursor")),
    )


class _Changes(ctypes.Structure):
    """XWindowChanges."""

    _fields_ = (
        *((name, c_int) for name in ("x", "y", "width", "height", "border_width")),
        ("sibling", c_ulong),
        ("stack_mode", c_int),
    )


class _Colour(ctypes.Structure):
    """XColor."""

    _fields_ = (
        ("pixel", c_ulong),
        *((name, c_ushort) for name in ("red", "green", "blue")),
        ("flags", c_ubyte),
        ("pad", c_ubyte),
    )


def possible() -> bool:
    """Whether there is an X server to keep it; elsewhere a killed display uncovers the desktop."""
    return sys.platform == "linux" and bool(os.environ.get("DISPLAY"))


def hang(window: int, box: Box, ground: Colour, parts: Sequence[tuple[Box, Colour]]) -> None:
    """Put a curtain right behind an X window, in place of any that hangs there.

    box is where on the desktop; parts are boxes in it of another colour than the ground.
    """
    with _server() as (x11, display):
        root = x11.XDefaultRootWindow(display)
        _kill(x11, display, root)
        curtain = _grey(x11, display, root, box, ground)
        # no window manager is to touch it, and the mouse's arrow is not to be seen on it
        attributes = _Attributes(override_redirect=1, cursor=_no_cursor(x11, display, root))
        x11.XChangeWindowAttributes(display, curtain, _REDIRECT_AND_CURSOR, byref(attributes))
        for part, colour in parts:
            _grey(x11, display, curtain, part, colour)
        x11.XMapSubwindows(display, curtain)
        behind = _Changes(sibling=_outermost(x11, display, root, window), stack_mode=_BELOW)
        x11.XConfigureWindow(display, curtain, _SIBLING_AND_MODE, byref(behind))
        x11.XMapWindow(display, curtain)
        atom = x11.XInternAtom(display, _PROPERTY, 0)
        x11.XChangeProperty(display, root, atom, _XA_WINDOW, 32, 0, byref(c_ulong(curtain)), 1)
        x11.XSetCloseDownMode(display, _RETAIN_PERMANENT)


def take_down() -> bool:
    """Remove the curtain, so that the desktop is seen again; return whether one hung."""
    with _server() as (x11, display):
        return _kill(x11, display, x11.XDefaultRootWindow(display))


@contextmanager
def _server() -> Iterator[tuple[Any, int]]:
    x11 = ctypes.CDLL("libX11.so.6")
    for name in ("XOpenDisplay", "XDefaultRootWindow", "XCreateSimpleWindow", "XInternAtom"):
        getattr(x11, name).restype = c_ulong
    x11.XDefaultColormap.restype = c_ulong
    x11.XCreateBitmapFromData.restype = x11.XCreatePixmapCursor.restype = c_ulong
    window, server = c_ulong, c_void_p
    x11.XDefaultRootWindow.argtypes = [server]
    x11.XInternAtom.argtypes = [server, c_char_p, c_int]
    x11.XChangeWindowAttributes.argtypes = [server, window, c_ulong, c_void_p]
    x11.XConfigureWindow.argtypes = [server, window, c_uint, c_void_p]
    x11.XChangeProperty.argtypes = [server, window, c_ulong, c_ulong, *[c_int] * 2, c_void_p, c_int]
    x11.XCreateSimpleWindow.argtypes = [server, window, *[c_int] * 2, *[c_uint] * 3, *[c_ulong] * 2]
    x11.XGetWindowProperty.argtypes = [
        *(server, window, c_ulong, c_long, c_long, c_int, c_ulong),
        *[c_void_p] * 5,
    ]
    x11.XQueryTree.argtypes = [server, window, *[c_void_p] * 4]
    x11.XCreateBitmapFromData.argtypes = [server, window, c_char_p, c_uint, c_uint]
    x11.XCreatePixmapCursor.argtypes = [server, *[c_ulong] * 2, *[c_void_p] * 2, c_uint, c_uint]
    x11.XAllocColor.argtypes = [server, c_ulong, c_void_p]
    x11.XDefaultColormap.argtypes = x11.XSync.argtypes = [server, c_int]
    x11.XSetCloseDownMode.argtypes = [server, c_int]
    for name in ("XMapWindow", "XMapSubwindows", "XKillClient", "XDeleteProperty"):
        getattr(x11, name).argtypes = [server, window, c_ulong][: 3 if name[1] == "D" else 2]
    x11.XFree.argtypes = x11.XCloseDisplay.argtypes = [c_void_p]
    x11.XSetErrorHandler.restype, x11.XSetErrorHandler.argtypes = c_void_p, [c_void_p]
    display = x11.XOpenDisplay(None)
    # A window manager may move the window meanwhile: that must not end the process.
    go_on = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p)(lambda _display, _error: 0)
    before = x11.XSetErrorHandler(ctypes.cast(go_on, c_void_p))
    try:
        yield x11, display
        x11.XSync(display, 0)
    finally:
        x11.XSetErrorHandler(before)
        x11.XCloseDisplay(display)


def _grey(x11: Any, display: int, parent: int, box: Box, colour: Colour) -> int:
    """Make a window of one colour; return it."""
    red, green, blue = (round(share * 255) * 257 for share in colour)
    wanted = _Colour(red=red, green=green, blue=blue, flags=7)
    x11.XAllocColor(display, x11.XDefaultColormap(display, 0), byref(wanted))
    made: int = x11.XCreateSimpleWindow(display, parent, *box, 0, 0, wanted.pixel)
    return made


def _no_cursor(x11: Any, display: int, root: int) -> int:
    """Make a cursor of which nothing is seen."""
    nothing = x11.XCreateBitmapFromData(display, root, b"\0", 1, 1)
    black = byref(_Colour())
    made: int = x11.XCreatePixmapCursor(display, nothing, nothing, black, black, 0, 0)
    return made


def _outermost(x11: Any, display: int, root: int, window: int) -> int:
    """Return the window, or the frame that a window manager has put round it."""
    top, parent, children, count = c_ulong(), c_ulong(), c_void_p(), c_uint()
    while True:
        x11.XQueryTree(display, window, *(byref(v) for v in (top, parent, children, count)))
        x11.XFree(children)
        if parent.value in (root, 0):
            return window
        window = parent.value


def _kill(x11: Any, display: int, root: int) -> bool:
    """Remove the curtain that hangs, if one does."""
    atom = x11.XInternAtom(display, _PROPERTY, 0)
    kind, form, count, after, data = c_ulong(), c_int(), c_ulong(), c_ulong(), c_void_p()
    answer = [byref(v) for v in (kind, form, count, after, data)]
    x11.XGetWindowProperty(display, root, atom, 0, 1, 0, _XA_WINDOW, *answer)
    if not count.value or not data.value:
        return False
    x11.XKillClient(display, c_ulong.from_address(data.value).value)
    x11.XDeleteProperty(display, root, atom)
    x11.XFree(data)
    return True
