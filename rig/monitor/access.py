"""Check the requests to a page of the rig: token, origin, size and rate."""

import hmac
import json
import re
import time
from collections import deque
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send
from starlette.websockets import WebSocket

_MOST_BYTES = 4096
_REQUESTS_A_MINUTE = 60
_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
PASSED_ON = "X-Forwarded-For"
"""The header with the address of the browser whose request a panel forwards."""
_THIS_MACHINE = "127.0.0.1"
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{2,45}")
_HTTP, _HTTPS = 80, 443
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Access:
    """The operator's token, and the rate of requests."""

    def __init__(self, token: str) -> None:
        """Accept requests with `token`; if it is empty, accept none."""
        self._token = token
        self._asked: dict[bool, deque[float]] = {
            is_operator: deque(maxlen=_REQUESTS_A_MINUTE) for is_operator in (False, True)
        }
        """Times (s) of the last requests: those of others, and those of the operator."""

    def may(self, header: str) -> bool:
        """Return True if an Authorization header contains the operator's token."""
        given = header.removeprefix("Bearer ").encode()
        return bool(self._token) and hmac.compare_digest(given, self._token.encode())

    def refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that is refused; None if it is allowed.

        The operator's requests are counted separately, so that many other requests do not block
        them.
        """
        is_operator = self.may(request.headers.get("authorization", ""))
        if self._is_flood(is_operator):
            return answer("too many requests; wait a minute", 429)
        if not same_origin(request):
            return answer("requests are taken from this page only", 403)
        if not is_operator:
            text = "only the operator may do this; open the page with the operator's address"
            return answer(text, 401)
        return None

    def _is_flood(self, is_operator: bool) -> bool:
        """Return True if there were more requests in the last minute than a person makes."""
        asked, now = self._asked[is_operator], time.monotonic()
        full = len(asked) == _REQUESTS_A_MINUTE and now - asked[0] < 60
        if not full:
            asked.append(now)
        return full


class OwnNames:
    """An ASGI application that serves another one only to browsers that use one of its names.

    Otherwise another site could give its own name the address of this computer (DNS rebinding), and
    its pages would have the same origin as the application.
    """

    def __init__(self, application: ASGIApp, names: Sequence[str], port: int, secure: bool) -> None:
        """Accept requests for `names`, with an IPv6 address in brackets, at `port`."""
        self._application = application
        self._hosts = {f"{name}:{port}" for name in names}
        if port == (_HTTPS if secure else _HTTP):
            self._hosts |= set(names)  # browsers omit the default port
        scheme = "https" if secure else "http"
        self._refusal = f"open this page as {scheme}://{names[0]}:{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to another name with status 421 and a sentence, a websocket with 403."""
        if scope["type"] == "lifespan" or _host_of(scope) in self._hosts:
            await self._application(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403})
        else:
            await PlainTextResponse(self._refusal, 421, _HEADERS)(scope, receive, send)


def _host_of(scope: Scope) -> str:
    """Return the Host header of a request, in lower case; "" if there is none or are several."""
    found = [value for name, value in scope["headers"] if name == b"host"]
    return found[0].decode("latin-1").lower() if len(found) == 1 else ""


def browser_of(request: Request) -> str:
    """Return the address of the requesting browser, even if a panel forwarded the request."""
    asks = request.client.host if request.client else "an unknown address"
    passed_on = request.headers.get(PASSED_ON, "")
    return passed_on if asks == _THIS_MACHINE and _ADDRESS.fullmatch(passed_on) else asks


def is_id(text: str) -> bool:
    """Return True if a text can be the id of a request."""
    return _ID.fullmatch(text) is not None


def answer(text: str, status: int) -> JSONResponse:
    """Return a response with one sentence."""
    return JSONResponse({"answer": text}, status)


async def with_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Add to each response the headers that restrict what a page may do (Starlette middleware).

    A response may set its own Content-Security-Policy.
    """
    response = await call_next(request)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def web_application(routes: Sequence[BaseRoute], lifespan: Lifespan[Starlette]) -> Starlette:
    """Return a web application whose responses all have the headers that restrict a page.

    A request that fails because of an error in the program is answered with a sentence.
    """
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={Exception: _failed})
    app.add_middleware(BaseHTTPMiddleware, dispatch=with_headers)
    return app


async def _failed(_: Request, error: Exception) -> Response:
    """Answer a request that raised `error`, which the server then prints."""
    text = f"this failed ({type(error).__name__}); details are in the terminal of the page"
    failed = answer(text, 500)
    failed.headers.update(_HEADERS)
    return failed


def same_origin(request: Request | WebSocket) -> bool:
    """Return True if a request is from this page or from a program that is not a browser.

    Programs that are not browsers send no Origin header.
    """
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


async def read_body(request: Request) -> Any:
    """Return the JSON value in a request's body; None if there is none, or it is too long."""
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > _MOST_BYTES:
            return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
