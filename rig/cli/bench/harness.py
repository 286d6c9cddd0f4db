"""What every bench shares: busy cores beside the measured thing, and a table of percentiles."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
from rich.table import Table

from rig.settings.config import ResolvedSession


def percentiles(title: str) -> Table:
    """Return an empty table for rows of percentiles."""
    return Table("text", "p50", "p99", "max", "n", "wanted", title=title)


def row(what: str, values: Any, wanted: str) -> tuple[str, ...]:
    """Return the row of some measured values; "-" where there are none."""
    if len(values) == 0:
        return (what, "-", "-", "-", "0", wanted)
    p50, p99, most = np.percentile(values, [50, 99, 100])
    return (what, f"{p50:.3f}", f"{p99:.3f}", f"{most:.3f}", str(len(values)), wanted)


@contextmanager
def busy() -> Iterator[None]:
    """Keep every core busy with a process of ordinary priority."""
    code = "while True: pass"
    burners = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def without_microscope(answers: ResolvedSession) -> ResolvedSession:
    """Return a session of the simulated rig in which nobody scans or looks at frames."""
    gone = ("mesoscope", "stream", "online")
    nodes = {name: node for name, node in answers.session.nodes.items() if name not in gone}
    nodes["task"] = {key: value for key, value in nodes["task"].items() if key != "imaging"}
    return ResolvedSession(msgspec.structs.replace(answers.session, nodes=nodes), answers.files)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the ms of this core that work took, whoever else was on it, and what it gave."""
    begin = time.thread_time()
    got = work()
    return 1e3 * (time.thread_time() - begin), got
