"""Measure the memory of the online analysis in the largest session, in a separate process."""

import multiprocessing
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np

from analysis.online import Online
from rig.messages import Frame, Message, Position, Scan, TrialEnd, TrialStart

_SHAPE = (1500, 3000)
_DEPTHS_UM = (0.0, 30.0)
_APART_PX = (7, 14)
_TRIALS, _VOLUMES_PER_TRIAL = 20, 4
_PAGE_NS = 166_000_000


def resident_mb(cells: int) -> list[float]:
    """Return the resident memory (MB) of the online analysis after each of several trials."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    child = spawn.Process(target=_run, args=(cells, theirs))
    child.start()
    theirs.close()
    held: list[float] = ours.recv()
    child.join()
    return held


def _run(cells: int, answer: Connection) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.csv"
        path.write_text("\n".join(["cell,y_px,x_px,radius_px,plane", *_table_lines(cells)]) + "\n")
        settings = msgspec.convert({"cells_file": str(path)}, Online.Settings)
        node = Online(settings, _discard)
        node.open()
        held = []
        for trial in range(_TRIALS):
            for message in _trial(trial):
                node.handle(message)
            held.append(resident_mb_now())
        node.close()
    answer.send(held)


def _table_lines(cells: int) -> Iterator[str]:
    """Yield the lines of a file of cells, half of them on each depth."""
    down_px, right_px = _APART_PX
    a_row = (_SHAPE[1] - 16) // right_px
    for cell in range(cells):
        row, column = divmod(cell // 2, a_row)
        yield f"{cell},{8 + down_px * row},{8 + right_px * column},3.0,{cell % 2}"


def _trial(trial: int) -> Iterator[Message]:
    """Yield the messages of a trial with some volumes of two pages of noise."""
    rng = np.random.default_rng(trial)
    height, width = _SHAPE
    stimulus = ("leaf1", "circle1")[trial % 2]
    first = trial * _VOLUMES_PER_TRIAL * len(_DEPTHS_UM)
    t = first * _PAGE_NS
    if not trial:
        yield Scan(t, "a.tif", {"channels": [1], "zs_um": list(_DEPTHS_UM)}, _DEPTHS_UM)
    yield TrialStart(t, trial, stimulus, None, False, 4.0, 2.0, None, "none", 0.0)
    for at in range(_VOLUMES_PER_TRIAL * len(_DEPTHS_UM)):
        number, plane = first + at, at % len(_DEPTHS_UM)
        t = number * _PAGE_NS
        pixels = rng.integers(0, 400, _SHAPE, np.int16)
        yield Position(t, trial, 0.4 * at, 40.0, True, "corridor")
        page = Frame(t, number, "a.tif", 0, height, width, t / 1e9, pixels=pixels)
        yield msgspec.structs.replace(page, number=number + 1, plane=plane)
    yield TrialEnd(t, trial, "done")


def resident_mb_now() -> float:
    """Return the resident memory of this process, MB."""
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1e3


def _discard(message: Message) -> None:
    """Discard a published message."""
