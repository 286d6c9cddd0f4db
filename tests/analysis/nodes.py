"""An online node of three cells, opened, and the frames it is told."""

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from analysis.online import Online
from rig.messages import Frame, Message

SHAPE = (9, 12)
CELLS = "cell,y_px,x_px,radius_px,area\n0,2,2,1,8\n1,5,6,2,3\n2,6,10,1.5,-1\n"


def online(cells: Path, **table: object) -> tuple[Online, list[Message]]:
    said: list[Message] = []
    node = Online(
        msgspec.convert({"cells_file": str(cells), **table}, Online.Settings), said.append
    )
    node.open()
    return node, said


def frame(t: int, index: int, pixels: NDArray[np.int16] | None) -> Frame:
    height, width = SHAPE if pixels is None else pixels.shape
    return Frame(t, index, "imaging/a.tif", 0, height, width, t / 1e9, pixels=pixels)


def tell(node: Online, messages: list[Message]) -> None:
    for message in messages:
        node.handle(message)
