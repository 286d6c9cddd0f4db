"""rig bench monitor: the load of the live page, and the delay with which it shows messages."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from rig.cli.bench.harness import Json, Row, count, row, show
from rig.cli.numbers import number

_CELLS = 90_000
_READERS = 4
_HOUR_S = 60.0
_GROWTH_FROM = 0.3
"""Fraction of the hour after which the growth of memory is measured."""


def monitor(
    seconds: Annotated[
        float, typer.Option(parser=number(15.0), help="Length of the measured session, s.")
    ] = 40.0,
    minutes: Annotated[
        float,
        typer.Option(parser=number(0.5), help="Length of the session with licks, minutes."),
    ] = 2.0,
    as_json: Json = False,
) -> None:
    """Measure the live page: its load, its delay, its memory, and its effect on lick to valve."""
    rows = [count("page without plotly.js", _page_kb(), "kB", most=300)]
    rows += [*_load_rows(seconds), *_hour_rows(), *_valve_rows(minutes)]
    show(f"rig bench monitor: {_READERS} browsers, {_CELLS:,} cells", rows, as_json)


def _page_kb() -> float:
    return sum(len(file.read_bytes()) for file in (files("rig.monitor") / "page").iterdir()) / 1e3


def _load_rows(seconds: float) -> Iterator[Row]:
    from rig.cli.bench.live_page.load import measure

    with tempfile.TemporaryDirectory() as data:
        load = measure(Path(data), _CELLS, seconds, _READERS)
    yield count("page's process", load.cpu_percent, "% of a core", most=5)
    yield count("page's process, memory", load.memory_mb, "MB")
    note = f"not measured: needs {load.missing}" if load.missing else ""
    yield row("published to drawn", load.drawn_ms, under={"p50": 100}, note=note)


def _hour_rows() -> Iterator[Row]:
    """Show an hour in a minute, and measure the growth of memory after a third of it."""
    from rig.cli.bench.live_page.load import reader_process

    module = "rig.cli.bench.live_page"
    command = [sys.executable, "-P", "-m", f"{module}.hour", str(_CELLS), "1", str(_HOUR_S)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None and server.stdout is not None
    address = server.stdout.readline().strip()
    look = [sys.executable, "-P", "-m", f"{module}.drawn", address, str(_HOUR_S * 1.5)]
    browser = subprocess.Popen(look, stdout=subprocess.PIPE, text=True)
    with reader_process(address, _READERS - 1) as switch:
        switch.write(b"on\n")
        switch.flush()
        heap_mb = json.loads(browser.communicate()[0]).get("heap_mb", [])
    server.stdin.close()
    memory_mb = json.loads(server.stdout.read())
    server.wait()
    since = memory_mb[int(_GROWTH_FROM * len(memory_mb))]
    yield count("server's memory over an hour, growth", memory_mb[-1] - since, "MB", most=10)
    if heap_mb:
        yield count("browser's memory over an hour, growth", heap_mb[1] - heap_mb[0], "MB", most=10)


def _valve_rows(minutes: float) -> Iterator[Row]:
    from rig.cli.bench.live_page.lick_to_valve import measure

    found = measure(minutes, _READERS)
    yield row("lick read to valve, no browser", found.without_ms)
    yield row(f"lick read to valve, {_READERS} browsers", found.with_ms)
    difference, noise = found.difference_ms(), found.noise_ms()
    note = "target: what random halves of one run differ by"
    yield count("difference of the medians", difference, "ms", most=round(noise, 3), note=note)
