"""Measure the CPU, memory and disk space that a session uses; find dead and silent processes.

CPU, memory and deaths are read from /proc; on systems without it, a dead process is silent.
"""

import mmap
import os
import shutil
import time
from pathlib import Path
from typing import Any

from rig.clock import monotonic_ns
from rig.monitor.state import MonitorState

_PROC = Path("/proc")
SILENT_S = 0.8
"""A process is silent after this time without a message, s; a Heartbeat comes every 0.2 s."""
_LOOKS = 3
"""A process is dead if this many consecutive checks do not find it; its Ended may be late."""
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Usage:
    """CPU and memory of each node's process, room on the disk, and the session's clock."""

    def __init__(self, folder: Path, live: bool, t0_ns: int = 0) -> None:
        """Measure the session in `folder`; for a replay (not `live`) only the clock is known.

        `t0_ns` is the session's zero on this computer's monotonic clock.
        """
        self._folder, self._live = folder, live
        self._pids: dict[str, int] = {}
        self._cpu: dict[str, tuple[float, float]] = {}
        self._written: tuple[float, int] | None = None
        self._t0_ns = t0_ns
        self._missed: dict[str, int] = {}
        """Number of consecutive checks in which the process of a node was missing."""

    def session_now_ns(self, state: MonitorState) -> int:
        """Return the current session time, ns; for a replay, the newest time that was shown."""
        return monotonic_ns() - self._t0_ns if self._live else state.t

    def ages(self, state: MonitorState) -> dict[str, float]:
        """Return the time since the last message of each process, s."""
        now = self.session_now_ns(state)
        processes = state.processes.items()
        return {n: round(max(0, now - p["sent"]) / 1e9, 2) for n, p in processes if p["sent"]}

    def down(self, state: MonitorState) -> dict[str, str]:
        """Return the state of each process that is dead, silent or failed, by name.

        Call it at each update, because it checks whether the processes exist.
        """
        ages, found = self.ages(state), {}
        for name, process in state.processes.items():
            if process["state"] == "failed":
                found[name] = "failed"
            elif process["state"] == "running" and self._is_dead(name):
                found[name] = "dead"
            elif (
                process["state"] == "running"
                and "loop_ms" in process
                and ages.get(name, 0.0) > SILENT_S
            ):
                found[name] = "silent"
        return found

    def rows(self, processes: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Return a row for each process: name, state, CPU (% of a core) and memory (MB)."""
        if self._live:
            self._find(list(processes))
        found = []
        for name, process in processes.items():
            row = {"name": name, "state": process["state"], "reason": process.get("reason", "")}
            if "loop_ms" in process:
                row["loop_ms"] = process["loop_ms"]
            found.append(row | self._use(name))
        return found

    def disk(self) -> dict[str, float]:
        """Return the free space (GB), and the time until the disk is full (hours)."""
        if not self._live:
            return {}
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError:  # the folder was moved, or its disk is gone
            return {}
        now, written = time.monotonic(), _size(self._folder)
        result = {"free_gb": round(free / 1e9, 1)}
        if self._written is not None and written > self._written[1]:
            rate = (written - self._written[1]) / (now - self._written[0])
            result["hours_left"] = round(free / rate / 3600, 1)
        else:
            self._written = (now, written)
        return result

    def _is_dead(self, name: str) -> bool:
        """Return True if the process of a node existed before and no longer exists."""
        if name not in self._pids:
            return False
        exists = _state(self._pids[name]) not in ("", "Z", "X")
        self._missed[name] = 0 if exists else self._missed.get(name, 0) + 1
        return self._missed[name] >= _LOOKS

    def _find(self, names: list[str]) -> None:
        """Find the process of each node, whose command line contains the session folder."""
        if all(name in self._pids for name in names) or not _PROC.is_dir():
            return
        marker = str(self._folder)
        for path in _PROC.glob("[0-9]*"):
            try:
                arguments = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if marker in arguments and "-m" in arguments:
                module = arguments[arguments.index("-m") + 1]
                self._pids[module.rpartition(".")[2]] = int(path.name)

    def _use(self, name: str) -> dict[str, float]:
        pid = self._pids.get(name)
        if pid is None:
            return {}
        try:
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return {}
        now, used_s = time.monotonic(), (int(fields[11]) + int(fields[12])) / _TICKS
        before = self._cpu.get(name)
        self._cpu[name] = (now, used_s)
        use: dict[str, float] = {"memory_mb": round(pages * mmap.PAGESIZE / 1e6)}
        if before is not None and now > before[0]:
            use["cpu_percent"] = round(100 * (used_s - before[1]) / (now - before[0]), 1)
        return use


def _state(pid: int) -> str:
    """Return the state of a process in /proc, such as "S" or "Z"; "" if there is no process."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total
