"""rig bench replay: the cost of the journal, and the speed of simulation, replay and closing."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console

import rig
from rig import virtual_session
from rig.cli.bench.harness import Json, Row, count, row, show
from rig.cli.numbers import number
from rig.cli.sessions.end_summary import end
from rig.clock import RealClock, monotonic_ns
from rig.messages import Frame, Message, Wheel, kind
from rig.process import completed
from rig.replay.replay import replay as compare
from rig.session.provenance import about
from rig.session.recover import complete_log
from rig.settings.config import SessionSettings, resolve
from rig.subjects.session_identity import save_settings
from rig.transport.envelope import Envelope, Sender, pack
from rig.transport.frame_pixels import Pixels
from rig.transport.log import (
    JOURNAL_FOLDER,
    LOG_FILE,
    Completeness,
    Journal,
    LogReader,
    LogWriter,
    read_kinds,
)

_JOURNAL_MESSAGES = 50_000
_TRIALS_A_MINUTE = 12
"""Number of trials per minute; more than a mouse runs in corridors of 6 m."""
_NODES = ("hardware", "task", "referee")
_RIG_TICK_S, _SIMULATE_TICK_S = 0.001, 0.005
"""Time between wheel samples of a rig and of `rig simulate`, seconds."""
_IMAGING_MINUTES = 5.0
T = TypeVar("T")
_CLOSED_WITHIN_S = 60.0
"""Target of the time to close a session of an hour, seconds; proportional to its length."""


def replay(
    minutes: Annotated[
        float, typer.Option(parser=number(0.1), help="Length of the measured session, minutes.")
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Measure the journal, virtual time, replay, and the end of a session.

    Speeds are by processor time, so that other programs on the machine do not count.
    """
    with tempfile.TemporaryDirectory() as data:
        folder = Path(data)
        rows = [_journal(folder), *_behavior(folder, minutes)]
        rows += _imaging(folder / "imaged", minutes)
    title = f"rig bench replay: a session of {minutes:g} minutes, times real time on one core"
    show(title, rows, as_json)


def _journal(data: Path) -> Row:
    """Measure how long a process waits for its journal before each message is published."""
    (data / JOURNAL_FOLDER).mkdir()
    clock = RealClock(monotonic_ns())
    sender = Sender("hardware", clock)
    costs_us = []
    with Journal(data, "hardware") as journal:
        for at in range(_JOURNAL_MESSAGES):
            message = Wheel(clock.now(), at, 0.1 * at)
            envelope = sender.wrap(message)
            data_ = pack(envelope)
            began = time.perf_counter_ns()
            journal.append(kind(message), envelope, data_)
            costs_us.append((time.perf_counter_ns() - began) / 1e3)
            time.sleep(0 if at % 10 else 1e-4)  # lets the thread run that syncs the file
    return row("a message in its journal", costs_us, "us", {"p50": 10, "p99": 200})


def _behavior(data: Path, minutes: float) -> Iterator[Row]:
    """Measure a session of task and referee: in virtual time, in a replay, and its closing."""
    session, virtual_s = _session(minutes), 60 * minutes
    cpu_s, _ = _timed(lambda: _record(session, None, _SIMULATE_TICK_S))
    yield count("virtual time, wheel at 200 Hz", virtual_s / cpu_s, "x", least=50)
    folder = data / "sub-bench" / "ses-20260101_1"
    folder.mkdir(parents=True)
    save_settings(folder, session)
    cpu_s, _ = _timed(lambda: _record(session, folder, _RIG_TICK_S))
    yield count("virtual time, wheel at 1 kHz, with its log", virtual_s / cpu_s, "x")
    cpu_s, messages = _timed(lambda: sum(1 for _ in LogReader(folder / LOG_FILE).messages()))
    yield count("reading the log alone", virtual_s / cpu_s, "x", n=messages)
    cpu_s, report = _timed(lambda: compare(folder, [], about()))
    note = "identical" if report.first is None else "DIFFERS"
    compared = sum(report.compared.values())
    speed = virtual_s / cpu_s
    yield count("replay of task and referee", speed, "x", least=50, n=compared, note=note)
    began = time.monotonic()
    cpu_s, _ = _timed(lambda: _close(folder))
    most = _CLOSED_WITHIN_S * minutes / 60
    yield count("closing: log, summary, table", time.monotonic() - began, "s", most=most)
    yield count("of it on the processor", cpu_s, "s")


def _imaging(folder: Path, minutes: float) -> Iterator[Row]:
    """Measure the analysis of recorded frames, and the time to read only their pixels."""
    folder.mkdir()
    with chdir(folder):  # the simulated microscope saves in the current folder
        _record_imaging(min(minutes, _IMAGING_MINUTES), folder)
    frames = [m for _, m in read_kinds(folder / LOG_FILE, {Frame}) if isinstance(m, Frame)]
    pixels = Pixels(folder)
    reading_s, _ = _timed(lambda: [pixels.of(frame) for frame in frames])
    cpu_s, report = _timed(lambda: compare(folder, [], about(), ["online"]))
    note = "identical" if report.first is None else "DIFFERS"
    yield count("pages read from their files", len(frames) / reading_s, "1/s", n=len(frames))
    yield count("pages analysed by online", len(frames) / cpu_s, "1/s", n=len(frames), note=note)


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return the processor time of a call with all its threads (s), and its result."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def _close(folder: Path) -> None:
    complete_log(folder)
    end(folder, "time is up", Console(quiet=True))


def _record_imaging(minutes: float, folder: Path) -> None:
    setup, task = _shipped()
    sets = [f"task.minutes={minutes}"]
    found = resolve(setup, task, "bench", 1, sets)
    for name, source in found.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(source, folder / name)
    left_out = ("display", "referee", "recorder")
    nodes = {name: node for name, node in found.session.nodes.items() if name not in left_out}
    session = msgspec.structs.replace(found.session, nodes=nodes, about=about())
    _record(completed(session), folder, _SIMULATE_TICK_S)


def _shipped() -> tuple[Path, Path]:
    package = Path(rig.__file__).parent
    task = package.parent / "behavior" / "tasks" / "train1.toml"
    return package / "setups" / "simulated.toml", task


def _session(minutes: float) -> SessionSettings:
    """Return a session of the simulated rig without screens and microscope."""
    setup, task = _shipped()
    trials = round(_TRIALS_A_MINUTE * minutes) + 1
    sets = [f"task.minutes={minutes}", f"task.trials={trials}"]
    found = resolve(setup, task, "bench", 1, sets).session
    nodes = {name: dict(found.nodes[name]) for name in _NODES}
    nodes["task"].pop("imaging", None)
    nodes["hardware"].pop("lines", None)
    return completed(msgspec.structs.replace(found, nodes=nodes, about=about()))


def _record(session: SessionSettings, folder: Path | None, tick_s: float) -> None:
    """Run a session in virtual time; write its log into the folder, if there is one."""
    writer = None if folder is None else LogWriter(folder / LOG_FILE)

    def keep(envelope: Envelope, message: Message) -> None:
        if writer is not None:
            writer.append(kind(message), envelope, pack(envelope))

    virtual_session.run(session, keep=keep, tick_s=tick_s)
    if writer is not None:
        writer.close(Completeness(True, writer.count))
