"""The steps of a walk through a rig's devices, each with what the person at the rig is to do."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np
import typer
from rich.console import Console

from behavior.manual.manual_control import ManualControl

_PATIENCE_S = 20.0
_CLICK_MS = 30.0
_TURNED = 20
"""So many counts are a turn by hand."""
_LOOPS = 50
_LOOP_LATE_MS = 5.0
_LOOP_EARLY_MS = 1.0
"""When a pulse began may be known to the middle of a call only; its edge to some microseconds."""


class Result(msgspec.Struct, frozen=True):
    """What one step found."""

    what: str
    verdict: Literal["pass", "fail", "skipped"]
    found: str


def walk(control: ManualControl, console: Console) -> Iterator[Result]:
    """Yield each step's result; the person acts, looks, listens and answers."""
    forward, right = control.forward_signs()
    yield _turned(control, console, "wheel", "FORWARD", lambda: forward * control.counts())
    if control.side_counts() is not None:

        def to_the_right() -> float:
            return right * (control.side_counts() or 0)

        yield _turned(control, console, "ball", "to the RIGHT", to_the_right)
    for name in control.licks:
        onsets = control.licks[name]
        yield _seen(control, console, f"lick {name}", f"touch spout {name}", onsets)
    for name in control.valves:
        console.print(f"valve {name} opens three times for {_CLICK_MS:g} ms: listen, and look")
        for _ in control.pulses(name, _CLICK_MS, 3):
            pass
        yield _answer(control, f"valve {name}", "Did it click, and did drops come?")
    for name in control.edges:
        todo = f"make line {name} change (start the microscope for frame_clock)"
        yield _seen(control, console, f"line {name}", todo, control.edges[name])
    for name in control.cameras:
        yield _filming(control, console, name)
    for name in control.outputs:
        control.set_output(name, True)
        yield _answer(control, f"output {name}", "It is up now: is it, at the other end?")
        control.set_output(name, False)


def loop_back(control: ManualControl) -> Iterator[Result]:
    """Yield, for each spout whose valve line is wired to its lick line, whether all pulses came."""
    for name in control.valves:
        if name not in control.licks:
            yield Result(f"loop {name}", "skipped", "there is no lick line of that name")
            continue
        onsets = control.licks[name]
        control.poll_for(0.1)
        onsets.clear()
        opened = list(control.pulses(name, 10.0, _LOOPS))
        control.poll_for(0.1)
        if len(onsets) != len(opened):
            found = f"{len(opened)} pulses, and {len(onsets)} came back; look at the wire"
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
    console.print(f"turn the {what} {way} by hand, within {_PATIENCE_S:g} s")
    began = counts()
    if not control.poll_until(lambda: abs(counts() - began) > _TURNED, _PATIENCE_S):
        return Result(what, "fail", "it did not move; look at the encoder's plug")
    turned = counts() - began
    found = f"{turned:+.0f} counts"
    found += "" if turned > 0 else ": backwards; calibrate it: rig calibrate wheel"
    return Result(what, "pass" if turned > 0 else "fail", found)


def _filming(control: ManualControl, console: Console, name: str) -> Result:
    console.print(f"start camera {name}, within {_PATIENCE_S:g} s")
    began = control.exposures(name)
    if control.poll_until(lambda: control.exposures(name) > began, _PATIENCE_S):
        return Result(f"camera {name}", "pass", "it exposes")
    return Result(f"camera {name}", "fail", "no exposure came; look at its plug and its program")


def _seen(
    control: ManualControl, console: Console, what: str, todo: str, events: Sequence[object]
) -> Result:
    console.print(f"{todo}, within {_PATIENCE_S:g} s")
    before = len(events)
    if control.poll_until(lambda: len(events) > before, _PATIENCE_S):
        return Result(what, "pass", "seen")
    return Result(what, "fail", "nothing came; look at the plug and at the line's name")


def _answer(control: ManualControl, what: str, question: str) -> Result:
    yes = control.poll_during(lambda: typer.confirm(question))
    return Result(what, "pass" if yes else "fail", "seen by the person at the rig" if yes else "no")
