"""rig bench bus: the latency of messages on this computer while all its cores are busy."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import typer
import zmq
from rich.console import Console

import rig
from rig.cli.bench.harness import Json, Row, busy, count, row, show
from rig.cli.numbers import number
from rig.clock import Clock, RealClock, monotonic_ns
from rig.errors import Refused
from rig.messages import (
    COMMON_MESSAGES,
    Heartbeat,
    Lick,
    Message,
    Position,
    Start,
    Stop,
    Valve,
    Wheel,
    kind,
)
from rig.process import publishers
from rig.session import session_folder as folders
from rig.session.launch import launch
from rig.settings.config import ResolvedSession, Rig, SessionSettings, resolve
from rig.transport.bus import Bus
from rig.transport.envelope import Envelope, Sender, unpack
from rig.transport.gate import Publisher
from rig.transport.hub import Hub
from rig.transport.hub_access import BACK, OBSERVER, connect, read_access
from rig.transport.log import LOG_FILE, read

_PORT = 5671
_MESSAGES_PER_S = 5000
_RECORDER_S = 8.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_SHORT_CORRIDORS = (
    "task.texture_m=1.0",
    "task.grey_m=0.5",
    "task.cue_from_m=0.1",
    "task.cue_to_m=0.2",
    "nodes.task.imaging.grey_frames=1",
    "task.grey_before_s=0.5",
    "task.grey_after_s=0.5",
    "task.decided_by=task",
    "task.rewarded=['leaf1', 'circle1']",
    "nodes.display.screen={is='stimuli.window:SimulatedScreen'}",
)


def bus(
    seconds: Annotated[
        float, typer.Option(parser=number(1.0), help="Length of the measured session, s.")
    ] = 40.0,
    as_json: Json = False,
) -> None:
    """Measure latencies and loads of the bus while all cores are busy."""
    with tempfile.TemporaryDirectory() as data, busy():
        rows = list(_session_rows(Path(data), seconds))
        share = _recorder_share(Path(data))
        name = f"recorder at {_MESSAGES_PER_S} messages/s"
        rows.append(count(name, 100 * share, "% of a core", most=10))
    show("rig bench bus, with a busy process on each core", rows, as_json)


def _session_rows(data: Path, seconds: float) -> Iterator[Row]:
    """Run a session of short corridors and read its latencies from the hub and its log."""
    package = Path(rig.__file__).parent
    sets = [*_SHORT_CORRIDORS, f"task.minutes={seconds / 60}", f"rig.hub_port={_PORT}"]
    setup = package / "setups" / "simulated.toml"
    task = package.parent / "behavior" / "tasks" / "train1.toml"
    resolved = resolve(setup, task, "bench", 1, sets)
    probe = _Probe(_PORT)
    outcome = launch(resolved, data, Console(quiet=True))
    probe.end()
    if outcome.failed:
        raise Refused(f"the measured session failed: {outcome.reason}")
    messages = list(read(outcome.folder / LOG_FILE))
    read_at = {w.t: e.sent for e, w in messages if isinstance(w, Lick)}
    fired = [w for _, w in messages if isinstance(w, Valve) and w.lick_t in read_at]
    from_tongue = [(w.t - (w.lick_t or 0)) / 1e6 for w in fired]
    from_read = [(w.t - read_at[w.lick_t or 0]) / 1e6 for w in fired]
    yield row("lick read to valve, decided by the task", from_read, under={"p50": 1})
    yield row("lick to valve, sampled at 1 kHz", from_tongue)
    yield row("wheel to position at a third process", probe.ages_ms, under={"p50": 1})
    yield row("wheel period", np.diff([w.t for _, w in messages if isinstance(w, Wheel)]) / 1e6)
    for name, share in probe.shares().items():
        yield count(name, 100 * share, "% of a core")
    frames = {name: _count(messages, name) for name in ("Pulse", "Frame", "CellSignals")}
    lost = frames["Pulse"] - frames["CellSignals"]
    yield count("imaging frames lost", lost, most=0, n=frames["Pulse"])


def _count(messages: list[tuple[Envelope, Message]], name: str) -> int:
    return sum(type(message).__name__ == name for _, message in messages)


class _Probe:
    """A subscriber that records the age of each Position on arrival and each process's CPU time."""

    def __init__(self, port: int) -> None:
        self.ages_ms: list[float] = []
        self._cpu: dict[str, list[tuple[float, float]]] = {}
        self._ending = threading.Event()
        self._port = port
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._thread.join()

    def shares(self) -> dict[str, float]:
        """Return each process's fraction of a core between its first and last sample."""
        return {
            name: (samples[-1][1] - samples[0][1]) / (samples[-1][0] - samples[0][0])
            for name, samples in self._cpu.items()
            if len(samples) > 1
        }

    def _listen(self) -> None:
        context: zmq.Context[Any] = zmq.Context()
        socket = context.socket(zmq.SUB)
        while not self._connected(socket):
            if self._ending.wait(0.01):
                return
        socket.subscribe(b"Start ")
        socket.subscribe(b"Position ")
        clock: Clock | None = None
        sampled = 0.0
        while not self._ending.is_set():
            if not socket.poll(100):
                continue
            frame: bytes = socket.recv()
            _, message = unpack(frame[frame.index(b" ") + 1 :])
            if isinstance(message, Start):
                clock = RealClock(message.session["t0_ns"])
            elif isinstance(message, Position) and clock is not None:
                self.ages_ms.append((clock.now() - message.t) / 1e6)
            if time.monotonic() - sampled > 1.0:
                sampled = time.monotonic()
                for name, cpu_s in _children_cpu_s():
                    self._cpu.setdefault(name, []).append((sampled, cpu_s))
        context.destroy(linger=0)

    def _connected(self, socket: zmq.Socket[Any]) -> bool:
        """Connect to the session's hub; return False if it is not there yet."""
        try:
            connect(socket, read_access(self._port, OBSERVER), BACK)
        except Refused:
            return False
        return True


