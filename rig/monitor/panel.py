"""Serve the panel, the page on which a day is begun and ended, and the session in between.

While a session runs, its live page is at /session. The panel only shows it: the operator's requests
there are forwarded to the page that the session itself serves, under the same id.
"""

import asyncio
import http.client
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from rig.errors import Refused
from rig.monitor.access import (
    PASSED_ON,
    Access,
    answer,
    browser_of,
    is_id,
    read_body,
    same_origin,
    web_application,
)
from rig.monitor.server import Endpoints, Monitor, page_file

LOOK_S = 0.5
"""Time between two checks whether a session is running, seconds."""
_PASS_ON_S = 2.0
_MOST_ANSWERS = 1000
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; frame-ancestors 'none'"
)
"""Policy of a report, which contains scripts; they run without the panel's origin and token."""
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opener for the page of a session, which is on this computer, so no proxy is used."""
_NO_SESSION = "no session is running; start one from the panel"
_READY = "ready"
Row = dict[str, Any]


class Desk(Protocol):
    """The data and actions of the panel. Every method may raise Refused with one sentence."""

    def state(self) -> Row:
        """Return the state of the day, with the `folder` of its session, without waiting."""

    def look(self) -> Path | None:
        """Check the session's process; return the folder of the session to show."""

    def animals(self) -> Row:
        """Return the animals of the record, and what can be chosen for a session."""

    def animal(self, name: str) -> Row:
        """Return an animal: its weights, water and sessions."""

    def act(self, verb: str, values: Row) -> Row:
        """Carry out a request of the operator; return the result for the page."""

    def report(self) -> Path | None:
        """Return the report of the last session, if it was written."""


class Shown:
    """The live page of the session that is shown."""

    def __init__(self, open_monitor: Callable[[Path], Monitor]) -> None:
        """Open the monitor of a session folder with `open_monitor`."""
        self._open = open_monitor
        self._tasks: set[asyncio.Task[None]] = set()
        """Tasks that end with the session: handling its messages, and sending updates to browsers.
        """
        self.folder: Path | None = None
        self.page: Endpoints | None = None
        self.monitor: Monitor | None = None

    async def show(self, folder: Path | None) -> None:
        """Show the session in a folder; the last session is shown until there is another."""
        if folder is None or folder == self.folder:
            return
        monitor = await asyncio.to_thread(self._open, folder)
        self.close()
        self.folder, self.monitor, self.page = folder, monitor, Endpoints(monitor)
        running = asyncio.create_task(monitor.run())
        running.add_done_callback(self._fail)
        self._tasks.add(running)

    def _fail(self, running: "asyncio.Task[None]") -> None:
        """Close a session whose messages cannot be handled; it is then opened again."""
        if not running.cancelled() and running.exception() is not None:
            self.close()

    async def send(self, socket: WebSocket) -> None:
        """Send updates of the session to a browser, until another session is shown."""
        assert self.page is not None
        sending = asyncio.create_task(self.page.live(socket))
        self._tasks.add(sending)
        try:
            await sending
        except asyncio.CancelledError:
            with suppress(RuntimeError, OSError):  # the websocket is already closed
                await socket.close()
        finally:
            self._tasks.discard(sending)

    def close(self) -> None:
        """Close the session's monitor."""
        for task in self._tasks:
            task.cancel()
        if self.monitor is not None:
            self.monitor.feed.close()
            self.monitor.imaging.close()
        self._tasks = set()
        self.monitor = self.page = self.folder = None


