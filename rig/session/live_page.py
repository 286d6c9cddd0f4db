"""The live page of a session, a separate process; if it dies or hangs, the session continues."""

import json
import os
import subprocess
import sys
from enum import StrEnum
from pathlib import Path

from rig.clock import Clock
from rig.plain_text import as_plain

_MODULE = "rig.cli.sessions.live_page_process"
_MOST_STARTS = 5
_RESTART_NS = 10_000_000_000
_MOST_BYTES = 65_536
_LEAVE_S = 2.0


class Page(StrEnum):
    """Whether a session has a live page."""

    NONE = "none"
    SERVED = "served"
    OPENED = "opened"
    """Served, and opened in a browser."""


class LivePage:
    """The page's process: it is started again if it dies, and sends the operator's requests.

    Requests are lines of JSON in a pipe that no other process can use. The session never waits for
    the page: reading the pipe does not block, and nothing is sent to the page's process.
    """

    def __init__(self, folder: Path, clock: Clock, page: Page) -> None:
        """Show the session in `folder`."""
        self._folder, self._clock, self._page = folder, clock, page
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0
        self._next_ns = 0
        self._rest = b""
        self.address = ""
        """Address of the page, with the operator's token; empty until the page answers."""

    def poll(self) -> list[tuple[str, str, str]]:
        """Return the operator's requests on the page: (verb, text, sender).

        If the page's process is not running, it is started.
        """
        if self._page is Page.NONE or not hasattr(os, "set_blocking"):  # Windows: from Python 3.12
            return []
        if self._process is None or self._process.poll() is not None:
            self._start()
        if self._process is None:
            return []
        assert self._process.stdout is not None
        try:
            self._rest += os.read(self._process.stdout.fileno(), _MOST_BYTES)
        except OSError:  # there are no requests
            return []
        *lines, self._rest = self._rest.split(b"\n")
        return [asked for asked in map(self._asked, lines) if asked is not None]

    def end(self) -> None:
        """End the page's process; it also ends by itself when this process ends."""
        if self._process is None:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        now = self._clock.now()
        if self._started == _MOST_STARTS:
            self.address = ""  # so that no fault waits for an answer on the page
        if self._started == _MOST_STARTS or (self._started and now < self._next_ns):
            return
        self.end()
        browser = self._page is Page.OPENED and not self._started
        command = [sys.executable, "-P", "-m", _MODULE, str(self._folder), str(int(browser))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        if sys.platform != "win32" or sys.version_info >= (3, 12):
            os.set_blocking(self._process.stdout.fileno(), False)
        self._started, self._next_ns, self._rest = self._started + 1, now + _RESTART_NS, b""

    def _asked(self, line: bytes) -> tuple[str, str, str] | None:
        try:
            update = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(update, dict):
            return None
        if "address" in update:
            self.address = str(update["address"])
            return None
        # what is not plain can be neither published nor printed
        verb, text, by = (as_plain(str(update.get(key, ""))) for key in ("verb", "text", "by"))
        return verb, text, by
