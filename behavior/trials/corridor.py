"""The running rule: from the wheel's path to the speed of the mouse and the way of the corridor."""

from collections import deque
from typing import Literal

LONGEST_STEP_NS = 100_000_000
"""The corridor advances by no more than this at once, however long the wheel was silent."""


class Running:
    """Whether the mouse runs: its forward path over the last window of device time."""

    def __init__(self, window_ms: float, start_cm_s: float, stop_cm_s: float) -> None:
        """The mouse starts to run above start_cm_s and stops below stop_cm_s."""
        self._window_ns = int(window_ms * 1e6)
        self._start_cm_s, self._stop_cm_s = start_cm_s, stop_cm_s
        self._steps: deque[tuple[int, float]] = deque()
        self._path_cm = 0.0
        self._last_cm: float | None = None
        self.speed_cm_s = 0.0
        self.forward_cm = 0.0
        """How far the mouse came forward with the last wheel."""
        self.moving = False

    def step(self, t: int, cm: float) -> None:
        """Take the wheel's path cm at t (ns). A wheel older than the last one changes nothing."""
        self.forward_cm = 0.0
        if self._steps and t <= self._steps[-1][0]:
            return
        if self._last_cm is not None:
            self.forward_cm = max(0.0, cm - self._last_cm)
        self._last_cm = cm
        self._path_cm += self.forward_cm
        self._steps.append((t, self._path_cm))
        before_cm = self._path_at(t - self._window_ns)
        self.speed_cm_s = (self._path_cm - before_cm) / (self._window_ns / 1e9)
        if self.moving:
            self.moving = self.speed_cm_s >= self._stop_cm_s
        else:
            self.moving = self.speed_cm_s > self._start_cm_s

    def _path_at(self, t: int) -> float:
        """Return the forward path at t, linear between wheels; forget what came before."""
        steps = self._steps
        while len(steps) > 1 and steps[1][0] <= t:
            steps.popleft()
        (t0, cm0) = steps[0]
        if t <= t0 or len(steps) == 1:
            return cm0
        (t1, cm1) = steps[1]
        return cm0 + (cm1 - cm0) * (t - t0) / (t1 - t0)


class Corridor:
    """Where the mouse stands in the corridor, and how its running moves it on."""

    def __init__(
        self, motion: Literal["running", "gain", "always"], speed_cm_s: float, gain: float
    ) -> None:
        """It moves at one speed while the mouse runs, gain times as far as it, or always."""
        self._motion, self._gain = motion, gain
        self._m_per_ns = speed_cm_s / 100 / 1e9
        self._t: int | None = None
        self.position_m = 0.0

    def step(self, t: int, running: Running, free: bool) -> bool:
        """Let time pass until t (ns); return whether it moves, which it does only if free.

        A t that goes back passes no time.
        """
        passed_ns = 0 if self._t is None else min(t - self._t, LONGEST_STEP_NS)
        if passed_ns >= 0:
            self._t = t
        if not free:
            return False
        if self._motion == "gain":
            self.position_m += running.forward_cm / 100 * self._gain
            return running.speed_cm_s > 0.0
        moves = running.moving or self._motion == "always"
        if moves:
            self.position_m += max(passed_ns, 0) * self._m_per_ns
        return moves
