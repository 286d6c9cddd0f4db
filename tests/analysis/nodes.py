"""An online node with three cells, opened, and frames for it."""

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from analysis.online import Online
from rig.messages import Frame, Message, Start

SHAPE = (9, 12)
PAIR = ["leaf1", "circle1"]
SIGNALS = {"contrasts": [PAIR], "reference": PAIR, "rewarded": "leaf1"}
START = Start(0, {"task": {"signals": SIGNALS}})
CELLS = "cell,y_px,x_px,radius_px,area\n0,2,2,1,8\n1,5,6,2,3\n2,6,10,1.5,-1\n"


def online(cells: Path, **table: object) -> tuple[Online, list[Message]]:
    """Return a node and the list of its messages. Its pages are too small to register."""
    messages: list[Message] = []
    settings = {"cells_file": str(cells), "motion": {"method": "none"}, **table}
    node = Online(msgspec.convert(settings, Online.Settings), messages.append)
    node.open()
    node.handle(START)
    return node, messages


def frame(t: int, index: int, pixels: NDArray[np.int16] | None) -> Frame:
    height, width = SHAPE if pixels is None else pixels.shape
    return Frame(t, index, "imaging/a.tif", 0, height, width, t / 1e9, pixels=pixels)


def handle_all(node: Online, messages: list[Message]) -> None:
    for message in messages:
        node.handle(message)
