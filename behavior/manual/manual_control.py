"""A rig's devices in the control of a person, without animal and session: to flush, to measure."""

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
"""Between two pulses."""


class ManualControl:
    """The opened devices; every wait keeps looking at them, so that none falls silent."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self._devices, self._clock = hardware.devices, hardware.clock
        self.max_open_ms = hardware.settings.guard.max_open_ms
        """No pulse is longer."""
        self.licks: dict[str, list[int]] = {name: [] for name in self._devices.licks}
        self.edges: dict[str, list[tuple[int, bool]]] = {n: [] for n in self._devices.lines}
        """What was seen so far, ns of this handling's own clock."""
        self.warnings: list[str] = []
        """What the boards had to say so far."""
        self.waiting_since_s: float | None = None
        """Since when (s, monotonic) a device is being asked; None while none is."""

    def valve(self, name: str) -> Valve:
        """Return a valve. Raises Refused if there is none of that name."""
        valves = self._devices.valves
        if name not in valves:
            known = ", ".join(valves) or "none"
            raise Refused(f"there is no valve {name} in the setup (there are: {known})")
        return valves[name]

    def counts(self) -> int:
        """Return the wheel's counts now."""
        with self._waiting():
            return self._devices.wheel.counts(self._clock.now())

    def side_counts(self) -> int | None:
        """Return a ball's counts sideways now; None for a wheel, which has none."""
        wheel = self._devices.wheel
        with self._waiting():
            return wheel.side_counts(self._clock.now()) if isinstance(wheel, Ball) else None

    def forward_signs(self) -> tuple[float, float]:
        """Return the sign of a count as the animal moves forward, and as it moves right."""
        settings = self._devices.wheel.settings
        side = getattr(settings, "side_cm_per_count", 1.0)
        return math.copysign(1.0, settings.cm_per_count), math.copysign(1.0, side)

    def exposures(self, camera: str) -> int:
        """Return how many exposures a camera has begun."""
        with self._waiting():
            return self._devices.cameras[camera].exposures(self._clock.now())

    def now(self) -> int:
        """Return the time, ns."""
        return self._clock.now()

    def poll_for(self, seconds: float) -> None:
        """Look at the devices for so long."""
        until = self._clock.now() + round(seconds * 1e9)
        while (now := self._clock.now()) < until:
            self._poll(now)
            time.sleep(_POLL_S)

    def poll_until(self, seen: Callable[[], bool], seconds: float) -> bool:
        """Look at the devices until that is seen, or for so long; return whether it was."""
        until = self._clock.now() + round(seconds * 1e9)
        while not (there := seen()) and self._clock.now() < until:
            self.poll_for(0.02)
        return there

    def poll_during(self, prompt: Callable[[], T]) -> T:
        """Return what a person answers to a prompt; a thread looks at the devices until then.

        Raises what they raised meanwhile, once there is an answer.
        """
        answered = threading.Event()
        with ThreadPoolExecutor(1, "look") as pool:
            looking = pool.submit(self._poll_until_set, answered)
            try:
                answer = prompt()
            finally:
                answered.set()
            looking.result()
        return answer

    def set_output(self, name: str, up: bool) -> None:
        """Put an output up or down."""
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
        """Open a valve so often for so long; yield when each pulse began.

        Raises Refused if a pulse would be longer than the rig's guard allows.
        """
        if not 0 < open_ms <= self.max_open_ms:
            limit = f"over the rig's limit of {self.max_open_ms:g} ms"
            raise Refused(f"a pulse of {open_ms:g} ms is {limit}")
        valve = self.valve(name)
        for _ in range(count):
            with self._waiting():
                opened = valve.pulse(self._clock.now(), open_ms)
            yield opened
            self.poll_for((open_ms + MIN_GAP_MS) / 1000)

    def open(self, zero_ns: int) -> None:
        """Open the devices; `zero_ns` is the clock's zero on the machine's clock."""
        boards = self._devices.boards.values()
        for board in boards:  # each by itself: one that wakes slowly may take seconds
            with self._waiting():
                board.open()
        for board in boards:
            with self._waiting():
                # it learns from it where the clock's zero is, a simulated mouse that it lives
                board.handle(Start(0, {"seed": 0, "t0_ns": zero_ns, "task": {}}))

    def close(self) -> None:
        """Shut all valves and let go of the devices; no second Ctrl-C interrupts it."""
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
    """Open the devices of [nodes.hardware], and shut all valves at the end, however it comes.

    Raises Refused if the rig is in use, or a device cannot be had. A device that does not
    come back ends the process: nothing else could, and each shuts its valves by itself.
    """
    with RigLock(session, "flush, calibrate or check"):
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
    """Nobody hears what the driver says: there is no session."""
