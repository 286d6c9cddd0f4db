"""Serve the live page: one HTML page, a websocket, raw images, and the operator's requests.

Without the operator's token, the page is read-only. The only way from the server to the session is
`take_request`, which passes an operator's request to the code that also handles the terminal's
keys.
"""

import asyncio
import math
import re
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from rig.messages import kind
from rig.monitor.access import (
    Access,
    answer,
    browser_of,
    is_id,
    read_body,
    same_origin,
    web_application,
)
from rig.monitor.feeds import Feed, ReplayFeed
from rig.monitor.imaging import Crop, ImagingView
from rig.monitor.state import MonitorState
from rig.monitor.usage import Usage
from rig.plain_text import is_plain

SCHEMA = "3"
"""Version of the data that page and server exchange; a page of another version reloads."""
PERIOD_S = 0.1
_SLOW_EVERY = 10
"""Number of updates per computation of signals, processes and disk, which is once per second."""
_PAGES_EVERY = 5
"""Number of updates per reading of imaging pages, which is twice per second."""
_MOST_ANSWERS = 1000
"""Largest number of answers that are kept, for requests that are sent again."""
_VERBS = ("pause", "resume", "stop", "quit", "water", "note", "set", "acknowledge")
_SAFE_WHEN_LATE = ("note", "acknowledge")
"""Requests that may be carried out however long they were on their way."""
_MOST_AGE_S = 3.0
"""Longest time for which a request may be on its way, seconds."""
_MOST_READERS = 100
"""Largest number of browsers that are sent updates."""
_TOO_MANY = 4429
"""Code with which the websocket of one more browser is closed."""
_MOST_NOTE = 500
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_IMAGE_NUMBERS = ("plane", "top", "left", "height", "width")
_BYTES = "application/octet-stream"
Accept = Callable[[str, str, str], None]
"""Function that handles an operator's request: the verb, a text (a note, or a setting and its
value), and the sender."""


class Screens(Protocol):
    """A renderer of a small picture of the screens."""

    def image(self, trial: dict[str, Any] | None, position_m: float) -> NDArray[np.uint8] | None:
        """Return the picture at a position (m) of a trial's corridor; None if there is none."""


