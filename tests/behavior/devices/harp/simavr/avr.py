"""The simulated board: builds firmware and runner once, drives and watches its pins."""

import atexit
import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import behavior

FIRMWARE = Path(behavior.__file__).parent / "devices" / "firmware"
RUNNER = Path(__file__).parent / "runner.c"
HZ = 16_000_000
_HEADER = Path("/usr/include/simavr/sim_avr.h")
_PATIENCE_S = 30.0


def missing() -> str:
    """Return what this machine lacks to compile and run the firmware; "" if nothing."""
    tools = [tool for tool in ("avr-gcc", "gcc", "make") if shutil.which(tool) is None]
    tools += [] if _HEADER.exists() else ["libsimavr-dev"]
    return ", ".join(tools)


@functools.cache
def build() -> tuple[Path, Path]:
    """Compile runner and firmware; return their paths."""
    folder = Path(tempfile.mkdtemp(prefix="rig-avr-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    runner = folder / "runner"
    compiler = ["gcc", "-O2", "-o", str(runner), str(RUNNER), "-lsimavr", "-lelf", "-lutil"]
    subprocess.run(compiler, check=True, capture_output=True)
    make = ["make", "-C", str(FIRMWARE), f"BUILD={folder}"]
    subprocess.run(make, check=True, capture_output=True)
    return runner, folder / "rig-avr.elf"


class Avr:
    """A running board. Cycle 0 was at `began` (ns, monotonic); a microsecond has 16 cycles."""

    def __init__(self) -> None:
        runner, firmware = build()
        self._process = subprocess.Popen(
            [str(runner), str(firmware)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with contextlib.suppress(PermissionError):  # a board does not wait for the host's processes
            os.sched_setscheduler(self._process.pid, os.SCHED_RR, os.sched_param(1))
        assert self._process.stdout is not None
        first = next(line for line in self._process.stdout if line.startswith("pty "))
        _, self.port, began = first.split()
        self.began = int(began)
        self.edges: list[tuple[str, bool, int]] = []
        """Changes of the watched pins: name, whether it rose, cycle."""
        self._turned = self._echoed = self._asked = 0
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Switch the board off; also more than once."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def command(self, line: str) -> None:
        """Send the runner a command; runner.c lists them."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def ns(self, cycle: int) -> int:
        """Return the host's monotonic time (ns) of a cycle."""
        return self.began + cycle * 1_000_000_000 // HZ

    def seen(self, name: str) -> list[tuple[bool, int]]:
        """Return (rose, cycle) of each change of a pin so far."""
        self._asked += 1
        self.command(f"echo {self._asked}")
        self._until(lambda: self._echoed == self._asked)
        return [(up, cycle) for pin, up, cycle in self.edges if pin == name]

    def pulse(self, pin: str, name: str, up_us: int, times: int = 1, pause_us: int = 1000) -> int:
        """Send pulses to an input; return the cycle of the last rise."""
        before = len(self.seen(name))
        for number in range(times):
            begin = 1 + number * (up_us + pause_us)
            self.command(f"at {begin} {pin} 1")
            self.command(f"at {begin + up_us} {pin} 0")
        self._until(lambda: len([e for e in self.edges if e[0] == name]) >= before + 2 * times)
        return [cycle for up, cycle in self.seen(name) if up][-1]

    def turn(self, counts: int) -> None:
        """Turn the wheel, and wait until it has turned."""
        before = self._turned
        self.command(f"wheel {counts}")
        self._until(lambda: self._turned > before)

    def openings(self) -> list[tuple[int, float]]:
        """Return (cycle, ms) of each finished opening of the valve."""
        found: list[tuple[int, float]] = []
        opened: int | None = None
        for up, cycle in self.seen("valve"):
            if not up and opened is not None:
                found.append((opened, (cycle - opened) / HZ * 1000))
            opened = cycle if up else None
        return found

    def _until(self, happened: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(happened, _PATIENCE_S), "the simulated board does not react"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            match line.split():
                case ["edge", name, level, cycle]:
                    self.edges.append((name, level == "1", int(cycle)))
                case ["turned"]:
                    self._turned += 1
                case ["echo", number]:
                    self._echoed = int(number)
            with self._news:
                self._news.notify_all()
