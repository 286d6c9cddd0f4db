"""rig bench behavior: how long a lick takes to open the valve, by who decides it."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import rig
from rig.cli.bench.devices import firmware, nidaq, serial_board
from rig.cli.bench.devices.host_loop import simulated
from rig.cli.terminal import new_console
from rig.clock import RealClock, monotonic_ns
from rig.errors import Refused
from rig.messages import Lick, Message, Position, Start, Valve, Wheel
from rig.process import prioritise
from rig.session.launch import launch
from rig.settings import device_factory
from rig.settings.config import ResolvedSession, resolve
from rig.transport.log import LOG_FILE, read

_PORT = 5681
_RARE = 1000
"""So many values a 99.9th percentile is worth saying from."""
_NODES = ("hardware", "task")
_SPOUT = "centre"
_TICK_NS = 1_000_000
_BARE_NS = 20_000_000_000
_PULSE_MS = 10.0
_Sent = dict[tuple[type[Message], int], int]
_QUICK = (
    "task.blank_s=0.99",  # the guard gives 60 rewards a minute, and no more
    "task.trials=20000",
    "task.water_ul=2000",
    "task.grey_before_s=0.2",
    "task.grey_after_s=0.2",
    "task.reward_ul=0.5",
    "nodes.hardware.guard={max_per_minute=60, max_day_ul=2000}",
)


class Setup(msgspec.Struct, frozen=True):
    """A rig whose valve is timed: its file, and the settings that make it one for this bench."""

    name: str
    file: str
    sets: tuple[str, ...]
    layers: tuple[str, ...] = ("device", "task")
    """Who looks for the lick: the values of task.decided_by that are measured."""


SETUPS: tuple[Setup, ...] = (
    Setup(
        "simulated",
        "simulated.toml",
        (
            "nodes.hardware.boards.bench.mouse={is='rig.cli.bench.devices.simulated:Metronome'}",
            "nodes.hardware.valve.centre.is=rig.cli.bench.devices.simulated:Valve",
        ),
    ),
)
"""What is measured; another card, board or firmware is one more entry."""
_LAYERS = {"device": "armed in the hardware node", "task": "decided by the task over the hub"}


def behavior(
    minutes: Annotated[float, typer.Option(help="Length of each measured session.")] = 1.0,
) -> None:
    """Time lick to valve: a bare loop, armed in the hardware node, decided by the task."""
    table = Table("ms", "p50", "p99", "p99.9", "max", "n", "wanted", title="rig bench behavior")
    for setup in SETUPS:
        table.add_row(*_row(f"{setup.name}: bare loop, lick to valve", _bare_ms(setup), ""))
        for layer in setup.layers:
            for row in _session_rows(setup, layer, minutes):
                table.add_row(*row)
    for row in (*_device_rows(nidaq), *_device_rows(serial_board), *_firmware_rows()):
        table.add_row(*row)
    new_console().print(table)


def _device_rows(bench: ModuleType) -> Iterator[tuple[str, ...]]:
    module = simulated(bench.SIMULATED)
    if module is None:
        yield _row(f"{bench.NAME}: not measured, a checkout of the project is missing", [], "")
        return
    for what, values_ms in bench.measure(module):
        yield _row(what if what.startswith(" ") else f"{bench.NAME}: {what}", values_ms, "")


def _firmware_rows() -> Iterator[tuple[str, ...]]:
    board, missing = firmware.simulated_board()
    if board is None:
        yield _row(f"{firmware.NAME}: not measured, {missing} is missing", [], "under 0.05")
        return
    opened_ms, residuals_ms = firmware.measure(board)
    yield _row(firmware.NAME, opened_ms, "under 0.05")
    yield _row("  its clock against the session's, residual of the fit", residuals_ms, "")


def _row(what: str, values: Any, wanted: str) -> tuple[str, ...]:
    if len(values) == 0:
        return (what, "-", "-", "-", "-", "0", wanted)
    p50, p99, p999, most = np.percentile(values, [50, 99, 99.9, 100])
    rare = f"{p999:.3f}" if len(values) >= _RARE else "-"
    return (what, f"{p50:.3f}", f"{p99:.3f}", rare, f"{most:.3f}", str(len(values)), wanted)


def _session(setup: Setup, layer: str, minutes: float) -> ResolvedSession:
    package = Path(rig.__file__).parent
    task = package.parent / "behavior" / "tasks" / "lick_training.toml"
    sets = [*setup.sets, *_QUICK, f"task.decided_by={layer}", f"task.minutes={minutes}"]
    sets += [f"rig.hub_port={_PORT}"]
    answers = resolve(package / "setups" / setup.file, task, "bench", 1, sets)
    nodes = {name: answers.session.nodes[name] for name in _NODES}
    nodes["task"] = {key: value for key, value in nodes["task"].items() if key != "imaging"}
    return ResolvedSession(msgspec.structs.replace(answers.session, nodes=nodes), answers.files)


def _session_rows(setup: Setup, layer: str, minutes: float) -> Iterator[tuple[str, ...]]:
    """Run a session in which licks bring water, and read its times off its log."""
    with tempfile.TemporaryDirectory() as data:
        outcome = launch(_session(setup, layer, minutes), Path(data), Console(quiet=True))
        if outcome.failed:
            raise Refused(f"the measured session failed: {outcome.reason}")
        messages = list(read(outcome.folder / LOG_FILE))
    sent: _Sent = {(type(w), w.t): e.sent for e, w in messages if isinstance(w, Lick | Wheel)}
    valves = [w for _, w in messages if isinstance(w, Valve) and not w.refused]
    opened = [(w.t, w.lick_t) for w in valves if w.lick_t is not None]
    name = f"{setup.name}: {_LAYERS[layer]}"
    yield _row(f"{name}, lick to valve", [(t - lick_t) / 1e6 for t, lick_t in opened], "")
    if layer == "task":
        read_ms = [(t - sent[Lick, lick_t]) / 1e6 for t, lick_t in opened]
        yield _row("  of it: lick read to valve", read_ms, "p50 under 0.5")
        one_way = [(e.sent - sent[Wheel, w.t]) / 1e6 for e, w in messages if _answers(w, sent)]
        yield _row("  wheel read to the task's answer said", one_way, "")


def _answers(message: Message, sent: _Sent) -> bool:
    return isinstance(message, Position) and (Wheel, message.t) in sent


def _bare_ms(setup: Setup) -> list[float]:
    """Open the valve at every lick in a loop that does nothing else, 1,000 times a second."""
    session = _session(setup, "device", 1.0).session
    table = session.nodes["hardware"]
    boards = {
        name: device_factory.make(board, f"boards.{name}", name)
        for name, board in table["boards"].items()
    }
    lick, valve = (
        device_factory.make_on_board(table[kind][_SPOUT], f"{kind}.{_SPOUT}", _SPOUT, boards)
        for kind in ("lick", "valve")
    )
    latencies_ms: list[float] = []
    with ExitStack() as stack:
        for board in boards.values():
            stack.callback(board.close)
            board.open()
        stack.callback(valve.close)
        t0_ns = monotonic_ns()
        clock = RealClock(t0_ns)
        begun = Start(0, {"t0_ns": t0_ns, "seed": session.seed, "task": session.task})
        for board in boards.values():
            board.handle(begun)
        stack.callback(prioritise, False)
        prioritise(True)
        due = clock.now()
        while due < _BARE_NS:
            due += _TICK_NS
            time.sleep(max(0, due - clock.now()) / 1e9)
            now = clock.now()
            for t in lick.onsets(now):
                latencies_ms.append((valve.pulse(now, _PULSE_MS) - t) / 1e6)
    return latencies_ms
