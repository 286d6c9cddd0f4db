"""Small sessions: hand-made messages in a log as the recorder writes it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rig.clock import SetClock
from rig.messages import (
    CellSignals,
    Cue,
    Flip,
    Frame,
    Integrity,
    LearningSignals,
    Lick,
    Message,
    Position,
    Scan,
    Start,
    Stop,
    TrialEnd,
    TrialStart,
    Trigger,
    TriggerOutput,
    Valve,
    Wheel,
    kind,
)
from rig.transport.envelope import Envelope, Sender, pack
from rig.transport.log import LOG_FILE, Completeness, LogWriter

MS = 1_000_000
SPEAKERS: dict[type[Message], str] = {
    Start: "launch",
    Stop: "launch",
    Wheel: "hardware",
    Lick: "hardware",
    Valve: "hardware",
    Position: "task",
    TrialStart: "task",
    TrialEnd: "task",
    Cue: "task",
    Flip: "display",
    Frame: "stream",
    Scan: "stream",
    Integrity: "integrity",
    CellSignals: "online",
    LearningSignals: "online",
    Trigger: "closed_loop",
    TriggerOutput: "hardware",
}
START = Start(
    0,
    {
        "subject": "VR2",
        "seed": 7,
        "task_name": "train1",
        "task": {"cohort": "task", "signals": {"contrasts": [["leaf1", "circle1"]]}},
        "nodes": {},
        "about": {"rig": "0.1.0"},
    },
)


def corridor(trial: int, stimulus: str, t: int = 0, cue: float | None = 1.0) -> TrialStart:
    """A corridor of 4 m texture and 2 m grey; leaf1 is rewarded."""
    rewarded = stimulus == "leaf1"
    mode: Literal["active", "none"] = "active" if rewarded else "none"
    return TrialStart(t, trial, stimulus, None, rewarded, 4.0, 2.0, cue, mode, 0.0)


def learning(t: int, trial: int, d_prime: NDArray[np.float32], final: bool = False) -> Message:
    """The signals after a trial, without the fractions."""
    pairs = (("leaf1", "circle1"),)
    return LearningSignals(t, trial, trial + 1, final, pairs, d_prime.tobytes(), b"", (), ())


def standing(t: int, trial: int, position_m: float, moving: bool = True) -> Position:
    """A Position in the corridor, running at 20 cm/s if at all."""
    phase: Literal["grey", "corridor"] = "grey" if trial < 0 else "corridor"
    return Position(t, trial, position_m, 20.0 if moving else 0.0, moving, phase)


def enveloped(
    messages: Iterable[Message | tuple[str, Message]], delay: int = 0
) -> list[tuple[Envelope, Message]]:
    """Put messages into envelopes, sent `delay` ns after their t; a pair names the sender."""
    clock = SetClock()
    senders: dict[str, Sender] = {}
    pairs = []
    for item in messages:
        name, message = item if isinstance(item, tuple) else (SPEAKERS[type(item)], item)
        clock.set(message.t + delay)
        sender = senders.setdefault(name, Sender(name, clock))
        pairs.append((sender.wrap(message), message))
    return pairs


def write_log(
    folder: Path, pairs: list[tuple[Envelope, Message]], completeness: Completeness | None = None
) -> Path:
    """Write the session's log; return the folder. The log is whole by default."""
    writer = LogWriter(folder / LOG_FILE)
    for envelope, message in pairs:
        writer.append(kind(message), envelope, pack(envelope))
    writer.close(completeness or Completeness(True, len(pairs)))
    return folder
