"""rig panel: begin and end an animal's day in a browser."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rig.cli.panel.choices import Choices
from rig.cli.sessions.monitor import (
    Certificate,
    Host,
    Key,
    Name,
    NoBrowser,
    Port,
    live_monitor,
    open_browser,
)
from rig.cli.sessions.run import Data
from rig.cli.terminal import new_console
from rig.settings.config import read_session

if TYPE_CHECKING:
    from rig.monitor.server import Monitor

Setups = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder with this lab's setups; shipped ones follow."),
]
Tasks = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder with this lab's tasks; shipped ones follow."),
]
Practice = Annotated[
    bool,
    typer.Option("--rehearse", help="Practise days on simulated devices, in DATA/rehearsal."),
]


def panel(
    data: Data,
    setups: Setups = None,
    tasks: Tasks = None,
    rehearse: Practice = False,
    host: Host = "127.0.0.1",
    port: Port = None,
    certificate: Certificate = None,
    key: Key = None,
    name: Name = None,
    no_browser: NoBrowser = False,
) -> None:
    """Begin and end an animal's day in a browser: weight, task, checks, session, water.

    A session runs in a process of its own: ending the panel does not end it.
    """
    from rig.cli.panel.desk import Desk
    from rig.monitor.panel import panel_application
    from rig.monitor.serve import address_of, bind, names_of, read_token, serve, token_file

    names = names_of(host, certificate, key, name or ())
    desk = Desk(data, Choices(setups, tasks), rehearse)
    token = read_token(token_file())

    def watched(folder: Path) -> "Monitor":
        return live_monitor(folder, token, lambda *_: None)  # requests go to the session's page

    listening = bind(host, port)
    address = address_of(listening, certificate is not None, token, names)
    new_console().print(f"panel: {address}   (Ctrl-C ends it; a session continues)", soft_wrap=True)
    if not no_browser:
        open_browser(address)
    app = panel_application(desk, watched, token, _page_of)
    serve(app, listening, certificate, key, names=names)


def _page_of(folder: Path) -> str:
    """Return the address of a running session's own page."""
    from rig.monitor.serve import announced

    return announced(read_session(folder).rig.hub_port)
