"""Measure the live page's process with a real hub and the messages of 90,000 cells."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec
import numpy as np
import zmq

import rig
from rig.cli.bench.live_page.traffic import SENDER_OF, Traffic
from rig.clock import RealClock, monotonic_ns
from rig.errors import Refused
from rig.messages import MESSAGE_TYPES, Frame, Message, Start, kind
from rig.session import session_folder as folders
from rig.settings.config import SessionSettings, resolve
from rig.transport.envelope import Sender, pack
from rig.transport.frame_ring import Ring
from rig.transport.gate import Publisher
from rig.transport.hub import Hub
from rig.transport.hub_access import FRONT, connect, read_access

_PORT = 5691
_SIDE_PX = 1500
_FRAME_MS = 100
_WARM_UP_S = 5.0
_DRAWN_AFTER_S = 8.0
"""Time after which draws are measured, seconds, as a browser needs some seconds to start."""
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Load(NamedTuple):
    """The load of the page's process, and the delay of the browser."""

    cpu_percent: float
    memory_mb: float
    drawn_ms: list[float]
    """Time from published to drawn, for each millisecond of the session."""
    missing: str
    """Software for the browser that is not installed; empty if nothing is missing."""


def measure(data: Path, cells: int, seconds: float, readers: int) -> Load:
    """Publish a session at its real rates; read its page with readers and one real browser."""
    t0_ns = monotonic_ns()
    session, folder = _session(data, t0_ns)
    clock = RealClock(t0_ns)
    try:
        with closing(Hub(_PORT)) as hub:
            types = tuple(kind(message) for message in MESSAGE_TYPES)
            hub.start(session.id, t0_ns, {name: Publisher(types) for name in _names()})
            with _source(session, clock) as source, page_process(folder, data) as page:
                assert page.stdout is not None
                address = json.loads(page.stdout.readline())["address"].split("#")[0]
                return _watched(source, page, address, cells, seconds, readers)
    finally:
        folders.sweep(session)


@contextmanager
def reader_process(address: str, number: int) -> Iterator[IO[bytes]]:
    """Run readers; yield the pipe to which "on" and "off" are written."""
    command = [sys.executable, "-P", "-m", "rig.cli.bench.live_page.readers", address, str(number)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert process.stdin is not None
    try:
        yield process.stdin
    finally:
        process.stdin.close()
        process.kill()
        process.wait()


@contextmanager
def page_process(folder: Path, home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the live page of a session folder, with its own token below `home`."""
    command = [sys.executable, "-P", "-m", "rig.cli.sessions.live_page_process", str(folder), "0"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "XDG_CONFIG_HOME": str(home / "config")},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process so far, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def memory_mb(pid: int) -> float:
    """Return the memory of a process, MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


def since_published_ms(drawn: list[tuple[float, float]], zero_ms: float) -> list[float]:
    """Return the time from published to drawn for each millisecond of the session, ms.

    Args:
        drawn: Session time of the newest drawn message (s), and wall time (ms).
        zero_ms: Wall time of the session's zero, ms.
    """
    delays: list[float] = []
    for (before_s, _), (t_s, at_ms) in pairwise(drawn):
        published = np.arange(before_s * 1e3, t_s * 1e3)
        delays += (at_ms - zero_ms - published).tolist()
    return delays


def _watched(
    source: "_Source",
    page: "subprocess.Popen[bytes]",
    address: str,
    cells: int,
    seconds: float,
    readers: int,
) -> Load:
    source.begin(cells)
    command = [sys.executable, "-P", "-m", "rig.cli.bench.live_page.drawn", address, str(seconds)]
    browser = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with reader_process(address, readers - 1) as switch:
        switch.write(b"on\n")
        switch.flush()
        source.publish_for(_WARM_UP_S)
        began, used_s = time.monotonic(), cpu_s(page.pid)
        while browser.poll() is None:
            source.publish_for(0.5)
        share = (cpu_s(page.pid) - used_s) / (time.monotonic() - began)
    found = json.loads(browser.communicate()[0])
    drawn = [(t, at) for t, at in found.get("drawn", ()) if t > found["drawn"][0][0] + _WARM_UP_S]
    zero_ms = 1e3 * time.time() - source.now_ms()
    delays = since_published_ms(drawn, zero_ms)
    return Load(100 * share, memory_mb(page.pid), delays, found.get("missing", ""))


class _Source:
    """A thread that publishes the traffic of a session through its hub in real time."""

    def __init__(self, session: SessionSettings, clock: RealClock) -> None:
        assert session.ring is not None
        self._session, self._clock = session, clock
        self._ring = Ring(session.ring)
        self._context = zmq.Context()
        self._sockets = {name: self._socket(name) for name in _names()}
        self._senders = {name: Sender(name, clock, session=session.id) for name in _names()}
        self._pixels = np.random.default_rng(2).integers(0, 3000, (_SIDE_PX, _SIDE_PX), np.int16)
        self._traffic = Traffic(1)
        self._next_ms = 0

    def now_ms(self) -> float:
        return self._clock.now() / 1e6

    def begin(self, cells: int) -> None:
        self._traffic = Traffic(cells, side_px=_SIDE_PX)
        self._publish(Start(self._clock.now(), msgspec.to_builtins(self._session)))
        self._next_ms = self._traffic.next_trial_ms(int(self.now_ms()))
        found = msgspec.structs.replace(self._traffic.found(), t=self._clock.now())
        self._publish(found)

    def publish_for(self, seconds: float) -> None:
        until = self.now_ms() + 1000 * seconds
        while (now := int(self.now_ms())) < until:
            for message in self._traffic.between(self._next_ms, now):
                self._publish(message)
            for ms in range(self._next_ms - self._next_ms % -_FRAME_MS, now, _FRAME_MS):
                self._frame(ms)
            self._next_ms = max(self._next_ms, now)
            time.sleep(0.001)

    def close(self) -> None:
        self._context.destroy(linger=0)
        self._ring.close()

    def _frame(self, ms: int) -> None:
        index = ms // _FRAME_MS
        self._ring.write(index, self._pixels)
        self._publish(Frame(ms * 1_000_000, index, "none.tif", 0, _SIDE_PX, _SIDE_PX, ms / 1e3))

    def _publish(self, message: Message) -> None:
        name = SENDER_OF.get(type(message), "stream" if isinstance(message, Frame) else "task")
        sender, socket = self._senders[name], self._sockets[name]
        socket.send(kind(message).encode() + b" " + pack(sender.wrap(message)))

    def _socket(self, name: str) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._context.socket(zmq.PUB)
        connect(socket, read_access(_PORT, name), FRONT)
        return socket


@contextmanager
def _source(session: SessionSettings, clock: RealClock) -> Iterator[_Source]:
    source = _Source(session, clock)
    try:
        yield source
    finally:
        with suppress(Refused):
            source.close()


def _names() -> list[str]:
    return sorted({*SENDER_OF.values(), "task", "stream"})


def _session(data: Path, t0_ns: int) -> tuple[SessionSettings, Path]:
    package = Path(rig.__file__).parent
    task = package.parent / "behavior" / "tasks" / "train1.toml"
    sets = [f"rig.hub_port={_PORT}", "rig.ring_slot_mb=5", "rig.ring_slots=30"]
    answers: Any = resolve(package / "setups" / "simulated.toml", task, "bench", 1, sets)
    (data / "sub-bench").mkdir(parents=True)
    folder, session = folders.make(answers, data, t0_ns, "", {})
    return session, folder
