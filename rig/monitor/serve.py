"""Run the server of a page, and read the operator's token."""

import os
import secrets
import socket
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from rig.errors import Refused
from rig.monitor.access import OwnNames
from rig.monitor.certificate import check_certificate
from rig.transport.hub_access import hub_folder
from rig.transport.private_folder import open_private

LOOPBACK = "127.0.0.1"
_THIS_MACHINE = (LOOPBACK, "localhost", "::1")
_ANY_ADDRESS = ("0.0.0.0", "::")
DEFAULT_PORT = 8571
_TOKEN_BYTES = 18
_MOST_WAITING = 100
"""Largest number of connections that wait to be accepted."""
_MOST_CONNECTIONS = 400
"""Largest number of connections, of which a browser has up to seven. It is larger than that of
browsers that are sent updates, so that readers do not keep the operator out."""
_PAGE_FILE = "page.address"


def token_file() -> Path:
    """Return the path of this user's token, which is used for all sessions."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA")
    return (Path(home) if home else Path.home() / ".config") / "rig" / "monitor_token"


def read_token(path: Path) -> str:
    """Return the operator's token; create one if there is none.

    Raises Refused if others can read the file, or it cannot be used.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(path, flags, 0o600), "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(_TOKEN_BYTES))
        if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Refused(
                f"{path} can be read by other users, who could then give water; run: chmod 600 "
                f"{path}, or delete it to get a new token"
            )
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"the token file {path} cannot be used ({error}); delete it") from error
    if len(token) < _TOKEN_BYTES:
        raise Refused(f"the token in {path} is too short; delete the file to get a new one")
    return token


def bind(host: str, port: int | None) -> socket.socket:
    """Return a listening socket at `port`; None: at the usual port, or at any free port.

    Raises Refused if the port is in use, or the address is not one of this computer.
    """
    tried = [DEFAULT_PORT, 0] if port is None else [port]
    for number in tried:
        listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, number))
            listening.listen(_MOST_WAITING)
        except (OSError, OverflowError) as error:
            listening.close()
            if number == tried[-1]:
                raise Refused(
                    f"the live page cannot listen on {host}, port {number} ({error}); choose "
                    "another one: --port"
                ) from error
            continue
        return listening
    raise AssertionError


def names_of(
    host: str, certificate: Path | None, key: Path | None, names: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the names and addresses under which browsers may open a page.

    On loopback these are the names of this computer; otherwise `names`, or else `host`. Raises
    Refused if other computers could reach the page without TLS, or if browsers would not accept the
    certificate.
    """
    if (certificate is None) != (key is None):
        raise Refused("TLS needs both files: --certificate FILE and --key FILE")
    for file in (certificate, key):
        if file is not None and not file.is_file():
            raise Refused(f"there is no file {file}; check the path")
    if host not in _THIS_MACHINE and certificate is None:
        raise Refused(
            f"beyond this machine ({host}) the live page needs TLS: give --certificate FILE and "
            "--key FILE, or use an SSH tunnel"
        )
    if host in _ANY_ADDRESS and not names:
        raise Refused(
            f"--host {host} listens at every address of this machine; give the name that browsers "
            "use, for example --name rig1.lab"
        )
    own = _own_names(host) if host in _THIS_MACHINE else ()
    if certificate is not None and key is not None:
        check_certificate(certificate, key, names or (host,))
    return (*names, *own) or (host,)


def _own_names(host: str) -> tuple[str, ...]:
    """Return the names of this computer; the name at which the server listens is the first."""
    return (host, *(name for name in _THIS_MACHINE if name != host))


def address_of(
    listening: socket.socket, secure: bool, token: str, names: Sequence[str] = ()
) -> str:
    """Return the address to open in a browser; with the token, the user may make requests.

    `names` is the result of `names_of`; the first name is used.
    """
    host, port = listening.getsockname()[:2]
    end = f"/#token={token}" if token else "/"
    return f"{'https' if secure else 'http'}://{_in_brackets([*names, host])[0]}:{port}{end}"


def _in_brackets(names: Sequence[str]) -> list[str]:
    """Return the names in lower case, with IPv6 addresses in brackets as in a URL."""
    return [f"[{name}]" if ":" in name else name.lower() for name in names]


def announce(hub_port: int, address: str) -> None:
    """Write the address of a running session's page to a file, for other programs of this user.

    The file is beside the hub's keys, and is removed with them when the session ends.
    """
    path = hub_folder(hub_port) / _PAGE_FILE
    new = path.with_suffix(".new")
    with os.fdopen(open_private(new, os.O_CREAT | os.O_TRUNC), "w", encoding="utf-8") as file:
        file.write(address)
    new.replace(path)


def announced(hub_port: int) -> str:
    """Return the address of a running session's page, with the token; "" if there is none."""
    try:
        return (hub_folder(hub_port) / _PAGE_FILE).read_text(encoding="utf-8")
    except OSError:
        return ""


def serve(
    application: Starlette,
    listening: socket.socket,
    certificate: Path | None = None,
    key: Path | None = None,
    started: Callable[[uvicorn.Server], None] | None = None,
    names: Sequence[str] = (),
) -> None:
    """Serve a page until the process is asked to end.

    `names` is the result of `names_of` [default: the names of this computer]. Raises the error with
    which the application calls `app.state.fail`.
    """
    port, secure = listening.getsockname()[1], certificate is not None
    config = uvicorn.Config(
        OwnNames(application, _in_brackets(names or _THIS_MACHINE), port, secure),
        log_level="error",
        access_log=False,
        ws="websockets-sansio",
        ws_per_message_deflate=False,  # compression would take more CPU than all the rest
        ws_max_size=4096,
        proxy_headers=False,  # see access.browser_of
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=1,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    server = uvicorn.Server(config)
    failures: list[BaseException] = []

    def fail(failure: BaseException) -> None:
        failures.append(failure)
        server.should_exit = True

    application.state.fail = fail
    if started is not None:
        started(server)
    server.run(sockets=[listening])
    if failures:
        raise failures[0]
