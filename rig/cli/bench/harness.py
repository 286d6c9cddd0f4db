"""Code that the benches share: busy cores, timing, and a table of measurements and targets."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
import numpy as np
import typer
from rich import box
from rich.table import Table
from rich.text import Text

from rig.cli.terminal import new_console
from rig.settings.config import ResolvedSession

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, not as a table.")]
_MIN_N_P999 = 1000
"""Minimum number of values for a 99.9th percentile."""


class Row(msgspec.Struct, frozen=True):
    """One measurement: percentiles of many values, or a single number (as `p50`)."""

    name: str
    unit: str
    p50: float | None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None
    n: int = 0
    target: str = ""
    passed: bool | None = None
    """True if the target was met; None without a target or a value."""
    note: str = ""


def row(
    name: str,
    values: Any,
    unit: str = "ms",
    under: Mapping[str, float] | None = None,
    note: str = "",
) -> Row:
    """Return a row that summarises many values.

    Args:
        name: What was measured.
        values: The measured values.
        unit: Their unit.
        under: Upper limits by statistic: "p50", "p99", "max" or "sd".
        note: A remark, shown after the name.
    """
    data = np.asarray(values, np.float64)
    limits = under or {}
    target = ", ".join(f"{name}<{limit:g}" for name, limit in limits.items())
    if not data.size:
        return Row(name, unit, None, target=target, note=note)
    p50, p99, p999, most = np.percentile(data, [50, 99, 99.9, 100])
    statistics = {"p50": p50, "p99": p99, "max": most, "sd": data.std()}
    passed = all(statistics[key] < limit for key, limit in limits.items()) if limits else None
    rare = float(p999) if data.size >= _MIN_N_P999 else None
    if "sd" in limits:
        note = f"{note}, sd {data.std():.3f}".removeprefix(", ")
    return Row(
        name, unit, float(p50), float(p99), rare, float(most), data.size, target, passed, note
    )


def count(
    name: str,
    value: float,
    unit: str = "",
    most: float | None = None,
    n: int = 0,
    note: str = "",
    least: float | None = None,
) -> Row:
    """Return the row of a single number; the target is met from `least` to `most`."""
    bounds = [] if most is None else [(f"<={most:g}", value <= most)]
    bounds += [] if least is None else [(f">={least:g}", value >= least)]
    target = ", ".join(text for text, _ in bounds)
    passed = all(met for _, met in bounds) if bounds else None
    return Row(name, unit, float(value), n=n, target=target, passed=passed, note=note)


def show(title: str, rows: Iterable[Row], as_json: bool, notes: Iterable[str] = ()) -> None:
    """Print measurements as a table, or as JSON on one line."""
    rows, notes = list(rows), list(notes)
    console = new_console()
    if as_json:
        found = {"bench": title, "rows": msgspec.to_builtins(rows), "notes": notes}
        console.out(json.dumps(found))
        return
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    statistics = ["p50", "p99", "p999", "max"]
    if all(one.p999 is None for one in rows):
        statistics.remove("p999")
    table.add_column("measured", min_width=20, ratio=1)
    for name in [*statistics, "n"]:
        table.add_column("p99.9" if name == "p999" else name, justify="right", no_wrap=True)
    table.add_column("target", no_wrap=True)
    table.add_column("", min_width=4, no_wrap=True)
    for one in rows:
        unit, note = (f", {one.unit}" if one.unit else ""), (f" ({one.note})" if one.note else "")
        values = [_number(getattr(one, name), one) for name in statistics]
        table.add_row(
            Text(f"{one.name}{unit}{note}"), *values, str(one.n or ""), one.target, _verdict(one)
        )
    console.print(table)
    for note in notes:
        console.print(note)


def _number(value: float | None, one: Row) -> str:
    if value is None:
        return ""
    if not one.unit and value == int(value):
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def _verdict(one: Row) -> Text:
    if one.passed is None:
        return Text("")
    return Text("pass", "green") if one.passed else Text("MISS", "bold red")


@contextmanager
def busy() -> Iterator[None]:
    """Keep every core busy with a process of ordinary priority until the end of the block."""
    code = "while True: pass"
    burners = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def without_microscope(resolved: ResolvedSession) -> ResolvedSession:
    """Return a session of the simulated rig without microscope, stream and online analysis."""
    gone = ("mesoscope", "stream", "online")
    nodes = {name: node for name, node in resolved.session.nodes.items() if name not in gone}
    nodes["task"] = {key: value for key, value in nodes["task"].items() if key != "imaging"}
    return ResolvedSession(msgspec.structs.replace(resolved.session, nodes=nodes), resolved.files)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU time (ms) of a call on this thread, and its result."""
    begin = time.thread_time()
    result = work()
    return 1e3 * (time.thread_time() - begin), result
