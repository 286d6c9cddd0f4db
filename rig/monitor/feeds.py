"""The sources of the live page's messages: a running session, or a recorded session."""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec
import zmq

from rig.errors import Refused
from rig.messages import (
    CellSignals,
    Flip,
    Frame,
    Message,
    Position,
    Wheel,
    kind,
)
from rig.settings.config import SessionSettings
from rig.transport.envelope import CorruptMessage, Envelope, unpack
from rig.transport.hub_access import BATCHES, OBSERVER, connect, read_access
from rig.transport.log import JOURNAL_FOLDER, LOG_FILE, read

LATEST_ONLY = frozenset((kind(Position),))
"""Types of which only the newest message of each call of `take` is unpacked."""
IGNORED = frozenset(kind(message) for message in (Wheel,))
_HIGH_WATER_MESSAGES = 20_000
_DRAIN = 5_000
"""Largest number of messages handled at once, so that a burst never blocks the page."""
_EVERY_NS: dict[type[Message], int] = {
    Position: 100_000_000,
    Flip: 100_000_000,
    Frame: 1_000_000_000,
}
"""Shortest interval between the messages of a type that are shown of a recorded session."""


class Feed(Protocol):
    """A source of messages for the page."""

    def take(self) -> list[tuple[Envelope, Message]]:
        """Return the messages since the last call, without waiting."""

    def controls(self) -> dict[str, object]:
        """Return the position of a replay, for its slider; empty for a running session."""

    def close(self) -> None:
        """Release all connections and files."""


class LiveFeed:
    """A subscriber to a running session, which publishes nothing and is never waited for."""

    def __init__(self, folder: Path, session: SessionSettings) -> None:
        """Subscribe to the hub of a session, and read what it has published so far.

        Raises Refused if the session has ended.
        """
        access = read_access(session.rig.hub_port, OBSERVER)
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
        self._socket.rcvhwm = _HIGH_WATER_MESSAGES
        self._socket.subscribe(b"")
        connect(self._socket, access, BATCHES)
        self._past = history(folder, tuple(session.nodes))
        self._newest: dict[tuple[str, str], int] = {}
        """The last sequence number of each sender and type that came from the journals."""

    def take(self) -> list[tuple[Envelope, Message]]:
        kept: list[bytes] = []
        latest: dict[bytes, bytes] = {}
        for _ in range(_DRAIN):
            try:
                data = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            topic = data.partition(b" ")[0]
            name = topic.decode("ascii", "replace")
            if name in LATEST_ONLY:
                latest[topic] = data
            elif name not in IGNORED:
                kept.append(data)
        found, self._past = self._past, []
        for envelope, message in found:
            self._newest[envelope.sender, kind(message)] = envelope.seq
        for data in (*kept, *latest.values()):
            try:
                envelope, message = unpack(data[data.index(b" ") + 1 :])
            except (CorruptMessage, ValueError):
                continue  # the session's own processes report damaged messages
            if envelope.seq > self._newest.get((envelope.sender, kind(message)), -1):
                found.append((envelope, message))
        return found

    def controls(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        self._context.destroy(linger=0)


class ReplayFeed:
    """A recorded session that is played back, with play, pause, speed and seek."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.monotonic) -> None:
        """Read the session. Raises Refused if the folder contains none."""
        if not (folder / LOG_FILE).is_file():
            raise Refused(f"{folder} contains no {LOG_FILE}; name a session folder")
        self._messages = list(_thinned(read(folder / LOG_FILE)))
        if not self._messages:
            raise Refused(f"the log of {folder} contains no message; choose another session")
        self._times = [envelope.sent for envelope, _ in self._messages]
        self._now = now
        self._at = 0
        self._since, self._from_ns = now(), self._times[0]
        self.speed = 1.0
        self.playing = True
        self.rewound = False
        """True once after the replay was moved back; the state must then be computed again."""

    @property
    def position_ns(self) -> int:
        """Position of the replay, as send time in the recorded session, ns."""
        if not self.playing:
            return self._from_ns
        moved = (self._now() - self._since) * self.speed * 1e9
        return min(self._from_ns + int(moved), self._times[-1])

    def take(self) -> list[tuple[Envelope, Message]]:
        until = bisect_right(self._times, self.position_ns)
        found = self._messages[self._at : until]
        self._at = max(self._at, until)
        return found

    def play(self, playing: bool, speed: float) -> None:
        """Play or pause, at a speed relative to real time."""
        self._from_ns, self._since = self.position_ns, self._now()
        self.playing, self.speed = playing, speed

    def seek(self, share: float) -> None:
        """Go to a fraction (0-1) of the session; everything before it is handled at once."""
        first, last = self._times[0], self._times[-1]
        self._from_ns = first + int(min(max(share, 0.0), 1.0) * (last - first))
        self._since = self._now()
        self._at, self.rewound = 0, True

    def controls(self) -> dict[str, object]:
        first, last = self._times[0], self._times[-1]
        share = (self.position_ns - first) / max(1, last - first)
        return {"share": round(share, 4), "speed": self.speed, "playing": self.playing}

    def close(self) -> None:
        self._messages.clear()


def _thinned(messages: Iterator[tuple[Envelope, Message]]) -> Iterator[tuple[Envelope, Message]]:
    """Yield messages without the wheel, most positions, punctual flips, frames, and traces."""
    last: dict[type[Message], int] = {}
    for envelope, message in messages:
        every_ns = _EVERY_NS.get(type(message), 0)
        if isinstance(message, Wheel):
            continue
        if every_ns and not (isinstance(message, Flip) and message.late):
            if envelope.sent - last.get(type(message), -every_ns) < every_ns:
                continue
            last[type(message)] = envelope.sent
        yield envelope, _without_traces(message)


def _without_traces(message: Message) -> Message:
    """Return a message without traces, which the page does not show.

    The traces of 90,000 cells in an hour are 13 GB.
    """
    if not isinstance(message, CellSignals):
        return message
    return msgspec.structs.replace(message, traces=b"", tuning=b"")


def history(folder: Path, senders: tuple[str, ...]) -> list[tuple[Envelope, Message]]:
    """Return the messages of a running session so far, from its journals, for a late page."""
    found = []
    for sender in ("launch", *senders):
        path = folder / JOURNAL_FOLDER / f"{sender}.mcap"
        if path.is_file():
            found += list(_thinned(read(path)))
    return sorted(found, key=lambda pair: pair[0].sent)
