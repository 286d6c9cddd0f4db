"""Check whether a computer is suitable for a real rig, and what to change; one method per check."""

import ctypes.util
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np

_SLEEP_S = 0.001
_SLEEPS = 300
_LATE_MS = 1.0
_WRITE_MB = 64
_WRITE_MB_S = 100.0
"""Required write rate, MB/s: twice that of a mesoscope at full rate and the log."""
_SYNC_MS = 50.0
_FREE_GB = 100.0
_COMPOSITORS = ("picom", "compton", "mutter", "gnome-shell", "kwin_x11", "kwin_wayland", "xfwm4")


class CheckResult(msgspec.Struct, frozen=True):
    """The result of one check, and the remedy if it is bad."""

    what: str
    good: bool
    found: str
    remedy: str = ""


class SystemChecks:
    """Checks of this computer, or, in tests, of a folder that looks like its root."""

    def __init__(self, data: Path, root: Path = Path("/")) -> None:
        """Check this computer with a data folder, which contains the sessions.

        Args:
            data: The data folder.
            root: Root of the file system.
        """
        self._data, self._root = data, root

    def look(self) -> Iterator[CheckResult]:
        """Yield the result of each check. Takes a few seconds, for the timer and the disk."""
        checks: tuple[Callable[[], CheckResult], ...] = (
            self._timer,
            self._priority,
            self._governor,
            self._disk_speed,
            self._disk_room,
            self._usb_suspend,
            self._compositor,
            self._ni_driver,
            self._serial_rights,
        )
        for check in checks:
            yield check()

    def _timer(self) -> CheckResult:
        """Check that a sleep of 1 ms ends at most 1 ms late."""
        late_ms = []
        for _ in range(_SLEEPS):
            began = time.perf_counter()
            time.sleep(_SLEEP_S)
            late_ms.append((time.perf_counter() - began - _SLEEP_S) * 1e3)
        p99 = float(np.percentile(late_ms, 99))
        remedy = "close other programs, and allow real-time processes (see priority)"
        return CheckResult("timer", p99 < _LATE_MS, f"sleeps end {p99:.2f} ms late (p99)", remedy)

    def _priority(self) -> CheckResult:
        """Check that processes may use real-time scheduling."""
        text = "set by the system's own priority classes"
        if sys.platform == "linux":
            text = "real-time processes are allowed"
            try:
                old = os.sched_getscheduler(0), os.sched_getparam(0)
                os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
                os.sched_setscheduler(0, *old)
            except PermissionError:
                remedy = (
                    'add "@rig - rtprio 50" to /etc/security/limits.conf, and yourself to group rig'
                )
                return CheckResult("priority", False, "real-time processes are not allowed", remedy)
        return CheckResult("priority", True, text)

    def _governor(self) -> CheckResult:
        """Check that the processor does not slow down while it waits."""
        paths = sorted(self._root.glob("sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"))
        kinds = {path.read_text().strip() for path in paths}
        slow = sorted(kinds - {"performance"})
        remedy = "cpupower frequency-set -g performance"
        found = ", ".join(sorted(kinds)) or "unknown on this system"
        return CheckResult("processor", not slow, f"governor: {found}", remedy)

    def _disk_speed(self) -> CheckResult:
        """Check the write rate of the data folder, and the duration of a sync."""
        path = _nearest(self._data) / ".rig-doctor"
        block = np.random.default_rng(0).bytes(1 << 20)
        try:
            with path.open("wb", buffering=0) as file:
                began = time.perf_counter()
                for _ in range(_WRITE_MB):
                    file.write(block)
                os.fsync(file.fileno())
                mb_s = _WRITE_MB / (time.perf_counter() - began)
                sync_ms = max(_sync_ms(file.fileno()) for _ in range(10))
        except OSError as error:
            return CheckResult(
                "disk", False, f"cannot be written: {error.strerror}", "choose another --data"
            )
        finally:
            path.unlink(missing_ok=True)
        good = mb_s > _WRITE_MB_S and sync_ms < _SYNC_MS
        found = f"{mb_s:.0f} MB/s; a message is on disk within {sync_ms:.0f} ms"
        return CheckResult(
            "disk", good, found, "use a local SSD, not a network share or a USB stick"
        )

    def _disk_room(self) -> CheckResult:
        """Check the free space of the data folder."""
        free_gb = shutil.disk_usage(_nearest(self._data)).free / 1e9
        return CheckResult(
            "room", free_gb > _FREE_GB, f"{free_gb:.0f} GB free", "move old sessions away"
        )

    def _usb_suspend(self) -> CheckResult:
        """Check that no USB device is suspended."""
        controls = self._root.glob("sys/bus/usb/devices/*/power/control")
        asleep = [path.parents[1].name for path in controls if path.read_text().strip() == "auto"]
        found = f"{len(asleep)} devices may be suspended" if asleep else "no device is suspended"
        remedy = "boot with usbcore.autosuspend=-1, or write on into .../power/control"
        return CheckResult("USB", not asleep, found, remedy)

    def _compositor(self) -> CheckResult:
        """Check that no compositor runs."""
        names = {
            path.read_text(errors="replace").strip() for path in self._root.glob("proc/[0-9]*/comm")
        }
        there = sorted(names & set(_COMPOSITORS))
        found = f"{', '.join(there)} runs" if there else "none runs"
        remedy = "run the corridor on an X server without a compositor: it delays frames"
        return CheckResult("compositor", not there, found, remedy)

    def _ni_driver(self) -> CheckResult:
        """Check whether the driver of NI cards is installed."""
        library = ctypes.util.find_library("nidaqmx" if sys.platform != "win32" else "nicaiu")
        found = "installed" if library else "not installed"
        remedy = "needed for NI cards in this machine only: install NI-DAQmx from ni.com"
        return CheckResult("NI driver", library is not None, found, remedy)

    def _serial_rights(self) -> CheckResult:
        """Check that serial boards may be opened."""
        ports = [*self._root.glob("dev/ttyUSB*"), *self._root.glob("dev/ttyACM*")]
        shut = [path.name for path in ports if not os.access(path, os.R_OK | os.W_OK)]
        found = f"{', '.join(shut)} may not be opened" if shut else f"{len(ports)} ports, all open"
        return CheckResult("serial ports", not shut, found, "add yourself to the group dialout")


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest existing folder above it."""
    return next(path for path in (folder, *folder.absolute().parents) if path.is_dir())


def _sync_ms(file: int) -> float:
    began = time.perf_counter()
    os.write(file, b"a message")
    os.fsync(file)
    return (time.perf_counter() - began) * 1e3