class _Panel:
    """The answers at each path."""

    def __init__(
        self, desk: Desk, shown: Shown, token: str, address: Callable[[Path], str]
    ) -> None:
        self._desk, self._shown, self._token, self._address = desk, shown, token, address
        self._access = Access(token)
        self._answers: dict[str, tuple[int, Row]] = {}
        self._acting = asyncio.Lock()
        self._trouble = ""
        """Why the running session cannot be shown; empty if it can."""

    async def page(self, request: Request) -> Response:
        return page_file(request.path_params.get("name", "panel.html"))

    async def session(self, request: Request) -> Response:
        return page_file("index.html") if self._shown.page is not None else RedirectResponse("/")

    async def state(self, request: Request) -> Response:
        state, shown = self._desk.state(), self._shown.monitor
        is_this = shown is not None and state.get("folder") == str(self._shown.folder)
        head = shown.state.head() if shown and is_this and shown.state.session else None
        down = shown.down if shown and head else {}
        return _json({**state, "head": head, "down": down, "trouble": self._trouble})

    async def animals(self, request: Request) -> Response:
        return await _seen(self._desk.animals)

    async def animal(self, request: Request) -> Response:
        return await _seen(self._desk.animal, request.query_params.get("name", ""))

    async def act(self, request: Request) -> Response:
        if (refusal := self._access.refusal(request)) is not None:
            return refusal
        body = await read_body(request)
        if not isinstance(body, dict):
            return answer("the request cannot be read; reload the page", 400)
        number, verb = str(body.get("id", "")), str(body.get("verb", ""))
        if not is_id(number):
            return answer("the request has no valid id; reload the page", 400)
        async with self._acting:  # one at a time, so that a repeated request finds its answer
            if number not in self._answers:
                done = await asyncio.to_thread(self._done, verb, body)
                if len(self._answers) >= _MOST_ANSWERS:
                    self._answers.pop(next(iter(self._answers)))
                self._answers[number] = done
            status, row = self._answers[number]
        return _json(row, status)

    def _done(self, verb: str, body: Row) -> tuple[int, Row]:
        try:
            return 200, self._desk.act(verb, body)
        except Refused as refusal:
            return 409, {"answer": str(refusal)}

    async def report(self, request: Request) -> Response:
        path = self._desk.report()
        if path is None:
            return Response("there is no report", 404)
        headers = {"Content-Security-Policy": _REPORT_POLICY}
        return Response(path.read_bytes(), media_type="text/html", headers=headers)

    async def ask(self, request: Request) -> Response:
        """Forward an operator's request to the page that the session itself serves."""
        if (refusal := self._access.refusal(request)) is not None:
            return refusal
        body, monitor = await read_body(request), self._shown.monitor
        if not isinstance(body, dict) or monitor is None:
            return answer(_NO_SESSION, 409)
        if body.get("verb") == "acknowledge":
            status, text = monitor.take_request(body, "panel")
            return answer(text, status)
        address = "" if self._shown.folder is None else self._address(self._shown.folder)
        return answer(*(await asyncio.to_thread(_pass_on, address, body, browser_of(request))))

    async def image(self, request: Request) -> Response:
        page = self._shown.page
        return answer(_NO_SESSION, 409) if page is None else await page.image(request)

    async def cells(self, request: Request) -> Response:
        page = self._shown.page
        return answer(_NO_SESSION, 409) if page is None else await page.cells(request)

    async def levels(self, request: Request) -> Response:
        page = self._shown.page
        return answer(_NO_SESSION, 409) if page is None else await page.levels(request)

    async def screens(self, request: Request) -> Response:
        page = self._shown.page
        return answer(_NO_SESSION, 409) if page is None else await page.screens(request)

    async def status(self, request: Request) -> Response:
        """Return the line of this rig in an overview of several."""
        page = self._shown.page
        return _json({"phase": _READY}) if page is None else await page.status(request)

    async def live(self, socket: WebSocket) -> None:
        if not same_origin(socket) or self._shown.page is None:
            await socket.close(4403)
            return
        await self._shown.send(socket)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            looking.cancel()
            self._shown.close()

    async def _look(self) -> None:
        while True:
            try:
                await self._shown.show(await asyncio.to_thread(self._desk.look))
                self._trouble = ""
            except (Refused, OSError):  # the session has ended in the meantime
                self._trouble = ""
            except Exception as error:  # later sessions can perhaps be shown
                self._trouble = f"the session cannot be shown ({error!r}); it is not affected"
            await asyncio.sleep(LOOK_S)


def panel_application(
    desk: Desk,
    open_monitor: Callable[[Path], Monitor],
    token: str,
    address: Callable[[Path], str],
) -> Starlette:
    """Return the web application of the panel.

    Args:
        desk: The data and actions of the panel.
        open_monitor: Opens the monitor of a running session, by its folder.
        token: The operator's token.
        address: Returns the address of the page of a running session, with the token, by the
            session's folder; "" if there is no page.
    """
    at = _Panel(desk, Shown(open_monitor), token, address)
    routes = [
        Route("/", at.page),
        Route("/session", at.session),
        Route("/panel/state", at.state),
        Route("/panel/animals", at.animals),
        Route("/panel/animal", at.animal),
        Route("/panel/act", at.act, methods=["POST"]),
        Route("/report", at.report),
        Route("/image", at.image),
        Route("/cells", at.cells),
        Route("/levels", at.levels),
        Route("/screens", at.screens),
        Route("/status", at.status),
        Route("/request", at.ask, methods=["POST"]),
        WebSocketRoute("/live", at.live),
        Route("/{name}", at.page),
    ]
    return web_application(routes, at.lifespan)


async def _seen(view: Callable[..., Any], *values: str) -> Response:
    """Return a view of the record as a response, or the reason why it cannot be shown."""
    try:
        return _json(await asyncio.to_thread(view, *values))
    except Refused as refusal:
        return answer(str(refusal), 409)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _pass_on(address: str, body: Row, browser: str) -> tuple[str, int]:
    """Forward a browser's request to the page of a session; return its answer and status."""
    gone = "the session does not answer; use its terminal, or try again"
    page, _, token = address.partition("/#token=")
    if not token:
        return gone, 503
    headers = {"Authorization": f"Bearer {token}", PASSED_ON: browser}
    asked = urllib.request.Request(f"{page}/request", msgspec.json.encode(body), headers)
    try:
        with _DIRECT.open(asked, timeout=_PASS_ON_S) as response:
            return _answer_in(response.read()), response.status
    except urllib.error.HTTPError as error:
        return _answer_in(error.read()), error.code
    except (OSError, http.client.HTTPException):
        return gone, 503


def _answer_in(data: bytes) -> str:
    try:
        return str(msgspec.json.decode(data)["answer"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return "the session's answer cannot be read"
