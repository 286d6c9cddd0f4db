"""rig bench behavior: the time from a lick to the open valve, for each way to decide on it."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

import rig
from rig.cli.bench.harness import Json, Row, row, show
from rig.cli.numbers import number
from rig.clock import RealClock, monotonic_ns
from rig.errors import Refused
from rig.messages import Lick, Message, Position, Start, Valve, Wheel
from rig.priority import prioritise
from rig.session.launch import launch
from rig.settings import device_factory
from rig.settings.config import ResolvedSession, resolve
from rig.transport.log import LOG_FILE, read

_PORT = 5681
_NODES = ("hardware", "task")
_SPOUT = "centre"
_TICK_NS = 1_000_000
_BARE_NS = 20_000_000_000
_PULSE_MS = 10.0
_Sent = dict[tuple[type[Message], int], int]
_QUICK = (
    "task.blank_s=0.99",  # the guard allows 60 rewards per minute
    "task.trials=20000",
    "task.water_ul=2000",
    "task.grey_before_s=0.2",
    "task.grey_after_s=0.2",
    "task.reward_ul=0.5",
    "nodes.hardware.guard={max_per_minute=60, max_day_ul=2000}",
)


class Setup(msgspec.Struct, frozen=True):
    """A rig whose valve is timed: its file, and the settings that adapt it to this bench."""

    name: str
    file: str
    sets: tuple[str, ...]
    layers: tuple[str, ...] = ("device", "task")
    """Where a lick is answered: the values of task.decided_by that are measured."""


SETUPS: tuple[Setup, ...] = (
    Setup(
        "simulated",
        "simulated.toml",
        (
            "nodes.hardware.boards.bench.mouse={is='rig.cli.bench.metronome:Metronome'}",
            "nodes.hardware.valve.centre.is=rig.cli.bench.metronome:Valve",
        ),
    ),
)
"""The rigs that are measured; add an entry for another card or board."""
_LAYERS = {"device": "armed in the hardware process", "task": "decided by the task"}


def behavior(
    minutes: Annotated[
        float, typer.Option(parser=number(0.1), help="Length of each measured session, minutes.")
    ] = 1.0,
    as_json: Json = False,
) -> None:
    """Measure the time from lick to valve, for each way to decide on it."""
    rows = []
    for setup in SETUPS:
        rows.append(row(f"{setup.name}: bare loop", _bare_ms(setup)))
        for layer in setup.layers:
            rows += _session_rows(setup, layer, minutes)
    show("rig bench behavior: lick to valve", rows, as_json)


def session_of(setup: Setup, layer: str, minutes: float) -> ResolvedSession:
    """Return a session in which licks give water, without screens and microscope."""
    package = Path(rig.__file__).parent
    task = package.parent / "behavior" / "tasks" / "lick_training.toml"
    sets = [*setup.sets, *_QUICK, f"task.decided_by={layer}", f"task.minutes={minutes}"]
    sets += [f"rig.hub_port={_PORT}"]
    resolved = resolve(package / "setups" / setup.file, task, "bench", 1, sets)
    nodes = {name: resolved.session.nodes[name] for name in _NODES}
    nodes["task"] = {key: value for key, value in nodes["task"].items() if key != "imaging"}
    return ResolvedSession(msgspec.structs.replace(resolved.session, nodes=nodes), resolved.files)


def _session_rows(setup: Setup, layer: str, minutes: float) -> Iterator[Row]:
    """Run a session in which licks give water, and read the times from its log."""
    with tempfile.TemporaryDirectory() as data:
        outcome = launch(session_of(setup, layer, minutes), Path(data), Console(quiet=True))
        if outcome.failed:
            raise Refused(f"the measured session failed: {outcome.reason}")
        messages = list(read(outcome.folder / LOG_FILE))
    sent: _Sent = {(type(w), w.t): e.sent for e, w in messages if isinstance(w, Lick | Wheel)}
    valves = [w for _, w in messages if isinstance(w, Valve) and not w.refused]
    opened = [(w.t, w.lick_t) for w in valves if w.lick_t is not None]
    name = f"{setup.name}: {_LAYERS[layer]}"
    yield row(name, [(t - lick_t) / 1e6 for t, lick_t in opened])
    if layer == "task":
        read_ms = [(t - sent[Lick, lick_t]) / 1e6 for t, lick_t in opened]
        yield row("  from the lick read", read_ms, under={"p50": 0.5})
        one_way = [(e.sent - sent[Wheel, w.t]) / 1e6 for e, w in messages if _answers(w, sent)]
        yield row("  wheel read to position published", one_way)


def _answers(message: Message, sent: _Sent) -> bool:
    return isinstance(message, Position) and (Wheel, message.t) in sent


def _bare_ms(setup: Setup) -> list[float]:
    """Open the valve at every lick in a loop that does nothing else, 1,000 times per second."""
    session = session_of(setup, "device", 1.0).session
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
