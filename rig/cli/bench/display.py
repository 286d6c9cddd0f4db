"""rig bench display: what a frame costs, how evenly and how freshly it is shown, what is late."""

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
from rig.errors import Refused
from rig.messages import Cue, CueOnset, Flip, Message
from rig.process import prioritise
from rig.session.launch import launch
from rig.settings.config import resolve
from rig.transport.log import LOG_FILE, read
from stimuli.display import Display
from stimuli.scene.corridor_geometry import CorridorGeometry, Lap
from stimuli.scene.flip_scheduler import FlipScheduler
from stimuli.scene.screen import Scene, Stage
from stimuli.screens.screen_geometry import THREE_VIEWS, panes
from stimuli.window.display_requirements import missing
from stimuli.window.psychopy_reference import plane_walls
from stimuli.window.psychopy_screen import PsychopyScreen

_PORT = 5671
_FRAMES = 1000
_HZ = 60.0
_CORRIDOR = CorridorGeometry()
_LAPS = (Lap("0", 4.0, 2.0), Lap("1", 4.0, 2.0), Lap("2", 4.0, 2.0))
_FEW, _MANY = 7, 576
_SETS = (
    "task.texture_m=2.0",
    "task.grey_m=1.0",
    "task.cue_from_m=0.3",
    "task.cue_to_m=1.0",
    "task.grey_before_s=0.5",
    "task.grey_after_s=0.5",
)


def display(
    minutes: Annotated[float, typer.Option(min=0.1, help="Length of the session.")] = 1.0,
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of each paced run.")] = 20.0,
    realtime: Annotated[
        bool, typer.Option(help="In the session, put the display before all ordinary processes.")
    ] = True,
) -> None:
    """Measure the corridor on three screens: drawing, flips, pictures kept, a whole session."""
    if (lack := missing()) is not None:
        raise Refused(lack)
    table = percentiles("rig bench display: three views of 400 x 300")
    messages = _session_words(minutes, realtime)
    for line in (*_cost_rows(), *_paced_rows(seconds), *_session_rows(messages)):
        table.add_row(*line)
    Console().print(table)
    Console().print(_told(messages))


def _opened(pictures: int) -> PsychopyScreen:
    """Open the window with so many pictures of the study's size."""
    one = np.random.default_rng(1).integers(0, 255, (256, 4096), np.uint8)
    kept = {str(n): np.roll(one, n, axis=1) for n in range(pictures)}
    screen = PsychopyScreen(PsychopyScreen.Settings())
    screen.open(Stage(panes(THREE_VIEWS, {}), _CORRIDOR, kept, False))
    return screen


def _cost_rows() -> Iterator[tuple[str, ...]]:
    """Measure this thread's CPU time; the rasterizer is off, so that a slow one does not count."""
    screen = _opened(_FEW)
    gl: Any = screen._gl
    painter: Any = screen._painter
    planes = plane_walls(
        screen._window, screen.layout, tuple(THREE_VIEWS.values()), _CORRIDOR, _LAPS
    )
    try:
        gl.glEnable(gl.GL_RASTERIZER_DISCARD)
        drawn = _cpu_ms(lambda at: painter.draw(Scene(_LAPS, at, at % 0.02 < 0.01)))
        yield row("draw calls of a frame, ms of CPU", drawn, "p50 under 0.1")
        theirs = _cpu_ms(planes)
        yield row("the same walls as PlaneStim objects, ms of CPU", theirs, "for comparison")
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
    for pictures in (_FEW, _MANY):
        intervals_ms = _paced_ms(pictures, seconds)
        late[pictures] = sum(ms > 1.5e3 / _HZ for ms in intervals_ms)
        what = f"{pictures} pictures kept: from flip to flip, ms (sd {np.std(intervals_ms):.3f})"
        yield row(what, intervals_ms, "sd under 0.5")
    few, many = late[_FEW], late[_MANY]
    wanted = f"no more than the {few} with {_FEW}"
    yield (f"late frames with {_MANY} pictures", str(many), "", "", "", wanted)


