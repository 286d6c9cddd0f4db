"""A page for several rigs, with a line for each from the status of its live page."""

import asyncio
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rig.errors import Refused
from rig.monitor.access import with_headers
from rig.monitor.server import page_file

_ASK_EVERY_S = 1.0
_ANSWER_WITHIN_S = 2.0
_MOST_BYTES = 65_536


def check_addresses(rigs: Mapping[str, str]) -> None:
    """Raise Refused if an address is not that of a live page."""
    for name, address in rigs.items():
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(
                f'rig {name}: "{address}" is not the address of a live page; write, for example, '
                "https://rig2.lab:8571"
            )


class Overview:
    """The last status of each rig, requested once per second; a slow rig does not delay others."""

    def __init__(self, rigs: Mapping[str, str], trusted: ssl.SSLContext | None = None) -> None:
        """Show rigs by name and address; certificates are checked with `trusted`."""
        self._addresses = {name: _bare(address) for name, address in rigs.items()}
        self._trusted = trusted
        self._status: dict[str, dict[str, Any]] = {name: {} for name in rigs}
        self._answered_s: dict[str, float] = {}
        self._wrong: dict[str, str] = {}

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each rig: its last status, and the age of the status."""
        now_s = time.monotonic()
        return [
            {
                "name": name,
                "address": address,
                "age_s": round(now_s - self._answered_s[name], 1)
                if name in self._answered_s
                else None,
                "wrong": self._wrong.get(name, ""),
                **self._status[name],
            }
            for name, address in self._addresses.items()
        ]

    async def run(self) -> None:
        """Request the status of all rigs while the server runs."""
        await asyncio.gather(*map(self._follow, self._addresses))

    async def _follow(self, name: str) -> None:
        while True:
            try:
                self._status[name] = await asyncio.to_thread(self._ask, self._addresses[name])
                self._answered_s[name], self._wrong[name] = time.monotonic(), ""
            except (OSError, ValueError) as error:
                self._wrong[name] = _why(error)
            await asyncio.sleep(_ASK_EVERY_S)

    def _ask(self, address: str) -> dict[str, Any]:
        """Return a rig's status. Raises OSError or ValueError if there is no valid answer."""
        with urllib.request.urlopen(
            f"{address}/status", timeout=_ANSWER_WITHIN_S, context=self._trusted
        ) as response:
            status = json.loads(response.read(_MOST_BYTES))
        if not isinstance(status, dict):
            raise ValueError("it is not a live page")
        return status


def _bare(address: str) -> str:
    """Return an address without token and path."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _why(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return "it is not a live page, or one of another version"
    if isinstance(error, urllib.error.URLError):
        if isinstance(error.reason, ssl.SSLError):
            return "its certificate is not trusted; give --trust FILE"
        return "nothing runs there, or it cannot be reached"
    return "it does not answer" if isinstance(error, OSError) else "it is not a live page"


def overview_application(overview: Overview) -> Starlette:
    """Return the web application of the overview."""

    async def page(request: Request) -> Response:
        return page_file(request.path_params.get("name", "overview.html"))

    async def rigs(_: Request) -> Response:
        return JSONResponse(overview.rows())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        running = asyncio.create_task(overview.run())
        try:
            yield
        finally:
            running.cancel()

    routes = [Route("/", page), Route("/rigs", rigs), Route("/{name}", page)]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.add_middleware(BaseHTTPMiddleware, dispatch=with_headers)
    return app