class Monitor:
    """The state of the page, its browsers, and the requests that they may make."""

    def __init__(
        self,
        feed: Feed,
        imaging: ImagingView,
        usage: Usage,
        token: str,
        accept: Accept | None,
        screens: Screens | None = None,
        past: Sequence[dict[str, Any]] = (),
    ) -> None:
        """Show the messages of `feed`; pass requests that have `token` to `accept`, if given.

        Args:
            feed: Source of the messages.
            imaging: The imaging panel.
            usage: CPU, memory and disk space that the processes use.
            token: The operator's token; "" if the page takes no requests.
            accept: Function that handles the operator's requests.
            screens: Renderer of what the screens show.
            past: The animal's results in its last sessions.
        """
        self.screens, self.past = screens, list(past)
        self.feed, self.imaging, self.usage = feed, imaging, usage
        self.state = MonitorState()
        self.access, self._accept = Access(token), accept
        self._answers: dict[str, str] = {}
        self._tick = asyncio.Event()
        self.readers = 0
        """Number of browsers that are sent updates."""
        self.updates = 0
        self.down: dict[str, str] = {}
        """State (dead, silent or failed) of each process whose messages are out of date, by name.
        """
        self._slow: dict[str, Any] = {}
        self._slow_number = 0
        """Number of computations of the slow part; each is sent to a browser once."""
        self._texts: dict[tuple[int, int, bool, bool], str] = {}
        """The updates of this tick, by first and last revision, slow part and snapshot; browsers
        with the same key share an update."""

    async def run(self) -> None:
        """Handle the messages of the feed ten times per second while the server runs."""
        while True:
            if isinstance(self.feed, ReplayFeed) and self.feed.rewound:
                self.state, self.feed.rewound = MonitorState(), False
            for envelope, message in self.feed.take():
                self.state.handle(envelope, message)
                self._try(kind(message), self.imaging.handle, message)
            self.down = self.usage.down(self.state)
            if self.updates % _PAGES_EVERY == 0:
                self._try("the imaging page", self.imaging.read_pages)
            if self.updates % _SLOW_EVERY == 0:
                self._try("the table of signals", self._compute_slow)
            self.updates += 1
            self._texts.clear()
            ticked, self._tick = self._tick, asyncio.Event()
            ticked.set()
            await asyncio.sleep(PERIOD_S)

    async def updates_for(self, socket: WebSocket) -> None:
        """Send updates to a browser; a slow browser skips updates.

        The browser answers each update when it is drawn, and only then the next update is sent.
        """
        state, revision, slow_number = self.state, 0, -1
        snapshot = True
        while True:
            slow = snapshot or slow_number != self._slow_number
            text = self._text(revision, slow, snapshot)
            revision, slow_number = state.revision, self._slow_number
            await socket.send_text(text)
            if (await socket.receive())["type"] == "websocket.disconnect":
                return
            await self._tick.wait()
            snapshot = self.state is not state  # a replay was moved back
            state = self.state
            revision = 0 if snapshot else revision

    def take_request(self, body: dict[str, Any], by: str) -> tuple[int, str]:
        """Handle an operator's request from `by`; return the HTTP status and a sentence.

        A request that is sent again with the same id gets its answer again and is not repeated. A
        request that was on its way for too long, or that was made on the page of another session,
        is refused: otherwise a server that was stopped and continued would give water long after
        the operator asked for it.
        """
        number, verb = str(body.get("id", "")), str(body.get("verb", ""))
        text = str(body.get("text", ""))
        if number in self._answers:
            return 200, self._answers[number]
        if wrong := _wrong(number, verb, text):
            return 400, wrong
        if verb not in _SAFE_WHEN_LATE and (late := self._late(body.get("t_s"))):
            return 409, late
        if verb == "acknowledge":
            if not self.state.acknowledge(int(text)):
                return 400, "there is no such fault"
            answer = "seen"
        elif self._accept is None or self.state.ended or not self.state.session:
            return 409, "no session can be controlled from this page; use its terminal"
        else:
            self._accept(verb, text, by)
            answer = f"{verb} was sent"
        self._answers[number] = answer
        if len(self._answers) > _MOST_ANSWERS:
            del self._answers[next(iter(self._answers))]
        return 200, answer

    def _late(self, t_s: Any) -> str:
        """Return why a request made at session time `t_s` is out of date; "" if it is not.

        Programs that are not browsers need not give a time.
        """
        if t_s is None:
            return ""
        if not isinstance(t_s, int | float) or not math.isfinite(t_s):
            return "the request has no valid time; reload the page"
        age_s = self.usage.session_now_ns(self.state) / 1e9 - t_s
        if abs(age_s) <= _MOST_AGE_S:
            return ""
        if age_s < 0:
            return "this was asked of another session; nothing was done"
        return f"this was asked {age_s:.0f} s ago, so nothing was done; ask again"

    def _try(self, name: str, show: Callable[..., None], *values: Any) -> None:
        """Show a part of the page; if it fails, report it and continue with the others."""
        try:
            show(*values)
        except Exception as error:
            self.state.report_unshown(name, error, self.state.t)

    def _text(self, revision: int, slow: bool, snapshot: bool) -> str:
        """Return an update, as JSON, for browsers that have everything up to a revision."""
        key = (revision, self.state.revision, slow, snapshot)
        if key not in self._texts:
            state = self.state
            update: dict[str, Any] = {
                "schema": SCHEMA,
                "snapshot": snapshot,
                "head": state.head(),
                "now_s": round(self.usage.session_now_ns(state) / 1e9, 3),
                "ages": self.usage.ages(state),
                "down": self.down,
                "replay": self.feed.controls(),
                "can_act": self._accept is not None,
                **state.rows_since(revision),
                **(self._slow if slow else {}),
            }
            # Numbers that are not finite become null.
            self._texts[key] = msgspec.json.encode(update).decode()
        return self._texts[key]

    def _compute_slow(self) -> None:
        state = self.state
        self._slow = {
            "session": state.session,
            "signals": state.signals.row(),
            "processes": self.usage.rows(state.processes),
            "disk": self.usage.disk(),
            "imaging": self.imaging.facts(state.signals.d_prime),
            "past": self.past,
        }
        self._slow_number += 1


def _wrong(number: str, verb: str, text: str) -> str:
    """Return what is wrong with a request, in a sentence; empty if it is valid."""
    if not is_id(number):
        return "the request has no valid id; reload the page"
    if verb not in _VERBS:
        return f"{verb[:20]!r} is not a request; use one of {', '.join(_VERBS)}"
    if verb == "note" and not 0 < len(text) <= _MOST_NOTE:
        return f"a note has 1 to {_MOST_NOTE} characters"
    if verb == "set" and not re.fullmatch(r"[a-z_]{1,40}=[^\x00-\x1f]{1,40}", text):
        return "write a setting and its value, for example reward_ul=2.5"
    if verb == "acknowledge" and not (text.isascii() and text.isdecimal()):
        return "name the fault by its number"
    return "" if is_plain(text) else f"{verb}: remove the character that cannot be printed"