def _paced_ms(pictures: int, seconds: float) -> list[float]:
    """Draw and flip at an even pace, another picture on every lap; return the intervals."""
    prioritise(True, Display.rank)  # as the display's own process
    screen, pace = _opened(pictures), FlipScheduler(_HZ, False)
    flips = []
    gc.collect()
    gc.disable()
    try:
        for frame in range(int(seconds * _HZ)):
            if pace.flip_due is not None:
                time.sleep(max(0, pace.draw_due() - time.monotonic_ns()) / 1e9)
            laps = (_LAPS[0], Lap(str(frame * 37 % pictures), 4.0, 2.0), _LAPS[2])
            began = time.monotonic_ns()
            screen.draw(Scene(laps, frame % 400 / 100, frame % 2 == 0))
            drawn = time.monotonic_ns()
            pace.drawn(drawn - began)
            screen.wait(pace.wait_ns(drawn))
            screen.flip()
            flips.append(time.monotonic_ns())
            pace.flipped(flips[-1])
    finally:
        gc.enable()
        screen.close()
        prioritise(False)
    return [float(ns) / 1e6 for ns in np.diff(flips)]


def _session_words(minutes: float, realtime: bool) -> list[Message]:
    """Run the simulated rig with its window; return what its log says of pictures and cues.

    Without the microscope: where there is a real one, another machine is busy with it.
    """
    package = Path(rig.__file__).parent
    setup = package / "setups" / "simulated.toml"
    task = package.parent / "behavior" / "tasks" / "train1.toml"
    sets = [*_SETS, f"task.minutes={minutes}", f"rig.hub_port={_PORT}"]
    sets.append(f"nodes.display.realtime={str(realtime).lower()}")
    answers = without_microscope(resolve(setup, task, "bench", 1, sets))
    with tempfile.TemporaryDirectory() as data:
        outcome = launch(answers, Path(data), Console(quiet=True))
        if outcome.failed:
            raise Refused(f"the measured session failed: {outcome.reason}")
        messages = read(outcome.folder / LOG_FILE)
        return [message for _, message in messages if isinstance(message, Flip | Cue | CueOnset)]


def _session_rows(messages: list[Message]) -> Iterator[tuple[str, ...]]:
    """Read flips and cues of a session off its log."""
    flips = [message for message in messages if isinstance(message, Flip)]
    run = [flip for flip in flips if flip.wheel_t]
    ages = [(flip.t - flip.wheel_t) / 1e6 for flip in run]
    yield row("in a session: wheel to flip, ms", ages, f"p50 under {500 / _HZ:.1f}")
    read_ms = [(flip.draw_t - flip.wheel_t) / 1e6 for flip in run]
    yield row("  of it: wheel to the position taken over", read_ms, "")
    drawn_ms = [(flip.before_swap_t - flip.draw_t) / 1e6 for flip in run]
    yield row("  drawing, and waiting for the moment", drawn_ms, "")
    yield row("  the swap", [(flip.t - flip.before_swap_t) / 1e6 for flip in run], "")
    intervals_ms = np.diff([flip.t for flip in flips]) / 1e6
    what = f"in a session: from flip to flip, ms (sd {np.std(intervals_ms):.3f})"
    yield row(what, intervals_ms, "sd under 0.5")
    yield row("in a session: drawing and our own loop, ms of CPU", [f.loop_ms for f in flips], "")
    late = _late(flips)
    ours = sum(flip.loop_ms > 1e3 / _HZ for flip in late)
    yield ("in a session: late frames", str(len(late)), "", "", str(len(flips)), "")
    yield ("of these, over a frame of our own CPU time", str(ours), "", "", "", "0")
    due = {message.trial: message.t for message in messages if isinstance(message, Cue)}
    heard_ms = [(w.t - due[w.trial]) / 1e6 for w in messages if isinstance(w, CueOnset)]
    yield row("in a session: cue to its sound, 9 ms of it in the device", heard_ms, "")


def _late(flips: list[Flip]) -> list[Flip]:
    return [flip for flip in flips if flip.late]


def _told(messages: list[Message]) -> str:
    """Return each late frame of a session in words: when, how late, and where the time went."""
    flips = [message for message in messages if isinstance(message, Flip)]
    before = {flip.number + 1: flip.t for flip in flips}
    told = [
        f"{flip.t / 1e9:.1f} s: {(flip.t - before[flip.number]) / 1e6:.0f} ms after the last, "
        f"{(flip.before_swap_t - flip.draw_t) / 1e6:.0f} of it drawing, {flip.loop_ms:.1f} of CPU"
        for flip in _late(flips)
    ]
    return "\n".join(["late frames of the session:", *(told or ["none"])])
