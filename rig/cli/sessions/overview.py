"""rig overview: show several rigs on one page."""

import os
import ssl
from pathlib import Path
from typing import Annotated

import typer

from rig.cli.sessions.monitor import (
    Certificate,
    Host,
    Key,
    Name,
    NoBrowser,
    Port,
    open_browser,
)
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.settings.toml import read_toml


def overview(
    rigs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=ADDRESS]...",
            help="Live pages, as in left=https://rig1.lab:8571 [those in ~/.config/rig/rigs.toml].",
        ),
    ] = None,
    trust: Annotated[
        Path | None, typer.Option(help="Certificate that the rigs' certificates are checked with.")
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = None,
    certificate: Certificate = None,
    key: Key = None,
    name: Name = None,
    no_browser: NoBrowser = False,
) -> None:
    """Show several rigs on one page, a line each; a click opens the rig's own live page."""
    from rig.monitor.overview import Overview, check_addresses, overview_application
    from rig.monitor.serve import address_of, bind, names_of, serve

    names = names_of(host, certificate, key, name or ())
    shown = dict(map(_pair, rigs)) if rigs else _from_file()
    check_addresses(shown)
    trusted = _trusted(trust)
    listening = bind(host, port)
    address = address_of(listening, certificate is not None, "", names)
    new_console().print(f"overview: {address}   (Ctrl-C ends it; the sessions continue)")
    if not no_browser:
        open_browser(address)
    app = overview_application(Overview(shown, trusted))
    serve(app, listening, certificate, key, names=names)


def _pair(text: str) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not equals or not name:
        raise Refused(f'"{text}": write NAME=ADDRESS, as in left=https://rig1.lab:8571')
    return name, address


def _from_file() -> dict[str, str]:
    config = os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA")
    path = (Path(config) if config else Path.home() / ".config") / "rig" / "rigs.toml"
    table = read_toml(path) if path.exists() else {}
    if not table or not all(isinstance(address, str) for address in table.values()):
        raise Refused(
            f"name the rigs, as in left=https://rig1.lab:8571, or write them into {path}, as in "
            'left = "https://rig1.lab:8571"'
        )
    return table


def _trusted(trust: Path | None) -> ssl.SSLContext | None:
    if trust is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(trust))
    except (OSError, ssl.SSLError) as error:
        raise Refused(f"{trust} is not a certificate ({error}); check the path") from error
