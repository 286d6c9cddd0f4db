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
from rig.bus import Bus
from rig.cli.bench.harness import busy, percentiles, row
from rig.clock import Clock, RealClock, monotonic_ns
from rig.config import Answers, Rig, Session, resolve
from rig.envelope import Envelope, Voice, unpack
from rig.hub import Hub
from rig.log import LOG_FILE, read
from rig.messages import Beat, Lick, Message, Position, Start, Stop, Valve, Wheel
from rig.refused import Refused
from rig.session import folder as folders
from rig.session.launch import launch

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
    "nodes.display.screen={is='stimuli.simulated:SimulatedScreen'}",
)


def wire(
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
    Console().print(table)


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
    words = list(read(outcome.folder / LOG_FILE))
    read_at = {w.t: e.sent for e, w in words if isinstance(w, Lick)}
    fired = [w for _, w in words if isinstance(w, Valve) and w.lick_t in read_at]
    from_tongue = [(w.t - (w.lick_t or 0)) / 1e6 for w in fired]
    from_read = [(w.t - read_at[w.lick_t or 0]) / 1e6 for w in fired]
    yield row("lick read to valve, decided over the hub, ms", from_read, "p50 under 1")
    yield row("lick itself to valve, sampled at 1 kHz, ms", from_tongue, "")
    yield row("wheel to task to a third process, ms", probe.ages_ms, "p50 under 1")
    ticks = np.diff([w.t for _, w in words if isinstance(w, Wheel)]) / 1e6
    yield row("wheel period, ms", ticks, "1")
    for name, share in probe.shares().items():
        yield (f"{name}, % of a core", f"{100 * share:.1f}", "", "", "", "")
    frames = {name: _count(words, name) for name in ("Pulse", "Frame", "Decoded")}
    lost = frames["Pulse"] - frames["Decoded"]
    yield ("frames lost", str(lost), "", "", str(frames["Pulse"]), "0")


def _count(words: list[tuple[Envelope, Message]], name: str) -> int:
    return sum(type(word).__name__ == name for _, word in words)


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
            _, word = unpack(frame[frame.index(b" ") + 1 :])
            if isinstance(word, Start):
                clock = RealClock(word.session["t0_ns"])
            elif isinstance(word, Position) and clock is not None:
                self.ages_ms.append((clock.now() - word.t) / 1e6)
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
    session = Session(
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
    folder, session = folders.make(Answers(session, {}), subject, t0_ns, "", {})
    hub = Hub(_PORT)
    clock = RealClock(t0_ns)
    talker = Bus(Voice("talker", clock), _PORT, (Beat,), clock, _Forget())
    recorder = subprocess.Popen(
        [sys.executable, "-m", "rig.recorder", str(folder), str(os.getpid())]
    )
    talker.meet()
    ready = False
    while not ready:
        heard = talker.hear(None)
        ready = any(e.speaker == "recorder" and isinstance(w, Beat) and w.ready for e, w in heard)
    talker.say(Start(clock.now(), msgspec.to_builtins(session)))
    began, cpu_s = time.monotonic(), _cpu_s(recorder.pid)
    said = 0
    while (lasted := time.monotonic() - began) < _RECORDER_S:
        while said < lasted * _WORDS_A_SECOND:
            talker.say(Wheel(clock.now(), said, 0.0))
            said += 1
        talker.hear(clock.now() + 1_000_000)
    share = (_cpu_s(recorder.pid) - cpu_s) / (time.monotonic() - began)
    talker.say(Stop(clock.now(), "measured", ("recorder",)))
    recorder.wait(10)
    talker.close()
    hub.close()
    return share


class _Forget:
    """A journal that keeps nothing."""

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        pass
