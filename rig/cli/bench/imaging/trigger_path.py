"""Measure the time from a frame's signals to the line of a rule, for rig bench analysis."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from behavior.devices.simulated import Board, TriggerLine
from behavior.driver.trigger_lines import TriggerLines
from rig.clock import RealClock, monotonic_ns
from rig.messages import (
    CellSignals,
    Heartbeat,
    Message,
    Position,
    Start,
    Stop,
    TrialStart,
    Trigger,
    kind,
)
from rig.process import publishers
from rig.session import session_folder as folders
from rig.settings.config import ResolvedSession, Rig, SessionSettings
from rig.settings.device_factory import make_on_board
from rig.transport.bus import Batching, Bus
from rig.transport.envelope import Envelope, Sender
from rig.transport.gate import Publisher
from rig.transport.hub import Hub

_PORT = 5673
_BENCH, _LOOP, _LINE = "bench", "closed_loop", "laser"
_RULE = {
    "name": "bench",
    "when": "activity.all > 0 and in texture",
    "line": _LINE,
    "pulse_ms": 1.0,
    "once_per_trial": False,
}
_SENT = (Start, Stop, TrialStart, Position, CellSignals, Heartbeat)


class TriggerPath:
    """The part of a session behind the analysis: hub, closed loop, and a simulated line."""

    def __init__(self, bus: Bus, clock: RealClock) -> None:
        self._bus, self._clock = bus, clock
        mouse = {"is": "behavior.animals:SimulatedMouse"}
        board = Board(Board.Settings(mouse=mouse), "bench")
        table = {"is": "behavior.devices.simulated:TriggerLine", "board": "bench"}
        line: TriggerLine = make_on_board(table, "[bench]", _LINE, {"bench": board})
        self._lines = TriggerLines({_LINE: line}, {}, list[Message]().append)
        self._bus.publish(
            TrialStart(clock.now(), 0, "leaf1", None, False, 4.0, 2.0, None, "none", 0.0)
        )

    def ms_to_line(self, signals: CellSignals) -> float:
        """Publish the signals of a frame, and raise the line when the Trigger arrives.

        Returns:
            The time from before the publication until the line was up, ms.
        """
        self._publish(msgspec.structs.replace(signals, traces=b""), -1.0)  # the rule becomes false
        began = monotonic_ns()
        self._publish(signals, 1.0)
        while True:
            for _, message in self._bus.receive(self._clock.now() + 1_000_000_000):
                if isinstance(message, Trigger):
                    self._lines.handle(message, self._clock.now())
                    return (monotonic_ns() - began) / 1e6

    def _publish(self, signals: CellSignals, activity: float) -> None:
        now = self._clock.now()
        means = np.full(5, activity, "<f4").tobytes()
        self._bus.publish(Position(now, 0, 1.0, 30.0, True, "corridor"))
        self._bus.publish(
            msgspec.structs.replace(signals, t=now, scanned_t=now, area_activity=means)
        )


@contextmanager
def trigger_path() -> Iterator[TriggerPath]:
    """Run a hub and a closed loop in separate processes, with one rule on activity."""
    with tempfile.TemporaryDirectory() as data:
        (Path(data) / "sub-bench").mkdir()
        session = SessionSettings(
            subject="bench",
            seed=1,
            task_name="",
            rig=Rig(name="bench", hub_port=_PORT, disk_mb_s=0.0),
            task={"triggers": [_RULE]},
            nodes={_LOOP: {"run": "analysis.closed_loop"}},
        )
        t0_ns = monotonic_ns()
        folder, session = folders.make(ResolvedSession(session, {}), Path(data), t0_ns, "", {})
        hub = Hub(_PORT)
        types = tuple(kind(message) for message in _SENT)
        hub.start(session.id, t0_ns, {_BENCH: Publisher(types), **publishers(session)})
        clock = RealClock(t0_ns)
        named, pace = Sender(_BENCH, clock, session=session.id), Batching(max_lag_s=60.0)
        bus = Bus(named, _PORT, (Heartbeat, Trigger), clock, _Forget(), pace)
        loop = subprocess.Popen(
            [sys.executable, "-P", "-m", "analysis.closed_loop", str(folder), str(os.getpid())]
        )
        try:
            bus.connect()
            while not any(map(_is_ready, bus.receive(None))):
                pass
            bus.publish(Start(clock.now(), msgspec.to_builtins(session)))
            yield TriggerPath(bus, clock)
            bus.publish(Stop(clock.now(), "measured", (_LOOP,)))
            loop.wait(10)
        finally:
            loop.kill()
            bus.close()
            hub.close()


def _is_ready(received: tuple[Envelope, Message]) -> bool:
    envelope, message = received
    return envelope.sender == _LOOP and isinstance(message, Heartbeat) and message.ready


class _Forget:
    """A journal that discards everything."""

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        pass
