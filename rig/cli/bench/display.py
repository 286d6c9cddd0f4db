"""rig bench display: the cost of a frame, the jitter and age of frames, and how many are late."""

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

import rig
from rig.cli.bench.harness import percentiles, row, without_microscope
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.messages import Cue, CueOnset, Flip, Message
from rig.process import prioritise
from rig.session.launch import launch
from rig.settings.config import resolve
from rig.transport.log import LOG_FILE, read
from stimuli.display import Display
from stimuli.scene.corridor_geometry import CorridorGeometry, Lap
from stimuli.scene.flip_scheduler import FlipScheduler
from stimuli.scene.screen import RenderSetup, Scene
from stimuli.screens.screen_geometry import THREE_VIEWS, load_screens
from stimuli.window.display_requirements import missing
from stimuli.window.psychopy_reference import plane_walls
from stimuli.window.psychopy_screen import PsychopyScreen

_PORT = 5671
_FRAMES = 1000
_HZ = 60.0
_CORRIDOR = CorridorGeometry()
_LAPS = (Lap("0", 4.0, 2.0), Lap("1", 4.0, 2.0), Lap("2", 4.0, 2.0))
_FEW, _MANY = 7, 576
"""Numbers of textures."""
_SETS = (
    "task.texture_m=2.0",
    "task.grey_m=1.0",
    "task.cue_from_m=0.3",
    "task.cue_to_m=1.0",
    "task.grey_before_s=0.5",
    "task.grey_after_s=0.5",
)


def display(
    minutes: Annotated[
        float, typer.Option(min=0.1, help="Length of the session, in minutes.")
    ] = 1.0,
    seconds: Annotated[
        float, typer.Option(min=1.0, help="Length of each run with regular flips, in seconds.")
    ] = 20.0,
    realtime: Annotated[
        bool, typer.Option(help="Give the display of the session real-time priority.")
    ] = True,
) -> None:
    """Measure the corridor on three screens: drawing, flips, many textures, a whole session."""
    if (lack := missing()) is not None:
        raise Refused(lack)
    table = percentiles("rig bench display: three views of 400 x 300")
    messages = _run_session(minutes, realtime)
    for line in (*_cost_rows(), *_paced_rows(seconds), *_session_rows(messages)):
        table.add_row(*line)
    new_console().print(table)
    new_console().print(_describe_late(messages))


def _open_screen(count: int) -> PsychopyScreen:
    """Open the window with that many textures of the study's size."""
    one = np.random.default_rng(1).integers(0, 255, (256, 4096), np.uint8)
    textures = {str(n): np.roll(one, n, axis=1) for n in range(count)}
    screen = PsychopyScreen(PsychopyScreen.Settings())
    screen.open(RenderSetup(load_screens(THREE_VIEWS, {}), _CORRIDOR, textures, False))
    return screen


def _cost_rows() -> Iterator[tuple[str, ...]]:
    """Measure the CPU time of this thread, with rasterization off, as a graphics card does that."""
    screen = _open_screen(_FEW)
    gl: Any = screen._gl
    renderer: Any = screen._renderer
    planes = plane_walls(
        screen._window, screen.layout, tuple(THREE_VIEWS.values()), _CORRIDOR, _LAPS
    )
    try:
        gl.glEnable(gl.GL_RASTERIZER_DISCARD)
        drawn = _cpu_ms(lambda at: renderer.draw(Scene(_LAPS, at, at % 0.02 < 0.01)))
        yield row("draw calls of a frame, ms of CPU", drawn, "p50 under 0.1")
        reference = _cpu_ms(planes)
        yield row("the same walls as PlaneStim objects, ms of CPU", reference, "for comparison")
        gl.glDisable(gl.GL_RASTERIZER_DISCARD)
        gl.glFinish()
        flips = _cpu_ms(lambda _: screen.flip())
        yield row("flip, ms of CPU", flips, "p50 under 0.2")
    finally:
        screen.close()


def _cpu_ms(act: Callable[[float], None]) -> list[float]:
    act(0.0)
    stamps_ns = [time.thread_time_ns()]
    for frame in range(_FRAMES):
        act(frame % 400 / 100)
        stamps_ns.append(time.thread_time_ns())
    return [float(ns) / 1e6 for ns in np.diff(stamps_ns)]


def _paced_rows(seconds: float) -> Iterator[tuple[str, ...]]:
    late = {}
    for count in (_FEW, _MANY):
        intervals_ms = _paced_ms(count, seconds)
        late[count] = sum(ms > 1.5e3 / _HZ for ms in intervals_ms)
        label = f"{count} textures: flip to flip, ms (sd {np.std(intervals_ms):.3f})"
        yield row(label, intervals_ms, "sd under 0.5")
    few, many = late[_FEW], late[_MANY]
    wanted = f"no more than the {few} with {_FEW}"
    yield (f"late frames with {_MANY} textures", str(many), "", "", "", wanted)


