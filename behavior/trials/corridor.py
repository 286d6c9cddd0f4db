"""From the wheel to the speed of the mouse and the position of the corridor."""

from collections import deque
from typing import Literal

MAX_STEP_NS = 100_000_000
"""The longest time, in ns, for which the corridor advances between two Wheels."""


class RunningDetector:
    """Decides whether the mouse runs, from its forward path over the last window of device time.

    Backward steps count as 0.
    """

    def __init__(self, window_ms: float, start_cm_s: float, stop_cm_s: float) -> None:
        """Running starts above start_cm_s and stops below stop_cm_s."""
        self._window_ns = int(window_ms * 1e6)
        self._start_cm_s, self._stop_cm_s = start_cm_s, stop_cm_s
        self._path: deque[tuple[int, float]] = deque()
        """(t, forward path in cm): the Wheels of the window, and the last one before it."""
        self._path_cm = 0.0
        self._wheel_cm: float | None = None
        self.speed_cm_s = 0.0
        self.forward_cm = 0.0
        """Forward step of the last Wheel, cm; 0 if it went backward."""
        self.is_running = False

    def update(self, t: int, cm: float) -> None:
        """Take the wheel position cm at t (ns); it is ignored if t is not after the last one."""
        self.forward_cm = 0.0
        if self._path and t <= self._path[-1][0]:
            return
        if self._wheel_cm is not None:
            self.forward_cm = max(0.0, cm - self._wheel_cm)
        self._wheel_cm = cm
        self._path_cm += self.forward_cm
        self._path.append((t, self._path_cm))
        window_cm = self._path_cm - self._path_at(t - self._window_ns)
        self.speed_cm_s = window_cm / (self._window_ns / 1e9)
        if self.is_running:
            self.is_running = self.speed_cm_s >= self._stop_cm_s
        else:
            self.is_running = self.speed_cm_s > self._start_cm_s

    def _path_at(self, t: int) -> float:
        """Return the forward path (cm) at t, interpolated linearly; drop what is older."""
        path = self._path
        while len(path) > 1 and path[1][0] <= t:
            path.popleft()
        t0, cm0 = path[0]
        if t <= t0 or len(path) == 1:
            return cm0
        t1, cm1 = path[1]
        return cm0 + (cm1 - cm0) * (t - t0) / (t1 - t0)


class Corridor:
    """The position of the mouse in the corridor."""

    def __init__(
        self, motion: Literal["running", "gain", "always"], speed_cm_s: float, gain: float
    ) -> None:
        """See Block.motion for the three kinds of motion."""
        self._motion, self._gain = motion, gain
        self._m_per_ns = speed_cm_s / 100 / 1e9
        self._t: int | None = None
        self.position_m = 0.0

    def advance(self, t: int, running: RunningDetector, in_trial: bool) -> bool:
        """Advance to t (ns) and return True if the corridor moves; it moves only in a trial.

        A t before the last one advances by 0.
        """
        elapsed_ns = 0 if self._t is None else min(t - self._t, MAX_STEP_NS)
        if elapsed_ns >= 0:
            self._t = t
        if not in_trial:
            return False
        if self._motion == "gain":
            self.position_m += running.forward_cm / 100 * self._gain
            return running.speed_cm_s > 0.0
        moves = running.is_running or self._motion == "always"
        if moves:
            self.position_m += max(elapsed_ns, 0) * self._m_per_ns
        return moves
