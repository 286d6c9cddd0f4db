"""rig bench export: the time and memory of an NWB export of the largest session."""

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from rig.cli.bench.harness import Json, count, show
from rig.clock import SetClock
from rig.messages import (
    CellSignals,
    Lick,
    Message,
    Position,
    Start,
    TrialEnd,
    TrialStart,
    Wheel,
    kind,
)
from rig.transport.envelope import Sender, pack
from rig.transport.log import LOG_FILE, Completeness, LogWriter

_MS = 1_000_000
_FRAME_MS = 333
_TRIAL_MS = 12_000
_ACTIVE = 0.1
"""Fraction of the values of the deconvolved activity that are not zero."""
_MOST_MB = 2000
_PLACE = 14
"""Distance of the cells from each other in their page, px."""


def export(
    cells: Annotated[int, typer.Option(help="Number of cells.", min=2)] = 90_000,
    minutes: Annotated[float, typer.Option(help="Length of the session.", min=0.5)] = 60.0,
    as_json: Json = False,
) -> None:
    """Measure an NWB export of a session with a wheel sample each ms and three volumes a second."""
    with tempfile.TemporaryDirectory(prefix="rig-bench-") as name:
        folder = Path(name) / "sub-bench" / "ses-20260101_1"
        write_session(folder, cells, round(minutes * 60_000))
        log_mb = (folder / LOG_FILE).stat().st_size / 1e6
        seconds, peak_mb, file_mb = export_in_process(folder)
    what = f"{cells} cells, {minutes:g} min"
    rows = [
        count(f"NWB export of {what}: peak memory", peak_mb, "MB", most=_MOST_MB),
        count(f"NWB export of {what}: time", seconds, "s"),
        count("size of the log", log_mb, "MB"),
        count("size of the NWB file", file_mb, "MB"),
    ]
    note = "memory: the largest resident size of the exporting process, mapped files included"
    show("rig bench export", rows, as_json, [note])


def write_session(folder: Path, cells: int, length_ms: int) -> None:
    """Write a session folder with a log of this length, and no imaging files."""
    folder.mkdir(parents=True)
    a_row = 200
    lines = (
        f"{n},{8 + _PLACE * (n // a_row)},{8 + _PLACE * (n % a_row)},4.0,{n % 10}"
        for n in range(cells)
    )
    (folder / "cells.csv").write_text("\n".join(["cell,y_px,x_px,radius_px,area", *lines]) + "\n")
    clock, senders = SetClock(), dict[str, Sender]()
    writer = LogWriter(folder / LOG_FILE)
    for name, message in _messages(cells, length_ms):
        clock.set(message.t)
        sender = senders.setdefault(name, Sender(name, clock))
        envelope = sender.wrap(message)
        writer.append(kind(message), envelope, pack(envelope))
    writer.close(Completeness(True, writer.count))


def export_in_process(folder: Path) -> tuple[float, float, float]:
    """Export a session in a separate process; return time (s), peak memory and file size (MB)."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    child = spawn.Process(target=_export, args=(folder, theirs))
    child.start()
    theirs.close()
    measured: tuple[float, float, float] = ours.recv()
    child.join()
    return measured


def _export(folder: Path, answer: Connection) -> None:
    from analysis.export.contents import read_contents
    from analysis.export.nwb import SubjectFacts, write_nwb

    began = time.perf_counter()
    facts = SubjectFacts(birth_date=date(2025, 10, 1))
    path = write_nwb(read_contents(folder), folder / "nwb", facts)
    seconds = time.perf_counter() - began
    answer.send((seconds, _peak_mb(), path.stat().st_size / 1e6))


def _peak_mb() -> float:
    """Return the largest resident memory of this process so far, MB."""
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1e3


def _messages(cells: int, length_ms: int) -> Iterator[tuple[str, Message]]:
    """Yield the messages of a session with their senders: trials of 12 s, half of them moving."""
    rng = np.random.default_rng(1)
    yield "launch", _start()
    stimulus = ""
    for ms in range(length_ms):
        t, in_trial = ms * _MS, ms % _TRIAL_MS
        trial, position_m = ms // _TRIAL_MS, 6.0 * in_trial / _TRIAL_MS
        if in_trial == 0:
            stimulus = ("leaf1", "circle1")[trial % 2]
            rewarded = stimulus == "leaf1"
            drawn = TrialStart(t, trial, stimulus, None, rewarded, 4.0, 2.0, 2.0, "active", 0.0)
            yield "task", drawn
        yield "hardware", Wheel(t, ms, ms * 0.02)
        yield "task", Position(t, trial, position_m, 20.0, True, "corridor")
        if ms % 1000 == 500:
            yield "hardware", Lick(t, "centre")
        if ms % _FRAME_MS == _FRAME_MS - 1:
            traces = rng.exponential(10, cells).astype("<f4")
            traces[rng.random(cells) > _ACTIVE] = 0
            frame = (ms // _FRAME_MS, trial, stimulus, position_m, True, traces.tobytes(), 0.1)
            yield "online", CellSignals(t, *frame, scanned_t=t - 100 * _MS)
        if in_trial == _TRIAL_MS - 1:
            yield "task", TrialEnd(t, trial, "done")


def _start() -> Start:
    signals = {"contrasts": [["leaf1", "circle1"]], "rewarded": "leaf1"}
    session: dict[str, Any] = {
        "subject": "bench",
        "seed": 1,
        "task_name": "train1",
        "id": "bench",
        "task": {"cohort": "task", "stage": "train1", "signals": signals},
        "nodes": {"online": {"cells_file": "cells.csv", "areas_file": ""}},
        "about": {"rig": "bench"},
        "began": "2026-01-01T10:00:00+00:00",
    }
    return Start(0, session)
