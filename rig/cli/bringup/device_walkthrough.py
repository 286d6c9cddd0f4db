"""Test each device of a rig, step by step, with instructions for the person at the rig."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np
import typer
from rich.console import Console

from behavior.manual.manual_control import ManualControl

_WAIT_S = 20.0
"""Time in which the person must carry out an instruction, seconds."""
_CLICK_MS = 30.0
"""Length of the pulses with which a person checks that a valve clicks, ms."""
_MIN_COUNTS = 20
"""Smallest number of encoder counts that is a turn by hand and not noise."""
_LOOPS = 50
"""Number of pulses that are sent from the valve line to the lick line."""
_LOOP_LATE_MS = 5.0
"""Largest median delay from a pulse to its onset, ms."""
_LOOP_EARLY_MS = 1.0
"""Largest time by which an onset may precede its pulse, ms; the time of a pulse is known only as
the middle of a call."""


class Result(msgspec.Struct, frozen=True):
    """The result of one step."""

    what: str
    verdict: Literal["pass", "fail", "skipped"]
    found: str


def walk(control: ManualControl, console: Console) -> Iterator[Result]:
    """Test every device in turn and yield its result; the person follows the instructions."""
    forward, right = control.forward_signs()
    yield _turned(control, console, "wheel", "FORWARD", lambda: forward * control.counts())
    if control.side_counts() is not None:

        def to_the_right() -> float:
            return right * (control.side_counts() or 0)

        yield _turned(control, console, "ball", "to the RIGHT", to_the_right)
    for name in control.licks:
        onsets = control.licks[name]
        yield _event(control, console, f"lick {name}", f"touch spout {name}", onsets)
    for name in control.valves:
        console.print(f"valve {name} opens three times for {_CLICK_MS:g} ms: listen and look")
        for _ in control.pulses(name, _CLICK_MS, 3):
            pass
        yield _answer(control, f"valve {name}", "Did it click, and did drops come?")
    for name in control.edges:
        task = f"change line {name} (for frame_clock: start the microscope)"
        yield _event(control, console, f"line {name}", task, control.edges[name])
    for name in control.cameras:
        yield _exposed(control, console, name)
    for name in control.outputs:
        control.set_output(name, True)
        yield _answer(control, f"output {name}", f"Output {name} is on: is its other end on?")
        control.set_output(name, False)


def loop_back(control: ManualControl) -> Iterator[Result]:
    """Measure the delay from each valve line to the lick line wired to it; yield the results."""
    for name in control.valves:
        if name not in control.licks:
            yield Result(f"loop {name}", "skipped", "the setup has no lick line of that name")
            continue
        onsets = control.licks[name]
        control.poll_for(0.1)
        onsets.clear()
        opened = list(control.pulses(name, 10.0, _LOOPS))
        control.poll_for(0.1)
        if len(onsets) != len(opened):
            found = f"{len(onsets)} of {len(opened)} pulses came back; check the wire"
            yield Result(f"loop {name}", "fail", found)
            continue
        late_ms = np.subtract(onsets, opened) / 1e6
        p50, p99 = np.percentile(late_ms, [50, 99])
        found = f"{len(opened)} of {len(opened)} came back, p50 {p50:.2f} ms, p99 {p99:.2f} ms"
        good = late_ms.min() > -_LOOP_EARLY_MS and p50 < _LOOP_LATE_MS
        yield Result(f"loop {name}", "pass" if good else "fail", found)


def _turned(
    control: ManualControl, console: Console, what: str, way: str, counts: Callable[[], float]
) -> Result:
    console.print(f"turn the {what} {way} by hand within {_WAIT_S:g} s")
    began = counts()
    if not control.poll_until(lambda: abs(counts() - began) > _MIN_COUNTS, _WAIT_S):
        return Result(what, "fail", "it did not move; check the encoder's plug")
    turned = counts() - began
    found = f"{turned:+.0f} counts"
    found += "" if turned > 0 else ": backward; calibrate it: rig calibrate wheel"
    return Result(what, "pass" if turned > 0 else "fail", found)


def _exposed(control: ManualControl, console: Console, name: str) -> Result:
    console.print(f"start camera {name} within {_WAIT_S:g} s")
    began = control.exposures(name)
    if control.poll_until(lambda: control.exposures(name) > began, _WAIT_S):
        return Result(f"camera {name}", "pass", "exposures were counted")
    return Result(f"camera {name}", "fail", "no exposure was counted; check its plug and program")


def _event(
    control: ManualControl, console: Console, what: str, task: str, events: Sequence[object]
) -> Result:
    console.print(f"{task} within {_WAIT_S:g} s")
    before = len(events)
    if control.poll_until(lambda: len(events) > before, _WAIT_S):
        return Result(what, "pass", "seen")
    return Result(what, "fail", "nothing was seen; check the plug and the line's name")


def _answer(control: ManualControl, what: str, question: str) -> Result:
    yes = control.poll_during(lambda: typer.confirm(question))
    found = "confirmed by the operator" if yes else "denied by the operator"
    return Result(what, "pass" if yes else "fail", found)
