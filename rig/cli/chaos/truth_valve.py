"""A simulated valve that writes each pulse to a file that the rig does not use."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from behavior.devices.protocols import ValveSettings
from behavior.devices.simulated import Valve
from rig.clock import monotonic_ns

TRUTH_VARIABLE = "CHAOS_TRUTH"
"""The environment variable that names the file."""


class TruePulse(msgspec.Struct, frozen=True):
    """A pulse that really happened, independent of the published messages."""

    folder: str
    """The folder of the session."""
    opened_ns: int
    """Time of opening on the monotonic clock, ns."""
    open_ms: float
    volume_ul: float


class TruthValve(Valve):
    """A valve that opens at once; its pulse ends by itself, even if the driver is killed."""

    def __init__(self, settings: ValveSettings, name: str, board: Any) -> None:
        super().__init__(settings, name, board)
        self._file: int | None = None

    def pulse(self, now: int, open_ms: float) -> int:
        opened_ns = monotonic_ns()
        if self._file is None:
            path = os.environ[TRUTH_VARIABLE]
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        volume_ul = (open_ms - self.settings.dead_ms) * self.settings.ul_per_ms
        pulse = TruePulse(str(Path.cwd()), opened_ns, open_ms, volume_ul)
        os.write(self._file, msgspec.json.encode(pulse) + b"\n")  # survives an immediate kill
        return super().pulse(now, open_ms)


def read_pulses(path: Path) -> Iterator[TruePulse]:
    """Yield the pulses of all sessions, in order of time."""
    if path.exists():
        for line in path.read_bytes().splitlines():
            yield msgspec.json.decode(line, type=TruePulse)
