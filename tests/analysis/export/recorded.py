"""Small sessions with cells, for the tests of exports."""

from pathlib import Path
from typing import Any

import numpy as np

from rig.messages import (
    CellSignals,
    Cue,
    Frame,
    Lick,
    Message,
    Position,
    Start,
    TrialEnd,
    TrialStart,
    Trigger,
    TriggerOutput,
    Valve,
    Wheel,
)
from tests.analysis.logs import MS, corridor, enveloped, write_log

CELLS = 6
AREAS = (8, 8, 3, 3, 5, -1)
FRAME_MS = 300
TRIAL_FRAMES = 24
STIMULI = ("leaf1", "circle1", "leaf1", "circle1")
BEGAN = "2026-03-04T10:00:00+01:00"


def start(imaging: bool = True, cohort: str = "task", stage: str = "train1") -> Start:
    """The Start of a session."""
    nodes: dict[str, Any] = {"online": {"cells_file": "cells.csv", "areas_file": ""}}
    return Start(
        0,
        {
            "subject": "VR2",
            "seed": 7,
            "task_name": stage,
            "id": "0123456789abcdef",
            "task": {
                "cohort": cohort,
                "stage": stage,
                "signals": {"contrasts": [["leaf1", "circle1"]], "rewarded": "leaf1"},
            },
            "nodes": nodes if imaging else {},
            "about": {"rig": "0.2.0"},
            "began": BEGAN,
        },
    )


def trial(
    number: int, stimulus: str, begin_ms: int, outcome: str = "done", licks: bool = True
) -> list[Message]:
    """One corridor at 0.25 m per frame, with a cue at 2 m, two licks and, for leaf1, one reward."""
    t = begin_ms * MS
    messages: list[Message] = [corridor(number, stimulus, t, cue=2.0)]
    for frame in range(TRIAL_FRAMES):
        place_m = 0.25 * frame
        now = t + frame * FRAME_MS * MS
        messages.append(Wheel(now, 10 * frame, 25.0 * frame))
        messages.append(Position(now, number, place_m, 25.0, True, "corridor"))
        if frame == 8:
            messages.append(Cue(now, number, 2.0))
        if licks and frame in (9, 10):
            messages.append(Lick(now + 50 * MS, "centre"))
        if stimulus == "leaf1" and licks and frame == 9:
            messages.append(Valve(now + 51 * MS, number, "centre", 60.0, 3.0, now + 50 * MS))
    end = t + TRIAL_FRAMES * FRAME_MS * MS
    messages.append(TrialEnd(end, number, outcome))  # type: ignore[arg-type]
    return messages


def signals(messages: list[Message], seed: int = 1) -> list[Message]:
    """Frames and their activity for a session: one for each wheel sample, 100 ms after it."""
    rng = np.random.default_rng(seed)
    of = {m.trial: m.stimulus for m in messages if isinstance(m, TrialStart)}
    found: list[Message] = []
    index = 0
    for message in messages:
        if isinstance(message, Position):
            t = message.t + 100 * MS
            traces = rng.exponential(10, CELLS).astype("<f4").tobytes()
            found.append(Frame(t, index, "imaging/a.tif", 0, 8, 8, t / 1e9, number=index + 1))
            found.append(
                CellSignals(
                    t,
                    index,
                    message.trial,
                    of.get(message.trial),
                    message.position_m,
                    message.moving,
                    traces,
                    None,
                    scanned_t=t - 50 * MS,
                )
            )
            index += 1
    return found


def write(
    folder: Path,
    messages: list[Message],
    first: Start,
    imaging: bool = True,
    analysed_ms: tuple[float, float] = (0, np.inf),
) -> Path:
    """Write the session folder sub-VR2/ses-20260304_2 and return it.

    Frames have signals only between the times analysed_ms, ms.
    """
    session = folder / "sub-VR2" / "ses-20260304_2"
    session.mkdir(parents=True)
    if imaging:
        since, until = analysed_ms
        messages = messages + [
            message
            for message in signals(messages)
            if not isinstance(message, CellSignals) or since <= message.t / MS <= until
        ]
        rows = [f"{n},{2 + n},{2 + n},1.5,{area}" for n, area in enumerate(AREAS)]
        (session / "imaging").mkdir()
        # every Frame names the same 8 x 8 pixels
        np.arange(64, dtype="<i2").tofile(session / "imaging" / "a.tif")
        (session / "cells.csv").write_text("cell,y_px,x_px,radius_px,area\n" + "\n".join(rows))
    ordered = sorted(messages, key=lambda message: message.t)
    return write_log(session, enveloped([first, *ordered]))


def whole_session(folder: Path) -> Path:
    """Four corridors and, between the second and the third, an aborted one; one trigger."""
    line = (6_500 * MS, 1, 10**12, "one", "laser", 20.0, False, False, 0, "leaf1", 0.5)
    messages: list[Message] = [Trigger(*line), TriggerOutput(6_501 * MS, 1, "laser", 20.0)]
    begin_ms = 6_000
    drawn = [*STIMULI[:2], "leaf1", *STIMULI[2:]]
    for number, stimulus in enumerate(drawn):
        outcome = "aborted" if number == 2 else "done"
        messages += trial(number, stimulus, begin_ms, outcome)
        begin_ms += TRIAL_FRAMES * FRAME_MS + 300
    return write(folder, messages, start())
