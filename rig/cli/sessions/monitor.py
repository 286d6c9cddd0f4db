"""rig monitor: the live page of a running session, or a recorded one played back."""

import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from rig.cli.sessions.end_summary import SUMMARY_FILE
from rig.cli.sessions.page.last_sessions import last_sessions
from rig.cli.sessions.page.screens_view import ScreensView
from rig.cli.sessions.run import Data
from rig.cli.sessions.session_argument import session_in
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.settings.config import read_session

if TYPE_CHECKING:
    from rig.monitor.imaging import ImagingView
    from rig.monitor.server import Accept, Monitor

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; default: 8571, or a free one.")]
Certificate = Annotated[Path | None, typer.Option(help="TLS certificate, for other machines.")]
Key = Annotated[Path | None, typer.Option(help="Private key of the certificate.")]
Name = Annotated[
    list[str] | None,
    typer.Option(
        help="Name or address under which browsers on other machines open the page; may be "
        "repeated [--host]."
    ),
]
NoBrowser = Annotated[
    bool, typer.Option("--no-browser", help="Print the address; do not open a browser.")
]


def monitor(
    data: Data,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="SESSION_DIR", help="Session folder; default: the newest."),
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = None,
    certificate: Certificate = None,
    key: Key = None,
    name: Name = None,
    no_browser: NoBrowser = False,
) -> None:
    """Show a running session on a live page; the session never waits for the page."""
    from rig.monitor.serve import names_of

    names = names_of(host, certificate, key, name or ())
    folder = session_in(folder) if folder is not None else _newest(data)
    if (folder / SUMMARY_FILE).exists():
        raise Refused(f"{folder} has ended; to show it, run: rig replay {folder} --monitor")
    _run(live_monitor(folder), host, port, certificate, key, names, not no_browser)


def live_monitor(folder: Path, token: str = "", accept: "Accept | None" = None) -> "Monitor":
    """Return the monitor of a running session.

    With the operator's `token`, requests from a page are passed to `accept`; without it, the page
    cannot make requests.
    """
    from rig.monitor.feeds import LiveFeed
    from rig.monitor.server import Monitor
    from rig.monitor.usage import Usage

    session = read_session(folder)
    usage = Usage(folder, live=True, t0_ns=session.t0_ns)
    feed, screens = LiveFeed(folder, session), ScreensView(folder, session)
    past = last_sessions(folder)
    return Monitor(feed, _imaging(folder), usage, token, accept, screens=screens, past=past)


def serve_replay(folder: Path, browser: bool, port: int | None = None) -> None:
    """Serve the page of a recorded session, with play, pause, speed and seek, until Ctrl-C."""
    from rig.monitor.feeds import ReplayFeed
    from rig.monitor.server import Monitor
    from rig.monitor.usage import Usage

    feed, usage = ReplayFeed(folder), Usage(folder, live=False)
    screens = ScreensView(folder, read_session(folder))
    past = last_sessions(folder)
    replay = Monitor(feed, _imaging(folder), usage, "", None, screens=screens, past=past)
    _run(replay, "127.0.0.1", port, None, None, (), browser)


def _run(
    served: "Monitor",
    host: str,
    port: int | None,
    certificate: Path | None,
    key: Path | None,
    names: tuple[str, ...],
    browser: bool,
) -> None:
    from rig.monitor.serve import address_of, bind, serve
    from rig.monitor.server import application

    listening = bind(host, port)
    address = address_of(listening, certificate is not None, "", names)
    new_console().print(f"live page: {address}   (Ctrl-C ends it; the session continues)")
    if browser:
        open_browser(address)
    serve(application(served), listening, certificate, key, names=names)


def open_browser(address: str) -> None:
    """Open a page in the user's browser, if there is a screen."""
    has_screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if has_screen or sys.platform in ("win32", "darwin"):
        webbrowser.open(address)


def _imaging(folder: Path) -> "ImagingView":
    """Return the imaging view with the cells in the session's settings."""
    from analysis.cells.read_cells import read_cells
    from rig.monitor.imaging import ImagingView

    online = read_session(folder).nodes.get("online", {})
    path = folder / str(online.get("cells_file") or "-")
    if not path.is_file():
        return ImagingView(folder)
    cells = read_cells(path)
    return ImagingView(folder, cells.centres().astype(np.float32), cells.plane)


def _newest(data: Path) -> Path:
    sessions = sorted(data.glob("sub-*/ses-*"), key=lambda path: path.stat().st_mtime)
    if not sessions:
        raise Refused(f"{data} contains no session; name its folder, or give --data")
    return sessions[-1]
