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
from rig.cli.bench.harness import Json, Row, count, row, show, without_microscope
from rig.cli.numbers import number
from rig.errors import Refused
from rig.messages import Cue, CueOnset, Flip, Message
from rig.priority import prioritise
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
"""Small and large number of textures for the comparison."""
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
        float, typer.Option(parser=number(0.1), help="Length of the session, minutes.")
    ] = 1.0,
    seconds: Annotated[
        float, typer.Option(parser=number(1.0), help="Length of each run of regular flips, s.")
    ] = 20.0,
    no_realtime: Annotated[
        bool,
        typer.Option("--no-realtime", help="Run the display without real-time priority."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure drawing, flips and late frames on three screens."""
    if (lack := missing()) is not None:
        raise Refused(lack)
    messages = _run_session(minutes, not no_realtime)
    rows = [*_cost_rows(), *_paced_rows(seconds), *_session_rows(messages)]
    show("rig bench display: three views of 400 x 300", rows, as_json, _describe_late(messages))


def _open_screen(number_of_textures: int) -> PsychopyScreen:
    """Open the window with a number of textures of the study's size."""
    one = np.random.default_rng(1).integers(0, 255, (256, 4096), np.uint8)
    textures = {str(n): np.roll(one, n, axis=1) for n in range(number_of_textures)}
    screen = PsychopyScreen(PsychopyScreen.Settings())
    screen.open(RenderSetup(load_screens(THREE_VIEWS, {}), _CORRIDOR, textures, False))
    return screen


def _cost_rows() -> Iterator[Row]:
    """Measure the CPU time of this thread, without rasterization, as with a graphics card."""
    screen = _open_screen(_FEW)
    gl: Any = screen._gl
    renderer: Any = screen._renderer
    planes = plane_walls(
        screen._window, screen.layout, tuple(THREE_VIEWS.values()), _CORRIDOR, _LAPS
    )
    try:
        gl.glEnable(gl.GL_RASTERIZER_DISCARD)
        drawn = _cpu_ms(lambda at: renderer.draw(Scene(_LAPS, at, at % 0.02 < 0.01)))
        yield row("draw calls of a frame", drawn, "ms of CPU", under={"p50": 0.1})
        reference = _cpu_ms(planes)
        yield row("the same walls as PlaneStim objects", reference, "ms of CPU")
        gl.glDisable(gl.GL_RASTERIZER_DISCARD)
        gl.glFinish()
        flips = _cpu_ms(lambda _: screen.flip())
        yield row("flip", flips, "ms of CPU", under={"p50": 0.2})
    finally:
        screen.close()


def _cpu_ms(act: Callable[[float], None]) -> list[float]:
    act(0.0)
    stamps_ns = [time.thread_time_ns()]
    for frame in range(_FRAMES):
        act(frame % 400 / 100)
        stamps_ns.append(time.thread_time_ns())
    return [float(ns) / 1e6 for ns in np.diff(stamps_ns)]


def _paced_rows(seconds: float) -> Iterator[Row]:
    late = {}
    for textures in (_FEW, _MANY):
        intervals_ms = _paced_ms(textures, seconds)
        late[textures] = sum(ms > 1.5e3 / _HZ for ms in intervals_ms)
        yield row(f"{textures} textures: flip to flip", intervals_ms, under={"sd": 0.5})
    few, many = late[_FEW], late[_MANY]
    yield count(f"{_MANY} textures: late frames", many, most=few, note=f"{few} with {_FEW}")


def _paced_ms(textures: int, seconds: float) -> list[float]:
    """Flip regularly, with another texture in every frame; return the intervals, ms."""
    prioritise(True, Display.rank)  # the priority of the display process
    screen, scheduler = _open_screen(textures), FlipScheduler(_HZ, False)
    flips = []
    gc.collect()
    gc.disable()
    try:
        for frame in range(int(seconds * _HZ)):
            if scheduler.flip_due is not None:
                time.sleep(max(0, scheduler.draw_due() - time.monotonic_ns()) / 1e9)
            laps = (_LAPS[0], Lap(str(frame * 37 % textures), 4.0, 2.0), _LAPS[2])
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

    The simulated microscope is left out, because a real microscope has its own computer.
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


def _session_rows(messages: list[Message]) -> Iterator[Row]:
    """Return the rows on the flips and cues of a session."""
    flips = [message for message in messages if isinstance(message, Flip)]
    moving = [flip for flip in flips if flip.wheel_t]
    ages = [(flip.t - flip.wheel_t) / 1e6 for flip in moving]
    yield row("session: wheel to flip", ages, under={"p50": round(500 / _HZ, 1)})
    read_ms = [(flip.draw_t - flip.wheel_t) / 1e6 for flip in moving]
    yield row("  wheel to the start of drawing", read_ms)
    drawn_ms = [(flip.before_swap_t - flip.draw_t) / 1e6 for flip in moving]
    yield row("  drawing and waiting", drawn_ms)
    yield row("  the swap", [(flip.t - flip.before_swap_t) / 1e6 for flip in moving])
    intervals_ms = np.diff([flip.t for flip in flips]) / 1e6
    yield row("session: flip to flip", intervals_ms, under={"sd": 0.5})
    yield row("session: main thread per frame", [flip.loop_ms for flip in flips], "ms of CPU")
    late = _late(flips)
    ours = sum(flip.loop_ms > 1e3 / _HZ for flip in late)
    yield count("session: late frames", len(late), n=len(flips))
    yield count("  with over a frame of CPU time", ours, most=0)
    due = {message.trial: message.t for message in messages if isinstance(message, Cue)}
    onset_ms = [(m.t - due[m.trial]) / 1e6 for m in messages if isinstance(m, CueOnset)]
    yield row("session: cue to sound", onset_ms, note="9 ms of it in the device")


def _late(flips: list[Flip]) -> list[Flip]:
    return [flip for flip in flips if flip.late]


def _describe_late(messages: list[Message]) -> list[str]:
    """Return a sentence for each late frame: its time, its delay, and what took the time."""
    flips = [message for message in messages if isinstance(message, Flip)]
    before = {flip.number + 1: flip.t for flip in flips}
    return [
        f"late at {flip.t / 1e9:.1f} s: {(flip.t - before[flip.number]) / 1e6:.0f} ms after the "
        f"last, {(flip.before_swap_t - flip.draw_t) / 1e6:.0f} ms of it drawing and waiting, "
        f"{flip.loop_ms:.1f} ms of CPU"
        for flip in _late(flips)
    ]
