"""rig bench wire: how fast words travel on this machine, beside busy cores."""

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
from rig.cli.bench.harness import busy, percentiles, row
from rig.cli.terminal import new_console
from rig.clock import Clock, RealClock, monotonic_ns
from rig.errors import Refused
from rig.messages import Heartbeat, Lick, Message, Position, Start, Stop, Valve, Wheel
from rig.session import session_folder as folders
from rig.session.launch import launch
from rig.settings.config import ResolvedSession, Rig, SessionSettings, resolve
from rig.transport.bus import Bus
from rig.transport.envelope import Envelope, Sender, unpack
from rig.transport.hub import Hub
from rig.transport.log import LOG_FILE, read

_PORT = 5671
_WORDS_A_SECOND = 5000
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


def transport(
    seconds: Annotated[float, typer.Option(help="Length of the measured session.")] = 40.0,
) -> None:
    """Measure the wire beside two busy cores: latencies, CPU shares, the recorder."""
    table = percentiles("rig bench wire, beside a busy process on each core")
    with tempfile.TemporaryDirectory() as data, busy():
        for line in _session_rows(Path(data), seconds):
            table.add_row(*line)
        share = _recorder_share(Path(data))
        wanted = f"under 10 % at {_WORDS_A_SECOND} words/s"
        table.add_row("recorder, % of a core", f"{100 * share:.1f}", "", "", "", wanted)
    new_console().print(table)


def _session_rows(data: Path, seconds: float) -> Iterator[tuple[str, ...]]:
    """Run a session of short corridors and read its latencies, at the hub and in its log."""
    package = Path(rig.__file__).parent
    sets = [*_SHORT_CORRIDORS, f"task.minutes={seconds / 60}", f"rig.hub_port={_PORT}"]
    setup = package / "setups" / "simulated.toml"
    task = package.parent / "behavior" / "tasks" / "train1.toml"
    answers = resolve(setup, task, "bench", 1, sets)
    probe = _Probe(_PORT)
    outcome = launch(answers, data, Console(quiet=True))
    probe.end()
    if outcome.failed:
        raise Refused(f"the measured session failed: {outcome.reason}")
    messages = list(read(outcome.folder / LOG_FILE))
    read_at = {w.t: e.sent for e, w in messages if isinstance(w, Lick)}
    fired = [w for _, w in messages if isinstance(w, Valve) and w.lick_t in read_at]
    from_tongue = [(w.t - (w.lick_t or 0)) / 1e6 for w in fired]
    from_read = [(w.t - read_at[w.lick_t or 0]) / 1e6 for w in fired]
    yield row("lick read to valve, decided over the hub, ms", from_read, "p50 under 1")
    yield row("lick itself to valve, sampled at 1 kHz, ms", from_tongue, "")
    yield row("wheel to task to a third process, ms", probe.ages_ms, "p50 under 1")
    ticks = np.diff([w.t for _, w in messages if isinstance(w, Wheel)]) / 1e6
    yield row("wheel period, ms", ticks, "1")
    for name, share in probe.shares().items():
        yield (f"{name}, % of a core", f"{100 * share:.1f}", "", "", "", "")
    frames = {name: _count(messages, name) for name in ("Pulse", "Frame", "CellSignals")}
    lost = frames["Pulse"] - frames["CellSignals"]
    yield ("frames lost", str(lost), "", "", str(frames["Pulse"]), "0")


def _count(messages: list[tuple[Envelope, Message]], name: str) -> int:
    return sum(type(message).__name__ == name for _, message in messages)


class _Probe:
    """Listens at the hub: the age of each Position on arrival, and each process's CPU time."""

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
        """Return each process's share of a core between its first and last look."""
        return {
            name: (looks[-1][1] - looks[0][1]) / (looks[-1][0] - looks[0][0])
            for name, looks in self._cpu.items()
            if len(looks) > 1
        }

    def _listen(self) -> None:
        context: zmq.Context[Any] = zmq.Context()
        ear = context.socket(zmq.SUB)
        ear.connect(f"tcp://127.0.0.1:{self._port + 1}")
        ear.subscribe(b"Start ")
        ear.subscribe(b"Position ")
        clock: Clock | None = None
        looked = 0.0
        while not self._ending.is_set():
            if not ear.poll(100):
                continue
            frame: bytes = ear.recv()
            _, message = unpack(frame[frame.index(b" ") + 1 :])
            if isinstance(message, Start):
                clock = RealClock(message.session["t0_ns"])
            elif isinstance(message, Position) and clock is not None:
                self.ages_ms.append((clock.now() - message.t) / 1e6)
            if time.monotonic() - looked > 1.0:
                looked = time.monotonic()
                for name, cpu_s in _children_cpu_s():
                    self._cpu.setdefault(name, []).append((looked, cpu_s))
        context.destroy(linger=0)


def _children_cpu_s() -> Iterator[tuple[str, float]]:
    """Yield the module and CPU seconds of each process this one has started."""
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in children.read_text().split():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                yield command[2].decode(), _cpu_s(int(pid))
            except (OSError, IndexError):
                continue


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def _recorder_share(data: Path) -> float:
    """Let the recorder alone write 5,000 words a second; return its share of a core."""
    session = SessionSettings(
        subject="recorder",
        seed=1,
        task_name="",
        rig=Rig(name="bench", hub_port=_PORT, disk_mb_s=0.0),
        task={},
        nodes={"recorder": {"run": "rig.recorder"}},
    )
    subject = data / "sub-recorder"
    subject.mkdir()
    t0_ns = monotonic_ns()
    folder, session = folders.make(ResolvedSession(session, {}), subject, t0_ns, "", {})
    hub = Hub(_PORT)
    clock = RealClock(t0_ns)
    talker = Bus(Sender("talker", clock), _PORT, (Heartbeat,), clock, _Forget())
    recorder = subprocess.Popen(
        [sys.executable, "-m", "rig.recorder", str(folder), str(os.getpid())]
    )
    talker.connect()
    ready = False
    while not ready:
        received = talker.receive(None)
        ready = any(
            e.sender == "recorder" and isinstance(w, Heartbeat) and w.ready for e, w in received
        )
    talker.publish(Start(clock.now(), msgspec.to_builtins(session)))
    began, cpu_s = time.monotonic(), _cpu_s(recorder.pid)
    said = 0
    while (lasted := time.monotonic() - began) < _RECORDER_S:
        while said < lasted * _WORDS_A_SECOND:
            talker.publish(Wheel(clock.now(), said, 0.0))
            said += 1
        talker.receive(clock.now() + 1_000_000)
    share = (_cpu_s(recorder.pid) - cpu_s) / (time.monotonic() - began)
    talker.publish(Stop(clock.now(), "measured", ("recorder",)))
    recorder.wait(10)
    talker.close()
    hub.close()
    return share


class _Forget:
    """A journal that keeps nothing."""

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        pass
