"""A whole imaging session on a shipped setup, with a simulated board, animal and microscope."""

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

from rig.cli.sessions.end_summary import SUMMARY_FILE
from rig.messages import CellSignals, Edge, Frame, Integrity, Lick, Message, TrialEnd, Valve
from rig.transport.log import LOG_FILE, read
from tests.behavior.devices.surroundings import Surroundings, Wires
from tests.behavior.sessions import check_trials, of
from tests.live import NO_SCREEN, PACKAGE, Live

ROOT = PACKAGE.parent
MICROSCOPE = """
[nodes.mesoscope]
run = "acquisition.mesoscope"
cells_file = "simulated_cells.csv"
starts_on = "imaging"
"""
SHORT = (
    "task.texture_m=1.5",
    "task.grey_m=0.5",
    "task.cue_from_m=0.1",
    "task.cue_to_m=0.4",
    "task.corridor_cm_s=200.0",
    "task.grey_before_s=0.5",
    "task.grey_after_s=0.5",
)
SIMULATED = (
    NO_SCREEN,
    "nodes.display.paced=software",
    "nodes.display.sound={is='stimuli.sound:SimulatedSpeaker'}",
    "rig.imaging_folder=imaging",
    "nodes.task.imaging.silent_periods=9.0",
    # edges and light come from a thread of the test, which waits for a core
    "nodes.integrity.late_ms=300.0",
    "nodes.integrity.drift_ms=100.0",
    f"nodes.hardware.valve.centre.calibrated='{date.today()}'",
    f"nodes.hardware.wheel.calibrated='{date.today()}'",
)
LATE = {
    "photodiode astray",
    "photodiode drifts",
    "picture stale",
    "edge late",
    "edge early",
    "wheel jumped",
}
"""What integrity may find if the thread of the test that moves the lines waits for a core."""


def run_imaging_session(
    folder: Path, name: str, wires: Wires, board: tuple[str, ...], trials: int
) -> Path:
    """Run a session on a shipped setup to its end; return its folder.

    `board` are the settings by which the simulated board is found.
    """
    setup = folder / f"{name}.toml"
    shipped = (PACKAGE / "setups" / f"{name}.toml").read_text()
    find = "find = { after_s = 180.0 }"
    assert find in shipped
    cells = 'cells_file = "simulated_cells.csv"'
    setup.write_text(shipped.replace(find, cells) + MICROSCOPE)
    shutil.copy(PACKAGE / "setups" / "simulated_cells.csv", folder)
    sets = (*SHORT, *SIMULATED, *board)
    args = ("--trials", str(trials), "--seed", "5", "--override", "a simulated board")
    with Live(folder / "data", *sets, setup=setup, args=args) as session:
        with Surroundings(wires, session.port):
            code, output = session.end()
        assert code == 0, output
        return session.folder


def messages(folder: Path) -> list[Message]:
    """Return the messages of a session."""
    return [message for _, message in read(folder / LOG_FILE)]


def summary(folder: Path) -> dict[str, Any]:
    """Return the summary of a session."""
    found: dict[str, Any] = json.loads((folder / SUMMARY_FILE).read_text())
    return found


def check_whole_imaging_session(folder: Path, trials: int) -> None:
    """Assert that behavior, microscope, frame clock, photodiode and analysis all worked."""
    published = messages(folder)
    check_trials(published)
    assert [end.outcome for end in of(TrialEnd, published)] == ["done"] * trials
    assert of(Lick, published)
    drops = [valve for valve in of(Valve, published) if not valve.refused]
    assert drops
    edges = [edge for edge in of(Edge, published) if edge.up]
    clock = [edge for edge in edges if edge.line == "frame_clock"]
    (start,) = [edge for edge in edges if edge.line == "imaging"]
    assert [edge.line for edge in edges].count("trial_sync") == trials
    assert len([edge for edge in edges if edge.line == "photodiode"]) > 10 * trials
    assert clock[0].t > start.t
    frames = of(Frame, published)
    assert len(frames) > trials
    assert abs(len(clock) - len(frames)) <= 2, "the last frames may be cut by the stop"
    findings = {name for found in of(Integrity, published) for name in found.findings}
    assert findings <= LATE, findings
    assert sum(found.edge for found in of(Integrity, published)) >= len(frames) - 2
    assert len(of(CellSignals, published)) >= len(frames) - 10
