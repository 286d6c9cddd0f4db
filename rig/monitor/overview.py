"""A page for several rigs, with a line for each from the status of its live page."""

import asyncio
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rig.errors import Refused
from rig.monitor.access import web_application
from rig.monitor.server import page_file

_ASK_EVERY_S = 1.0
_ANSWER_WITHIN_S = 2.0
_MOST_BYTES = 65_536


class Status(msgspec.Struct):
    """The status of a rig that another computer sends; values of another type are refused."""

    subject: str = ""
    cohort: str = ""
    stage: str = ""
    phase: str = ""
    trial: int = -1
    t_s: float | None = None
    today_ul: float | None = None
    day_limit_ul: float | None = None
    since_lick_s: float | None = None
    faults: int = 0
    last_fault: str = ""
    ended: str = ""
    down: dict[str, str] = {}


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
        self._status = {name: Status() for name in rigs}
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
                **msgspec.structs.asdict(self._status[name]),
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
            except Exception as error:  # whatever one rig answers, the others are shown
                self._wrong[name] = _why(error)
            await asyncio.sleep(_ASK_EVERY_S)

    def _ask(self, address: str) -> Status:
        """Return a rig's status. Raises an error if there is no valid answer."""
        with urllib.request.urlopen(
            f"{address}/status", timeout=_ANSWER_WITHIN_S, context=self._trusted
        ) as response:
            return msgspec.json.decode(response.read(_MOST_BYTES), type=Status)


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
    if isinstance(error, OSError):
        return "it does not answer"
    return "it is not a live page, or one of another version"


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
    return web_application(routes, lifespan)
