"""Operate a rig's devices by hand, without animal or session: flush, check and calibrate."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from behavior.devices.protocols import Ball, Lick, Line, Valve
from behavior.hardware import Hardware
from behavior.manual.safe_exit import clean_exit_on_signals, exit_if_hung, signals_ignored
from rig.clock import RealClock, monotonic_ns
from rig.errors import Refused
from rig.messages import Start
from rig.session.locks import RigLock
from rig.settings.config import SessionSettings, convert

T = TypeVar("T")
_POLL_S = 0.001
MIN_GAP_MS = 50.0
"""Shortest time between two pulses, ms."""


class ManualControl:
    """The opened devices. They are polled during every wait, so that no watchdog expires."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self._devices, self._clock = hardware.devices, hardware.clock
        self.max_open_ms = hardware.settings.guard.max_open_ms
        """Longest pulse, ms."""
        self.licks: dict[str, list[int]] = {name: [] for name in self._devices.licks}
        self.edges: dict[str, list[tuple[int, bool]]] = {n: [] for n in self._devices.lines}
        """Lick onsets and line changes so far, ns since the devices were opened."""
        self.warnings: list[str] = []
        """Warnings of the boards so far."""
        self.waiting_since_s: float | None = None
        """Time at which the current call of a device began (s, monotonic); None between calls."""

    def valve(self, name: str) -> Valve:
        """Return a valve. Raises Refused if the setup has none of that name."""
        valves = self._devices.valves
        if name not in valves:
            known = ", ".join(valves) or "none"
            raise Refused(f"the setup has no valve {name} (it has: {known}); choose another name")
        return valves[name]

    def counts(self) -> int:
        """Return the wheel's counts."""
        with self._waiting():
            return self._devices.wheel.counts(self._clock.now())

    def side_counts(self) -> int | None:
        """Return a ball's sideways counts; None for a wheel."""
        wheel = self._devices.wheel
        with self._waiting():
            return wheel.side_counts(self._clock.now()) if isinstance(wheel, Ball) else None

    def forward_signs(self) -> tuple[float, float]:
        """Return the signs of the counts for forward movement and for movement to the right."""
        settings = self._devices.wheel.settings
        side = getattr(settings, "side_cm_per_count", 1.0)
        return math.copysign(1.0, settings.cm_per_count), math.copysign(1.0, side)

    def exposures(self, camera: str) -> int:
        """Return the number of exposures of a camera so far."""
        with self._waiting():
            return self._devices.cameras[camera].exposures(self._clock.now())

    def now(self) -> int:
        """Return the current time, ns."""
        return self._clock.now()

    def poll_for(self, seconds: float) -> None:
        """Poll the devices for some time."""
        until = self._clock.now() + round(seconds * 1e9)
        while (now := self._clock.now()) < until:
            self._poll(now)
            time.sleep(_POLL_S)

    def poll_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Poll the devices until a condition holds; return False if it does not in `seconds`."""
        until = self._clock.now() + round(seconds * 1e9)
        while not (met := condition()) and self._clock.now() < until:
            self.poll_for(0.02)
        return met

    def poll_during(self, prompt: Callable[[], T]) -> T:
        """Return the answer to a prompt; a thread polls the devices until the answer.

        An error of a device is raised after the answer.
        """
        answered = threading.Event()
        with ThreadPoolExecutor(1, "poll") as pool:
            polling = pool.submit(self._poll_until_set, answered)
            try:
                answer = prompt()
            finally:
                answered.set()
            polling.result()
        return answer

    def set_output(self, name: str, up: bool) -> None:
        """Raise or lower an output."""
        with self._waiting():
            self._devices.outputs[name].set(self._clock.now(), up)

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs."""
        return list(self._devices.outputs)

    @property
    def cameras(self) -> list[str]:
        """The names of the cameras."""
        return list(self._devices.cameras)

    @property
    def valves(self) -> list[str]:
        """The names of the valves."""
        return list(self._devices.valves)

    def pulses(self, name: str, open_ms: float, count: int) -> Iterator[int]:
        """Open a valve `count` times for open_ms; yield the time (ns) at which each pulse began.

        Raises:
            Refused: The pulse is longer than the rig's guard allows.
        """
        if not 0 < open_ms <= self.max_open_ms:
            raise Refused(
                f"a pulse of {open_ms:g} ms exceeds the rig's limit of {self.max_open_ms:g} ms; "
                "choose a shorter one"
            )
        valve = self.valve(name)
        for _ in range(count):
            with self._waiting():
                opened = valve.pulse(self._clock.now(), open_ms)
            yield opened
            self.poll_for((open_ms + MIN_GAP_MS) / 1000)

    def open(self, zero_ns: int) -> None:
        """Open the devices. Times count from zero_ns (ns, monotonic)."""
        boards = self._devices.boards.values()
        for board in boards:  # one timed call per board, as a board that resets takes seconds
            with self._waiting():
                board.open()
        for board in boards:
            with self._waiting():
                # Start gives a board the zero of its times, and starts a simulated mouse.
                board.handle(Start(0, {"seed": 0, "t0_ns": zero_ns, "task": {}}))

    def close(self) -> None:
        """Shut all valves and close the devices; signals are ignored until this is done."""
        with signals_ignored(), self._waiting():
            self._hardware.close()

    def _poll_until_set(self, answered: threading.Event) -> None:
        while not answered.wait(_POLL_S):
            self._poll(self._clock.now())

    def _poll(self, now: int) -> None:
        devices = self._devices
        with self._waiting():
            for board in devices.boards.values():
                board.poll(now)
                self.warnings += board.pop_warnings()
            devices.wheel.counts(now)
            lick: Lick
            for name, lick in devices.licks.items():
                self.licks[name] += lick.onsets(now)
            line: Line
            for name, line in devices.lines.items():
                self.edges[name] += line.edges(now)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self.waiting_since_s = time.monotonic()
        try:
            yield
        finally:
            self.waiting_since_s = None


@contextmanager
def open_devices(session: SessionSettings) -> Iterator[ManualControl]:
    """Open the devices of [nodes.hardware]; shut all valves at the end, even after an error.

    If a device hangs, the process ends, because nothing else would help; devices end their pulses
    by themselves.

    Raises:
        Refused: The rig is in use, or a device cannot be opened.
    """
    with RigLock(session, "flush, calibrate or check", by_hand=True):
        table = session.nodes["hardware"]
        hardware = Hardware(convert(table, Hardware.Settings, "[nodes.hardware]"), _ignore)
        zero_ns = monotonic_ns()
        hardware.clock = RealClock(zero_ns)
        control = ManualControl(hardware)
        with ExitStack() as stack:
            stack.enter_context(clean_exit_on_signals())
            stack.enter_context(exit_if_hung(lambda: control.waiting_since_s))
            stack.callback(control.close)
            control.open(zero_ns)
            yield control


def _ignore(message: object) -> None:
    """Drop a message of the driver, because no session is running."""
