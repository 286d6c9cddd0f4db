"""Serve an hour of a session within a minute: `python -m ... CELLS HOURS SECONDS`.

This prints the server's address, and then JSON: its memory (MB) at ten times of the session.
"""

import json
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn

from rig.cli.bench.live_page.traffic import SENDER_OF, Traffic
from rig.clock import SetClock
from rig.messages import Message, Start
from rig.monitor.feeds import Feed
from rig.monitor.imaging import ImagingView
from rig.monitor.serve import LOOPBACK, address_of, bind, serve
from rig.monitor.server import PERIOD_S, Monitor, application
from rig.monitor.usage import Usage
from rig.transport.envelope import Envelope, Sender

TICK_MS = 100
_POINTS = 10


class FastFeed(Feed):
    """A feed that returns a session of a given length in a given number of pieces."""

    def __init__(self, cells: int, hours: float, pieces: int) -> None:
        self._traffic = Traffic(cells, TICK_MS)
        self._length_ms, self._pieces = int(hours * 3_600_000), pieces
        self._clock = SetClock()
        self._senders: dict[str, Sender] = {}
        self._piece = -1
        self.memory_mb: list[float] = []
        """Memory of this process at ten times, MB."""

    def take(self) -> list[tuple[Envelope, Message]]:
        self._piece += 1
        if self._piece == 0:
            return [self._wrap(Start(0, {"subject": "hour"})), self._wrap(self._traffic.found())]
        if self._piece > self._pieces:
            return []
        if self._piece % (self._pieces // _POINTS) == 0:
            self.memory_mb.append(_memory_mb())
        begin, end = ((self._piece - 1 + n) * self._length_ms // self._pieces for n in (0, 1))
        return [self._wrap(message) for message in self._traffic.between(begin, end)]

    def controls(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        pass

    def _wrap(self, message: Message) -> tuple[Envelope, Message]:
        self._clock.set(message.t)
        name = SENDER_OF.get(type(message), "task")
        return self._senders.setdefault(name, Sender(name, self._clock)).wrap(message), message


def main() -> None:
    """Serve until the hour is over."""
    cells, hours, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    feed = FastFeed(cells, hours, int(seconds / PERIOD_S))
    with TemporaryDirectory() as folder:
        monitor = Monitor(feed, ImagingView(Path(folder)), Usage(Path(folder), False), "", None)
        listening = bind(LOOPBACK, 0)
        print(address_of(listening, False, ""), flush=True)
        serve(application(monitor), listening, started=_end_with)
    print(json.dumps(feed.memory_mb))


def _end_with(server: uvicorn.Server) -> None:
    def wait() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True

    threading.Thread(target=wait, daemon=True).start()


def _memory_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main()
