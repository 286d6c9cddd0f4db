"""The lines of the simulated card, their past changes, and scheduled events."""

import heapq
import threading
from collections import defaultdict
from collections.abc import Callable
from itertools import count

from rig.clock import monotonic_ns

Change = Callable[[int, bool], None]
TIMEBASE_NS = 10_000


class Event:
    """A scheduled event, unless it is cancelled."""

    def __init__(self, act: Callable[[int], None]) -> None:
        self.act: Callable[[int], None] | None = act

    def call_off(self) -> None:
        self.act = None


class Signals:
    """Lines and terminals by name, "port0/line3" or "PFI0"; all times are monotonic ns.

    A wire carries a line's level to other lines. `drift_ppm` is how fast the card's clock runs.
    """

    def __init__(self, wires: dict[str, list[str]], drift_ppm: float) -> None:
        self.lock = threading.RLock()
        self.level: dict[str, bool] = defaultdict(bool)
        self.changes: dict[str, list[tuple[int, bool]]] = defaultdict(list)
        self.position: dict[str, int] = defaultdict(int)
        """Steps of the encoder on each counter."""
        self.forced_down: set[str] = set()
        """Lines that the watchdog keeps low."""
        self._wires, self._drift = wires, 1.0 + drift_ppm * 1e-6
        self._began = monotonic_ns()
        self._watchers: dict[str, list[Change]] = defaultdict(list)
        self._due: list[tuple[int, int, Event]] = []
        self._order = count()
        self._news = threading.Condition(self.lock)
        threading.Thread(target=self._run, daemon=True).start()

    def reset(self) -> None:
        """Lower all lines and forget their changes."""
        with self.lock:
            self.level.clear()
            self.changes.clear()
            self.forced_down.clear()

    def set_clock(self, seconds: float) -> None:
        """Set the card's timebase forward, or back."""
        with self.lock:
            self._began -= round(seconds * 1e9)

    def ticks(self, t: int) -> int:
        """Return the card's timebase at a time, not wrapped."""
        return int((t - self._began) * self._drift / TIMEBASE_NS)

    def drive(self, line: str, up: bool, t: int | None = None) -> int:
        """Raise or lower a line, now or at a recent time; return when."""
        with self.lock:
            if t is None:
                t = monotonic_ns()
                self.catch_up(t)
            if line in self.forced_down:
                up = False
            if self.level[line] != up:
                self.level[line] = up
                self.changes[line].append((t, up))
                for watcher in tuple(self._watchers[line]):
                    watcher(t, up)
                for other in self._wires.get(line, ()):
                    self.drive(other, up, t)
            return t

    def watch(self, line: str, watcher: Change) -> Callable[[], None]:
        """Call a function at each change of a line; return a function that ends this."""
        with self.lock:
            self._watchers[line].append(watcher)
        return lambda: self._watchers[line].remove(watcher)

    def at(self, t: int, act: Callable[[int], None]) -> Event:
        """Schedule an event."""
        event = Event(act)
        with self._news:
            heapq.heappush(self._due, (t, next(self._order), event))
            self._news.notify()
        return event

    def catch_up(self, now: int) -> None:
        """Carry out all events that are due, so that a late thread does not change their order."""
        while self._due and self._due[0][0] <= now:
            t, _, event = heapq.heappop(self._due)
            if event.act is not None:
                event.act(t)

    def _run(self) -> None:
        with self._news:
            while True:
                self.catch_up(monotonic_ns())
                wait_s = (self._due[0][0] - monotonic_ns()) / 1e9 if self._due else None
                if wait_s is None or wait_s > 0:
                    self._news.wait(wait_s)