class Endpoints:
    """The answers at each path."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    async def page(self, request: Request) -> Response:
        return page_file(request.path_params.get("name", "index.html"))

    async def image(self, request: Request) -> Response:
        asked = {name: request.query_params.get(name, "0") for name in _IMAGE_NUMBERS}
        if not all(re.fullmatch(r"[0-9]{1,5}", text) for text in asked.values()):
            return Response(f"{', '.join(_IMAGE_NUMBERS)} are whole numbers", 400)
        numbers = {name: int(text) for name, text in asked.items()}
        crop = Crop(numbers["top"], numbers["left"], numbers["height"], numbers["width"])
        kind = request.query_params.get("kind", "live")
        found = self._monitor.imaging.image(kind, numbers["plane"], crop)
        return Response(found, media_type=_BYTES)

    async def status(self, _: Request) -> Response:
        return JSONResponse({**self._monitor.state.status(), "down": self._monitor.down})

    async def screens(self, request: Request) -> Response:
        screens, state = self._monitor.screens, self._monitor.state
        if screens is None:
            return Response(b"", media_type=_BYTES)
        trial, position_m = state.corridor_shown()
        drawn = await asyncio.to_thread(screens.image, trial, position_m)
        if drawn is None:
            return Response(b"", media_type=_BYTES)
        height, width = drawn.shape
        return Response(struct.pack("<HH", width, height) + drawn.tobytes(), media_type=_BYTES)

    async def cells(self, request: Request) -> Response:
        return Response(self._monitor.imaging.cells(), media_type=_BYTES)

    async def levels(self, request: Request) -> Response:
        found = self._monitor.imaging.levels(self._monitor.state.signals.d_prime)
        return Response(found, media_type=_BYTES)

    async def ask(self, request: Request) -> Response:
        if (refusal := self._monitor.access.refusal(request)) is not None:
            return refusal
        body = await read_body(request)
        if not isinstance(body, dict):
            return answer("the request cannot be read; reload the page", 400)
        status, text = self._monitor.take_request(body, f"page at {browser_of(request)}")
        return answer(text, status)

    async def replay(self, request: Request) -> Response:
        feed, body = self._monitor.feed, await read_body(request)
        if not isinstance(feed, ReplayFeed) or not same_origin(request):
            return answer("this is not a replay", 409)
        try:
            speed, share = float(body.get("speed", feed.speed)), float(body.get("share", 0.0))
            if not (math.isfinite(speed) and math.isfinite(share)):
                raise ValueError
            if "share" in body:
                feed.seek(share)
            feed.play(bool(body.get("playing", feed.playing)), min(max(speed, 0.1), 1000.0))
        except (TypeError, ValueError, OverflowError, AttributeError):
            return answer("the request cannot be read", 400)
        return answer("done", 200)

    async def live(self, socket: WebSocket) -> None:
        if not same_origin(socket):
            await socket.close(4403)
            return
        await socket.accept()
        monitor = self._monitor
        if monitor.readers >= _MOST_READERS:
            text = f"{_MOST_READERS} browsers watch this session already; close one"
            await socket.close(_TOO_MANY, text)
            return
        monitor.readers += 1
        try:
            with suppress(WebSocketDisconnect, RuntimeError, OSError):  # it has disconnected
                await monitor.updates_for(socket)
        finally:
            monitor.readers -= 1

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        def end(running: "asyncio.Task[None]") -> None:
            """End the server if messages cannot be handled, because a frozen page misleads."""
            if not running.cancelled() and (failure := running.exception()) is not None:
                app.state.fail(failure)

        running = asyncio.create_task(self._monitor.run())
        running.add_done_callback(end)
        try:
            yield
        finally:
            running.cancel()
            self._monitor.feed.close()
            self._monitor.imaging.close()


def page_file(name: str) -> Response:
    """Return a file of the page."""
    if name == "favicon.ico":
        return Response(status_code=204)
    source = files("rig.monitor") / "page" / name
    if not re.fullmatch(r"[a-z_]+\.(html|js|css)", name) or not source.is_file():
        return Response("not found", 404)
    return Response(source.read_bytes(), media_type=_TYPES[Path(name).suffix])


def application(monitor: Monitor) -> Starlette:
    """Return the web application of a monitor."""
    at = Endpoints(monitor)
    routes = [
        Route("/", at.page),
        Route("/image", at.image),
        Route("/cells", at.cells),
        Route("/levels", at.levels),
        Route("/status", at.status),
        Route("/screens", at.screens),
        Route("/request", at.ask, methods=["POST"]),
        Route("/replay", at.replay, methods=["POST"]),
        WebSocketRoute("/live", at.live),
        Route("/{name}", at.page),
    ]
    return web_application(routes, at.lifespan)
