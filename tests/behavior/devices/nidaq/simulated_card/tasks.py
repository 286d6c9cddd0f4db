"""The tasks of the simulated card: a model of the hardware, without any wire format."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from rig.clock import monotonic_ns
from tests.behavior.devices.nidaq.simulated_card.signals import TIMEBASE_NS, Event, Signals

CHANGE_EVENT = "ChangeDetectionEvent"
TIMEBASE = "100kHzTimebase"
WRAP = 1 << 32
TIMED_OUT, OVERWRITTEN = -200284, -200279


class DaqError(Exception):
    """An error of the driver."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Task:
    """A task. It holds its resources while it is reserved or running."""

    def __init__(self, signals: Signals, held: dict[str, "Task"], name: str) -> None:
        self.signals, self.name, self.held = signals, name, held
        self.kind = ""
        self.resources: list[str] = []
        self.channel = ""
        self.settings: dict[str, Any] = {}
        self.running = False
        self.samples: deque[int] = deque()
        self.capacity = 20_000
        self.overflowed = False
        self._arrived = threading.Condition(signals.lock)
        self._ends: list[Callable[[], None]] = []
        self._events: list[Event] = []
        self._count = 0
        self._taken = self._was = 0

    def reserve(self) -> None:
        for resource in self.resources:
            if self.held.setdefault(resource, self) is not self:
                raise DaqError(-50103, f"The specified resource is reserved: {resource}.")

    def start(self) -> None:
        if self.running:
            return
        self.reserve()
        self.running = True
        self.samples.clear()
        with self.signals.lock:
            getattr(self, f"_start_{self.kind}", lambda: None)()

    def stop(self) -> None:
        with self.signals.lock:
            self.signals.catch_up(monotonic_ns())  # a finished pulse ended at its own time
            for end in self._ends:
                end()
            for event in self._events:
                event.call_off()
            self._ends, self._events = [], []
            if self.kind == "pulse" and self.running:
                self.signals.drive(self.channel, up=False)
            self.running = False

    def clear(self) -> None:
        self.stop()
        for resource in [r for r, task in self.held.items() if task is self]:
            del self.held[resource]

    # -- inputs ---------------------------------------------------------------------------------

    def message(self) -> int:
        """Return the lines of this task as one number."""
        lines: list[str] = self.settings["lines"]
        return sum(self.signals.level[line] << bit for bit, line in enumerate(lines))

    def _start_inputs(self) -> None:
        for line in self.settings.get("changing", ()):
            self._ends.append(self.signals.watch(line, self._changed))
        if "hz" in self.settings:
            self._taken, self._was = 0, self.message()
            self.settings["zero"] = self.signals.ticks(monotonic_ns())
            for line in self.settings["lines"]:
                self._ends.append(self.signals.watch(line, self._sampled_until))

    def sampled(self) -> int:
        """Return the number of samples taken so far."""
        with self.signals.lock:
            self._sampled_until(monotonic_ns())
            return self._taken

    def waiting(self) -> int:
        """Return the number of samples that can be read."""
        if "hz" in self.settings:
            self.sampled()
        return len(self.samples)

    def _sampled_until(self, t: int, up: bool = False) -> None:
        """Take the samples that were due before t, with the last state of the lines."""
        passed_s = (self.signals.ticks(t) - self.settings["zero"]) * TIMEBASE_NS / 1e9
        for _ in range(int(passed_s * self.settings["hz"]) + 1 - self._taken):
            self._taken += 1
            self._push(self._was)
        self._was = self.message()

    def _changed(self, t: int, up: bool) -> None:
        self._push(self.message())
        self.signals.drive(CHANGE_EVENT, True, t)
        self.signals.drive(CHANGE_EVENT, False, t)

    def _start_edges(self) -> None:
        self._count = 0
        source = self.settings["source"]
        if source != TIMEBASE:
            self._ends.append(self.signals.watch(source, self._edge))
        else:
            self.settings["zero"] = self.signals.ticks(monotonic_ns())
        if "clock" in self.settings:
            self._ends.append(self.signals.watch(self.settings["clock"], self._latch))

    def _edge(self, t: int, up: bool) -> None:
        self._count += up

    def _latch(self, t: int, up: bool) -> None:
        if up:
            self._push(self.count(t))

    def count(self, t: int | None = None) -> int:
        """Return the counter's value at a time, by default now."""
        zero = int(self.settings.get("zero", 0))
        if self.kind == "encoder":
            return self.signals.position[self.resources[0]] - zero
        if self.settings["source"] != TIMEBASE:
            return self._count % WRAP
        ticks = self.signals.ticks(monotonic_ns() if t is None else t)
        # near its end, so that every test sees it wrap
        return (ticks - zero + WRAP - 20_000) % WRAP

    def _start_encoder(self) -> None:
        self.settings["zero"] = self.signals.position[self.resources[0]]

    def _push(self, value: int) -> None:
        self.overflowed |= len(self.samples) >= self.capacity
        self.samples.append(value)
        self._arrived.notify_all()

    def take(self, number: int, timeout_s: float) -> tuple[list[int], int]:
        """Return that many samples and 0, or fewer and an error code after the time-out."""
        with self._arrived:
            self._arrived.wait_for(lambda: len(self.samples) >= number, max(0.0, timeout_s))
            if self.overflowed:
                raise DaqError(OVERWRITTEN, "Samples no longer available.")
            got = [self.samples.popleft() for _ in range(min(number, len(self.samples)))]
        return got, 0 if len(got) == number else TIMED_OUT

    # -- outputs --------------------------------------------------------------------------------

    def _start_pulse(self) -> None:
        trigger = self.settings.get("trigger")
        if trigger is None:
            self._rise(monotonic_ns())
            return

        def triggered(t: int, up: bool) -> None:
            if up and not self._events:
                self._rise(t + 100)

        self._ends.append(self.signals.watch(trigger, triggered))

    def _rise(self, t: int) -> None:
        self.signals.drive(self.channel, True, t)
        high_ns = round(self.settings["high_s"] * 1e9 / 10) * 10  # of its 100 MHz timebase
        self._events.append(self.signals.at(t + high_ns, self._fall))

    def _fall(self, t: int) -> None:
        self.signals.drive(self.channel, False, t)

    # -- the watchdog -----------------------------------------------------------------------------

    def _start_watchdog(self) -> None:
        self.pet()

    def pet(self) -> None:
        if not self.running:
            raise DaqError(-200760, "Task must be started first.")
        if self.settings.get("expired"):
            raise DaqError(-200678, "The watchdog timer has expired.")
        for event in self._events:
            event.call_off()
        due = monotonic_ns() + round(self.settings["timeout_s"] * 1e9)
        self._events = [self.signals.at(due, self._expire)]

    def _expire(self, t: int) -> None:
        self.settings["expired"] = True
        for line in self.settings["lines"]:
            self.signals.drive(line, False, t)
            self.signals.forced_down.add(line)


__all__ = ["TIMEBASE_NS", "DaqError", "Task"]
