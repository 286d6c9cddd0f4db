"""The real window on an X server: the same image as in memory, and grey behind it if it dies."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from behavior.hardware import Hardware
from rig import virtual_session
from rig.messages import Ended, Flip, Position, Valve
from rig.process import completed
from rig.session.provenance import about
from rig.transport.log import LOG_FILE, read
from stimuli.scene.screen import RenderSetup, Scene
from stimuli.screens.screen_geometry import THREE_VIEWS, load_screens
from stimuli.textures.names import GREY
from stimuli.window.psychopy_screen import PsychopyScreen
from tests.analysis.logs import write_log
from tests.behavior.judging.refereed import EAGER, refereed
from tests.behavior.sessions import S
from tests.live import Live
from tests.stimuli.test_screen_pixels import CLEAR, LAPS, charts
from tests.stimuli.xserver import on_screen, xvfb

SIZE = (200, 150)
SHOW = """
import sys
import numpy as np
from tests.stimuli.test_xvfb import shown
screen = shown()
np.save(sys.argv[1], screen.read_pixels())
screen.flip()
print("shown", flush=True)
sys.stdin.readline()
screen.close()
print("closed", flush=True)
sys.stdin.readline()
"""


def shown() -> PsychopyScreen:
    """Open the real window at DISPLAY and show a corridor."""
    settings = {"size_px": SIZE, "position_px": (20, 10), "patch_px": 16}
    screen = PsychopyScreen(msgspec.convert(settings, PsychopyScreen.Settings))
    screen.open(RenderSetup(load_screens(THREE_VIEWS, {}), CLEAR, charts(), False))
    screen.draw(Scene(LAPS, 1.3, True))
    return screen


@pytest.fixture
def display(window: None, tmp_path: Path) -> Iterator[str]:
    if shutil.which("Xvfb") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Xvfb is missing: apt-get install xvfb")
        pytest.skip("Xvfb is missing: apt-get install xvfb")
    with xvfb(tmp_path, 640, 170) as name:
        yield name


def inside(folder: Path) -> NDArray[np.uint8]:
    """Return what is on the screen at the place of the window."""
    return on_screen(folder)[10:160, 20:620]


def test_the_window_on_a_server_shows_what_it_shows_in_memory(display: str, tmp_path: Path) -> None:
    in_memory = shown()
    wanted = in_memory.read_pixels()
    in_memory.close()
    process = subprocess.Popen(
        [sys.executable, "-c", SHOW, str(tmp_path / "picture.npy")],
        env={**os.environ, "DISPLAY": display},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "shown\n"
    picture = np.load(tmp_path / "picture.npy")
    assert np.abs(picture.astype(int) - wanted).mean() < 0.2
    assert (inside(tmp_path) == picture).all()
    assert not on_screen(tmp_path)[:, :20].any()  # the desktop
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "closed\n"
    assert (inside(tmp_path) == GREY).all()
    process.communicate("\n")
    assert (inside(tmp_path) == GREY).all()
    subprocess.run(
        [
            sys.executable,
            "-c",
            "from stimuli.window.grey_backdrop import remove; assert remove()",
        ],
        env={**os.environ, "DISPLAY": display},
        check=True,
    )
    assert (on_screen(tmp_path) == 0).mean() > 0.99  # all but the mouse pointer


def test_a_display_killed_in_mid_session_leaves_grey_and_a_shut_valve(
    display: str, tmp_path: Path
) -> None:
    screen = "nodes.display.screen={is='stimuli.window:PsychopyScreen', "
    screen += "size_px=[200, 150], position_px=[20, 10]}"
    sets = (screen, "task.grey_before_s=0.2", "task.minutes=2")
    with Live(tmp_path / "data", *sets, env={"DISPLAY": display}) as live:
        live.until(Position, phase="corridor", moving=True)
        while live.until(Flip)[1].position_m < 0.05:
            pass
        assert inside(tmp_path)[:100].std() > 10
        live.signal("stimuli.display", signal.SIGKILL)
        code, output = live.end()
        assert code == 1, output
        assert "display died: SIGKILL" in output
        assert (inside(tmp_path) == GREY).all()
        messages = [(e.sender, w) for e, w in read(live.folder / LOG_FILE)]
        (ended,) = (w for who, w in messages if who == "hardware" and isinstance(w, Ended))
        assert not ended.failed
        shut = max((w.t + w.open_ms * 1e6 for _, w in messages if isinstance(w, Valve)), default=0)
        assert shut < ended.t


def test_the_window_shows_a_recorded_session(display: str, tmp_path: Path) -> None:
    folder = recorded(tmp_path / "ses-20260304_1")
    screen = "nodes.display.screen={is='stimuli.window:PsychopyScreen', "
    screen += "size_px=[200, 150], position_px=[20, 10]}"
    replay = [sys.executable, "-c", "from rig.cli.main import main; main()", "replay"]
    process = subprocess.Popen(
        [*replay, str(folder), "--display", "--set", screen],
        env={**os.environ, "DISPLAY": display, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        text=True,
    )
    contrast, corridors = 0.0, set()
    while process.poll() is None:
        picture = inside(tmp_path)[:100]
        contrast = max(contrast, float(picture.std()))
        corridors.add(picture.tobytes())
        time.sleep(0.05)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert contrast > 10
    assert len(corridors) > 10  # it moved
    flips = int(output.partition("display: ")[2].split()[0])
    assert flips > 60


def recorded(folder: Path) -> Path:
    """Record two trials in virtual time, with a simulated screen."""
    folder.mkdir()
    chosen = refereed(3, EAGER, trials=2)
    screen = {"run": "stimuli.display", "screen": {"is": "stimuli.window:SimulatedScreen"}}
    nodes = {**chosen.nodes, "display": screen}
    chosen = completed(msgspec.structs.replace(chosen, nodes=nodes, about=about()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hardware, "period_s", 0.01)
        return write_log(folder, virtual_session.run(chosen, round(60 * S)))