def _paced_ms(count: int, seconds: float) -> list[float]:
    """Flip regularly with another texture in every frame; return the intervals in ms."""
    prioritise(True, Display.rank)  # as the display process
    screen, scheduler = _open_screen(count), FlipScheduler(_HZ, False)
    flips = []
    gc.collect()
    gc.disable()
    try:
        for frame in range(int(seconds * _HZ)):
            if scheduler.flip_due is not None:
                time.sleep(max(0, scheduler.draw_due() - time.monotonic_ns()) / 1e9)
            laps = (_LAPS[0], Lap(str(frame * 37 % count), 4.0, 2.0), _LAPS[2])
            began = time.monotonic_ns()
            screen.draw(Scene(laps, frame % 400 / 100, frame % 2 == 0))
            drawn = time.monotonic_ns()
            scheduler.record_drawing(drawn - began)
            screen.wait(scheduler.wait_ns(drawn))
            screen.flip()
            flips.append(time.monotonic_ns())
            scheduler.record_flip(flips[-1])
    finally:
        gc.enable()
        screen.close()
        prioritise(False)
    return [float(ns) / 1e6 for ns in np.diff(flips)]


def _run_session(minutes: float, realtime: bool) -> list[Message]:
    """Run the simulated rig with its window; return the flips and cues in its log.

    The simulated microscope is left out, because a real one has a computer of its own.
    """
    package = Path(rig.__file__).parent
    setup = package / "setups" / "simulated.toml"
    task = package.parent / "behavior" / "tasks" / "train1.toml"
    sets = [*_SETS, f"task.minutes={minutes}", f"rig.hub_port={_PORT}"]
    sets.append(f"nodes.display.realtime={str(realtime).lower()}")
    resolved = without_microscope(resolve(setup, task, "bench", 1, sets))
    with tempfile.TemporaryDirectory() as data:
        outcome = launch(resolved, Path(data), Console(quiet=True))
        if outcome.failed:
            raise Refused(f"the measured session failed: {outcome.reason}")
        messages = read(outcome.folder / LOG_FILE)
        return [message for _, message in messages if isinstance(message, Flip | Cue | CueOnset)]


def _session_rows(messages: list[Message]) -> Iterator[tuple[str, ...]]:
    """Return the rows on the flips and cues of a session."""
    flips = [message for message in messages if isinstance(message, Flip)]
    moving = [flip for flip in flips if flip.wheel_t]
    ages = [(flip.t - flip.wheel_t) / 1e6 for flip in moving]
    yield row("in a session: wheel to flip, ms", ages, f"p50 under {500 / _HZ:.1f}")
    read_ms = [(flip.draw_t - flip.wheel_t) / 1e6 for flip in moving]
    yield row("  of it: from the wheel to the start of drawing", read_ms, "")
    drawn_ms = [(flip.before_swap_t - flip.draw_t) / 1e6 for flip in moving]
    yield row("  drawing and waiting for the flip", drawn_ms, "")
    yield row("  the swap", [(flip.t - flip.before_swap_t) / 1e6 for flip in moving], "")
    intervals_ms = np.diff([flip.t for flip in flips]) / 1e6
    label = f"in a session: flip to flip, ms (sd {np.std(intervals_ms):.3f})"
    yield row(label, intervals_ms, "sd under 0.5")
    yield row("in a session: CPU of one frame (main thread), ms", [f.loop_ms for f in flips], "")
    late = _late(flips)
    ours = sum(flip.loop_ms > 1e3 / _HZ for flip in late)
    yield ("in a session: late frames", str(len(late)), "", "", str(len(flips)), "")
    yield ("of these, with more than a frame of CPU time", str(ours), "", "", "", "0")
    due = {message.trial: message.t for message in messages if isinstance(message, Cue)}
    onset_ms = [(m.t - due[m.trial]) / 1e6 for m in messages if isinstance(m, CueOnset)]
    yield row("in a session: cue to sound, 9 ms of it in the device", onset_ms, "")


def _late(flips: list[Flip]) -> list[Flip]:
    return [flip for flip in flips if flip.late]


def _describe_late(messages: list[Message]) -> str:
    """Return a line for each late frame: when, how late, and where the time went."""
    flips = [message for message in messages if isinstance(message, Flip)]
    before = {flip.number + 1: flip.t for flip in flips}
    lines = [
        f"{flip.t / 1e9:.1f} s: {(flip.t - before[flip.number]) / 1e6:.0f} ms after the flip "
        f"before, {(flip.before_swap_t - flip.draw_t) / 1e6:.0f} ms of it drawing and waiting, "
        f"{flip.loop_ms:.1f} ms of CPU"
        for flip in _late(flips)
    ]
    return "\n".join(["late frames of the session:", *(lines or ["none"])])
