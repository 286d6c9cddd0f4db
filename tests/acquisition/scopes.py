"""A simulated microscope without its process, for the tests of this room."""

from pathlib import Path
from typing import Any

import msgspec
import tifffile

from acquisition.mesoscope import Mesoscope
from rig.clock import SetClock
from rig.messages import Message, Position, Start, TrialStart

SHIPPED = Path(__file__).parents[2] / "rig" / "setups" / "simulated_cells.csv"
FRAME_NS = 333_333_333


def settings(**table: Any) -> Mesoscope.Settings:
    return msgspec.convert({"cells_file": "cells.csv", **table}, Mesoscope.Settings)


def start(seed: int = 1, **more: Any) -> Start:
    return Start(0, {"seed": seed, "ring": None, **more})


def trial(stimulus: str, number: int = 0) -> TrialStart:
    return TrialStart(0, number, stimulus, None, False, 4.0, 2.0, None, "none", 0.0)


def at(position_m: float, moving: bool = True, number: int = 0, t: int = 0) -> Position:
    return Position(t, number, position_m, 60.0, moving, "corridor")


def begun(published: list[Message], **table: Any) -> Mesoscope:
    node = Mesoscope(settings(**table), published.append)
    node.clock = SetClock()
    node.open()
    return node


def only_tiff() -> Path:
    (path,) = Path("imaging").glob("*.tif")
    return path


def recorded(messages: list[Message], frames: int = 30, seed: int = 1, **table: Any) -> Any:
    """Return the frames of a microscope that has handled these messages."""
    node = begun([], **table)
    for message in [start(seed), *messages]:
        node.handle(message)  # type: ignore[arg-type]
    for i in range(frames):
        node.tick(i * FRAME_NS)
    node.close()
    path = sorted(Path("imaging").glob("*.tif"))[-1]
    return tifffile.imread(path)
