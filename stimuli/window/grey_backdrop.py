"""Show a grey window behind the corridor's window, which remains if the display process dies.

The X server keeps a window after its client has ended if the client asked for it (close-down mode
RetainPermanent), so no process has to keep running. The backdrop remains until `remove`, or until
another backdrop replaces it. Its window id is a property of the root window.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rig.errors import Refused

Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""
Colour = tuple[float, float, float]
"""Red, green and blue, 0 to 1."""

_PROPERTY = "_RIG_BACKDROP"


def supported() -> bool:
    """Return True if there is an X server, without which there is no backdrop."""
    return sys.platform == "linux" and bool(os.environ.get("DISPLAY"))


def show(window: int, box: Box, grey: Colour, areas: Sequence[tuple[Box, Colour]]) -> None:
    """Put a backdrop right behind an X window, in place of any other backdrop.

    Args:
        window: The id of the corridor's window.
        box: The position and size of the backdrop on the desktop.
        grey: The colour of the backdrop.
        areas: Parts of the backdrop that have another colour.

    Raises:
        Refused: No X server answers.
    """
    from Xlib import X, Xatom

    with _connect() as display:
        root = display.screen().root
        _remove(display)
        backdrop = _create(display, root, box, grey)
        # Keep window managers from changing it, and hide the mouse pointer over it.
        backdrop.change_attributes(override_redirect=True, cursor=_invisible_cursor(root))
        for area, colour in areas:
            _create(display, backdrop, area, colour)
        backdrop.map_sub_windows()
        frame = _outermost(display.create_resource_object("window", window))
        backdrop.configure(sibling=frame, stack_mode=X.Below)
        backdrop.map()
        atom = display.intern_atom(_PROPERTY)
        root.change_property(atom, Xatom.WINDOW, 32, [backdrop.id])
        display.set_close_down_mode(X.RetainPermanent)


def remove() -> bool:
    """Remove the backdrop, so that the desktop is visible; return True if there was a backdrop.

    Raises:
        Refused: No X server answers.
    """
    with _connect() as display:
        return _remove(display)


@contextmanager
def _connect() -> Iterator[Any]:
    """Yield a connection to the X server; finish all requests and close it at the end."""
    from Xlib.display import Display
    from Xlib.error import DisplayError

    try:
        display = Display()
    except (DisplayError, OSError) as error:
        raise Refused(
            f"no X server answers at DISPLAY = {os.environ.get('DISPLAY', '')}; correct DISPLAY"
        ) from error
    # A window manager may move windows at the same time; an error reply must not end the process.
    display.set_error_handler(lambda *_: None)
    try:
        yield display
        display.sync()
    finally:
        display.close()


def _create(display: Any, parent: Any, box: Box, colour: Colour) -> Any:
    """Create a window of one colour."""
    from Xlib import X

    levels = (round(share * 255) * 257 for share in colour)
    pixel = display.screen().default_colormap.alloc_color(*levels).pixel
    return parent.create_window(*box, 0, X.CopyFromParent, background_pixel=pixel)


def _invisible_cursor(root: Any) -> Any:
    """Create a cursor whose mask is empty."""
    mask = root.create_pixmap(1, 1, 1)
    mask.fill_rectangle(mask.create_gc(foreground=0), 0, 0, 1, 1)
    return mask.create_cursor(mask, (0, 0, 0), (0, 0, 0), 0, 0)


def _outermost(window: Any) -> Any:
    """Return the window, or the frame that a window manager has put around it."""
    while True:
        tree = window.query_tree()
        if tree.parent in (0, tree.root):
            return window
        window = tree.parent


def _remove(display: Any) -> bool:
    from Xlib import Xatom

    root, atom = display.screen().root, display.intern_atom(_PROPERTY)
    found = root.get_full_property(atom, Xatom.WINDOW)
    if found is None or not len(found.value):
        return False
    display.create_resource_object("window", found.value[0]).kill_client()
    root.delete_property(atom)
    return True
