"""Sessions with triggers in virtual time, and messages for a closed loop alone."""

from typing import Any, Literal

import msgspec
import numpy as np

from analysis.closed_loop import ClosedLoop
from rig.messages import CellSignals, Message, Position, TrialStart
from rig.process import completed
from rig.session.provenance import about
from rig.settings.config import SessionSettings
from tests.analysis.logs import corridor
from tests.behavior.sessions import hardware_table, session

MS = 1_000_000
LINE = {"is": "behavior.devices.simulated:TriggerLine", "board": "bench", "longest_ms": 2000.0}
SIMULATED_LASER = {**hardware_table(), "trigger_lines": {"laser": LINE}}


def rule(when: str = "position_m >= 2.0", **keys: Any) -> dict[str, Any]:
    """Return a [[triggers]] table that pulses the laser for 20 ms."""
    length = {} if "hold_ms" in keys else {"pulse_ms": 20.0}
    return {"name": "one", "when": when, "line": "laser", **length, **keys}


def with_loop(*triggers: dict[str, Any], seed: int = 3, **options: Any) -> SessionSettings:
    """Return a session of driver, task and closed loop, to run in virtual time and to replay."""
    chosen = session(seed, **options)
    nodes = {
        "hardware": {"run": "behavior.hardware", **SIMULATED_LASER},
        "task": {"run": "behavior.task"},
        "closed_loop": {"run": "analysis.closed_loop"},
    }
    task = {**chosen.task, "triggers": list(triggers)}
    return msgspec.structs.replace(
        completed(msgspec.structs.replace(chosen, nodes=nodes, task=task)), about=about()
    )


class Loop:
    """A closed loop alone: a mouse runs, frames arrive, and the requests are recorded."""

    def __init__(self, *triggers: dict[str, Any], seed: int = 3) -> None:
        table = {"triggers": list(triggers), "seed": seed}
        self.published: list[Message] = []
        settings = msgspec.convert(table, ClosedLoop.Settings)
        self.node = ClosedLoop(settings, self.published.append)
        self.node.open()
        self.trial = -1
        self.frames = 0

    def start(self, t_ms: float, trial: int, stimulus: str = "leaf1") -> TrialStart:
        """Start a trial."""
        self.trial = trial
        start = corridor(trial, stimulus, round(t_ms * MS))
        self.node.handle(start)
        return start

    def walk(self, t_ms: float, position_m: float, moving: bool = True) -> list[Message]:
        """Handle a Position; return what the loop publishes."""
        before = len(self.published)
        speed = 30.0 if moving else 0.0
        t = round(t_ms * MS)
        phase: Literal["corridor", "grey"] = "corridor" if self.trial >= 0 else "grey"
        self.node.handle(Position(t, self.trial, position_m, speed, moving, phase))
        return self.published[before:]

    def frame(
        self,
        t_ms: float,
        scanned_ms: float,
        activity: float | None = None,
        projection: float | None = None,
        ramp: float | None = None,
    ) -> list[Message]:
        """Handle the signals of a frame, equal in all areas; return what the loop publishes."""
        before = len(self.published)
        number, self.frames = self.frames, self.frames + 1
        self.node.handle(
            CellSignals(
                round(t_ms * MS), number, self.trial, None, 0.0, True, b"", None,
                scanned_t=round(scanned_ms * MS),
                ramp=ramp,
                area_activity=_values(activity, 5),
                area_projection=_values(projection, 4),
            )
        )  # fmt: skip
        return self.published[before:]


def _values(value: float | None, areas: int) -> bytes:
    if value is None:
        return b""
    return np.full(areas, value, "<f4").tobytes()