def _children_cpu_s() -> Iterator[tuple[str, float]]:
    """Yield the module and the CPU time (s) of each child process."""
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in children.read_text().split():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if command[1:3] == [b"-P", b"-m"]:  # leaves out the busy processes of this bench
                    yield command[3].decode(), _cpu_s(int(pid))
            except (OSError, IndexError):
                continue


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def _recorder_share(data: Path) -> float:
    """Run the recorder alone with 5,000 messages per second; return its fraction of a core."""
    session = SessionSettings(
        subject="recorder",
        seed=1,
        task_name="",
        rig=Rig(name="bench", hub_port=_PORT, disk_mb_s=0.0),
        task={},
        nodes={"recorder": {"run": "rig.recorder"}},
    )
    (data / "sub-recorder").mkdir()
    t0_ns = monotonic_ns()
    folder, session = folders.make(ResolvedSession(session, {}), data, t0_ns, "", {})
    hub = Hub(_PORT)
    types = tuple(kind(message) for message in (Start, Stop, Wheel, *COMMON_MESSAGES))
    hub.start(session.id, t0_ns, {"sender": Publisher(types), **publishers(session)})
    clock = RealClock(t0_ns)
    named = Sender("sender", clock, session=session.id)
    sender = Bus(named, _PORT, (Heartbeat,), clock, _Forget())
    recorder = subprocess.Popen(
        [sys.executable, "-P", "-m", "rig.recorder", str(folder), str(os.getpid())]
    )
    sender.connect()
    while not any(map(_is_ready, sender.receive(None))):
        pass
    sender.publish(Start(clock.now(), msgspec.to_builtins(session)))
    began, cpu_s = time.monotonic(), _cpu_s(recorder.pid)
    _publish_steadily(sender, clock)
    share = (_cpu_s(recorder.pid) - cpu_s) / (time.monotonic() - began)
    sender.publish(Stop(clock.now(), "measured", ("recorder",)))
    recorder.wait(10)
    sender.close()
    hub.close()
    return share


def _is_ready(received: tuple[Envelope, Message]) -> bool:
    envelope, message = received
    return envelope.sender == "recorder" and isinstance(message, Heartbeat) and message.ready


def _publish_steadily(sender: Bus, clock: Clock) -> None:
    began, published = time.monotonic(), 0
    while (lasted := time.monotonic() - began) < _RECORDER_S:
        while published < lasted * _MESSAGES_PER_S:
            sender.publish(Wheel(clock.now(), published, 0.0))
            published += 1
        sender.receive(clock.now() + 1_000_000)


class _Forget:
    """A journal that discards everything."""

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        pass
