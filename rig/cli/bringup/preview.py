"""rig preview: show what a task shows, without a session."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import typer

import rig
from behavior.trials.task_settings import Block, TaskSettings
from rig.cli.numbers import number
from rig.cli.sessions.run import Sets
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.process import make
from rig.session.locks import RigLock
from rig.settings.config import IMAGES_FOLDER, ResolvedSession, convert, resolve
from rig.settings.setting_errors import blamed_on
from stimuli.display import Display, plane_textures
from stimuli.scene.corridor_geometry import Lap
from stimuli.scene.open_loop import Bar, Bars, FieldOfView, Image, field_of_view
from stimuli.scene.screen import RenderSetup, Scene
from stimuli.scene.task_stimuli import BARS, task_stimuli
from stimuli.screens.screen_geometry import PhysicalScreen, load_screens
from stimuli.screens.screen_overlap import check_overlap
from stimuli.textures.cache import load_textures
from stimuli.textures.image_files import write_sheet
from stimuli.textures.photographs import load_images
from stimuli.window.display_requirements import headless
from stimuli.window.psychopy_screen import PsychopyScreen

_SETUP = Path(rig.__file__).parent / "setups" / "simulated.toml"
_MAX_ROWS = 20
"""Largest number of stimuli in one PNG; a task may have hundreds of images."""
_RUNNING_CM_S = 30.0
"""Speed of the mouse in a corridor with a gain, cm/s."""
_FRAME_NS = 1_000_000_000 // 60
_LEVELS = np.linspace(0, 1, 9)
_ORDINARY_MONITOR = np.column_stack([_LEVELS, _LEVELS**2.2])
"""Photometer readings of a monitor with a gamma of 2.2, relative to its white."""


class _View(NamedTuple):
    """One stimulus in the preview."""

    caption: str
    scene: Scene
    cm_s: float
    """Speed of the corridor, cm/s; 0 for a stimulus that does not move."""


def preview(
    task: Annotated[Path, typer.Argument(metavar="TASK", help="The task (TOML).")],
    setup: Annotated[
        Path, typer.Option(metavar="FILE", help="The setup with the screens.", show_default=False)
    ] = _SETUP,
    png: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="PNG to write; default: TASK_preview.png."),
    ] = None,
    at: Annotated[
        float, typer.Option(parser=number(0.0), help="Position in each corridor, metres.")
    ] = 1.0,
    seconds: Annotated[
        float,
        typer.Option(parser=number(0.0), help="Time of each stimulus in a window, seconds."),
    ] = 5.0,
    sets: Sets = None,
) -> None:
    """Show every stimulus of a task: in a PNG and, where there is a screen, in a window.

    Without --setup the screens are those of the simulated rig.

    Brightness is as on an ordinary monitor, without calibrations and colour masks.
    """
    console = new_console()
    with blamed_on(sets or []):
        resolved = resolve(setup, task, "preview", 0, sets or [])
        blocks = _blocks(resolved)
    if "display" not in resolved.session.nodes:
        raise Refused(f"{setup} has no [nodes.display] and so no screens; name another setup")
    render, screen = _prepare(resolved)
    views = _views(blocks, field_of_view(render.screens), at)
    with ExitStack() as stack:
        if not headless():
            stack.enter_context(RigLock(resolved.session, "rig preview"))
        stack.callback(screen.close)
        screen.open(render)
        text = _write(screen, views, png or Path(f"{task.stem}_preview.png"))
        console.print(text, soft_wrap=True)
        if headless():
            console.print("no window is shown, because DISPLAY is not set")
        else:
            for view in views:
                _show(screen, view, seconds)


def _write(screen: PsychopyScreen, views: list[_View], path: Path) -> str:
    """Write the stimuli to an image file; return a sentence that names the file."""
    rows = {}
    for view in views[:_MAX_ROWS]:
        screen.draw(view.scene)
        rows[view.caption] = screen.read_pixels()
    write_sheet(rows, path)
    left_out = f", the first {len(rows)} of {len(views)} stimuli" * (len(views) > len(rows))
    return f"saved to {path}{left_out}"


def _blocks(resolved: ResolvedSession) -> list[Block]:
    """Return the blocks of the task with all settings. Raises Refused if one is not valid."""
    settings = make(resolved.session, "task", lambda _: None).settings
    assert isinstance(settings, TaskSettings)
    return settings.in_blocks()


def _prepare(resolved: ResolvedSession) -> tuple[RenderSetup, PsychopyScreen]:
    """Load the screens and stimuli of a session, for a window without patch and calibration."""
    table = _with_original_files(resolved.session.nodes["display"], resolved.files)
    node = Display(convert(table, Display.Settings, "[nodes.display]"), lambda _: None)
    settings = node.settings
    screens = tuple(map(_uncalibrated, load_screens(settings.views, settings.warps)))
    check_overlap(screens)
    stimuli = task_stimuli(_with_original_files(resolved.session.task, resolved.files))
    names = [*stimuli.walls, *plane_textures(settings.corridor)]
    textures = load_textures(names, stimuli.photographs)
    images = load_images(stimuli.images, field_of_view(screens).width_over_height)
    render = RenderSetup(screens, settings.corridor, textures, False, images)
    left_out = ("is", "patch_at_px", *(["full_screen"] if headless() else []))
    window = {key: value for key, value in settings.screen.items() if key not in left_out}
    window["patch_px"] = 0
    where = "[nodes.display.screen]"
    return render, PsychopyScreen(convert(window, PsychopyScreen.Settings, where))


def _uncalibrated(screen: PhysicalScreen) -> PhysicalScreen:
    settings = msgspec.structs.replace(screen.settings, colour=(1.0, 1.0, 1.0), gamma_file="")
    return msgspec.structs.replace(screen, settings=settings, readings=_ORDINARY_MONITOR)


def _with_original_files(table: Any, files: dict[str, Path]) -> Any:
    """Return a table of a resolved session with the original paths of its files."""
    if isinstance(table, list):
        return [_with_original_files(value, files) for value in table]
    if not isinstance(table, dict):
        return str(files[table]) if isinstance(table, str) and table in files else table
    original = {key: _with_original_files(value, files) for key, value in table.items()}
    if table.get(IMAGES_FOLDER) and table.get("images_files"):
        first = f"{table[IMAGES_FOLDER]}/{table['images_files'][0]}"
        original[IMAGES_FOLDER] = str(files[first].parent)
    return original


def _views(blocks: list[Block], field: FieldOfView, at_m: float) -> list[_View]:
    """Return each stimulus of the task once. Raises Refused if a corridor is shorter than at_m."""
    views: dict[tuple[str, str], _View] = {}
    for block in blocks:
        for name, following in zip(block.names, [*block.names[1:], *block.names[:1]], strict=True):
            if (block.picture, name) in views:
                continue
            if block.is_corridor:
                view = _corridor(block, name, following, at_m)
            else:
                view = _View(name, Scene(None, 0.0, False, _open_loop(block, name, field)), 0.0)
            views[block.picture, name] = view
    return list(views.values())


def _corridor(block: Block, name: str, following: str, at_m: float) -> _View:
    if at_m >= block.lap_m:
        raise Refused(
            f"--at {at_m:g}: the corridor of {name} is {block.lap_m:g} m long; choose a smaller "
            "position"
        )
    laps = [Lap(stimulus, block.texture_m, block.grey_m) for stimulus in (None, name, following)]
    cm_s = _RUNNING_CM_S * block.gain if block.motion == "gain" else block.corridor_cm_s
    scene = Scene((laps[0], laps[1], laps[2]), at_m, False)
    return _View(f"{name}, {at_m:g} m into the corridor", scene, cm_s)


def _open_loop(block: Block, name: str, field: FieldOfView) -> Image | Bar | None:
    """Return an image, or a bar in the middle of its path; None for grey."""
    if block.picture == "image":
        return Image(name)
    if block.picture != "bar":
        return None
    upright = name in (BARS[0], BARS[2])
    edges = (field.left, field.right) if upright else (field.low, field.high)
    bars = Bars()
    return Bar(upright, sum(edges) / 2, bars.width_deg, bars.checks_deg, False)


def _show(screen: PsychopyScreen, view: _View, seconds: float) -> None:
    """Show a stimulus in the window; the mouse runs through a corridor repeatedly."""
    began = time.monotonic()
    while (passed_s := time.monotonic() - began) < seconds:
        scene = view.scene
        if scene.laps is not None:
            position_m = passed_s * view.cm_s / 100 % scene.laps[1].length_m
            scene = msgspec.structs.replace(scene, position_m=position_m)
        screen.draw(scene)
        screen.wait(_FRAME_NS)
        screen.flip()
