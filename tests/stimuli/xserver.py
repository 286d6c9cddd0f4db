"""An X server without a monitor (Xvfb), and what is on its screen."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@contextmanager
def xvfb(folder: Path, width: int, height: int) -> Iterator[str]:
    """Run Xvfb with its frame buffer in that folder; yield its DISPLAY."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24"]
    command += ["-fbdir", str(folder), "-nolisten", "tcp", "-noreset"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as display:
            yield f":{display.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def on_screen(folder: Path) -> NDArray[np.uint8]:
    """Return what is on the screen: height x width x 3 (Xvfb's file is an XWD image)."""
    data = (folder / "Xvfb_screen0").read_bytes()
    head = np.frombuffer(data, ">u4", 25)
    width, height, row_bytes = int(head[4]), int(head[5]), int(head[12])
    begin = int(head[0]) + 12 * int(head[19])
    rows = np.frombuffer(data, np.uint8, row_bytes * height, begin).reshape(height, row_bytes)
    return rows[:, : 4 * width].reshape(height, width, 4)[..., 2::-1]
