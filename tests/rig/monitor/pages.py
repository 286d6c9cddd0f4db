"""A live page served by a thread, with messages from a test."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from rig.cli.sessions.monitor import live_monitor
from rig.messages import Message
from rig.monitor.feeds import Feed
from rig.monitor.imaging import ImagingView
from rig.monitor.serve import bind, serve
from rig.monitor.server import Monitor, application
from rig.monitor.usage import Usage
from rig.transport.envelope import Envelope

TOKEN = "a-token-of-the-operator"


class Handed:
    """A feed of messages from a test."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Envelope, Message]] = []

    def hand(self, pairs: list[tuple[Envelope, Message]]) -> None:
        self.waiting += pairs

    def take(self) -> list[tuple[Envelope, Message]]:
        taken, self.waiting = self.waiting, []
        return taken

    def controls(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        pass


def post(url: str, body: Any, token: str, origin: str | None) -> tuple[int, str]:
    """POST JSON, or bytes as they are; return the status and the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}"} | ({"Origin": origin} if origin else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as response:
            return response.status, json.load(response)["answer"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["answer"]


class Served:
    """A monitor served by a thread, and its address."""

    def __init__(
        self, monitor: Monitor, port: int = 0, tls: tuple[Path | None, Path | None] = (None, None)
    ) -> None:
        self.monitor, self._tls = monitor, tls
        self._socket = bind("127.0.0.1", port)
        self.port = int(self._socket.getsockname()[1])
        self.address = f"http://127.0.0.1:{self.port}"
        self._ready = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def ask(
        self, body: Any, token: str = TOKEN, origin: str | None = None, path: str = "/request"
    ) -> tuple[int, str]:
        """POST a request; return the status and the answer."""
        return post(self.address + path, body, token, origin)

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """GET a path; return the status, the headers and the body."""
        try:
            with urllib.request.urlopen(self.address + path) as response:
                return response.status, dict(response.headers), response.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def stop(self) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join()

    def _serve(self) -> None:
        def started(server: uvicorn.Server) -> None:
            self._server = server
            self._ready.set()

        serve(application(self.monitor), self._socket, *self._tls, started=started)


class Page(Served):
    """A served page with messages from a test, and the requests that it accepted."""

    def __init__(self, folder: Path, feed: Feed, watches: bool, port: int) -> None:
        self.accepted: list[tuple[str, str]] = []
        self.asked_by: list[str] = []
        accept = None if watches else self._accept
        usage = Usage(folder, False)
        super().__init__(Monitor(feed, ImagingView(folder), usage, TOKEN, accept), port)

    def _accept(self, verb: str, text: str, by: str) -> None:
        self.accepted.append((verb, text))
        self.asked_by.append(by)


@contextmanager
def watched(folder: Path) -> Iterator[Served]:
    """Serve a page that watches the running session in a folder, until the end of the block."""
    page = Served(live_monitor(folder))
    try:
        yield page
    finally:
        page.stop()


@contextmanager
def served(folder: Path, feed: Feed, watches: bool = False, port: int = 0) -> Iterator[Page]:
    """Serve a page until the end of the block."""
    page = Page(folder, feed, watches, port)
    try:
        yield page
    finally:
        page.stop()
