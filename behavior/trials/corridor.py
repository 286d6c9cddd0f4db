"""Compute the speed of the mouse and the position of the corridor from the wheel."""

from collections import deque

from behavior.trials.task_settings import Block

MAX_STEP_NS = 100_000_000
"""Longest time for which the corridor advances between two Wheels, ns."""


class RunningDetector:
    """Whether the mouse runs, from its forward path in a window of the last device time.

    Backward steps count as 0.
    """

    def __init__(self, window_ms: float, start_cm_s: float, stop_cm_s: float) -> None:
        """Start at rest; running starts above start_cm_s and stops below stop_cm_s."""
        self._window_ns = int(window_ms * 1e6)
        self._start_cm_s, self._stop_cm_s = start_cm_s, stop_cm_s
        self._path: deque[tuple[int, float]] = deque()
        """(t, forward path in cm): the Wheels of the window, and the last one before it."""
        self._path_cm = 0.0
        self.speed_cm_s = 0.0
        self.wheel_cm: float | None = None
        """Position of the wheel, cm; None before the first Wheel."""
        self.is_running = False

    def update(self, t: int, cm: float) -> None:
        """Update with the wheel at `cm` at t (ns); ignored if t is not after the last t."""
        if self._path and t <= self._path[-1][0]:
            return
        if self.wheel_cm is not None:
            self._path_cm += max(0.0, cm - self.wheel_cm)
        self.wheel_cm = cm
        self._path.append((t, self._path_cm))
        window_cm = self._path_cm - self._path_at(t - self._window_ns)
        self.speed_cm_s = window_cm / (self._window_ns / 1e9)
        if self.is_running:
            self.is_running = self.speed_cm_s >= self._stop_cm_s
        else:
            self.is_running = self.speed_cm_s > self._start_cm_s

    def _path_at(self, t: int) -> float:
        """Return the forward path (cm) at t, interpolated linearly; drop older samples."""
        path = self._path
        while len(path) > 1 and path[1][0] <= t:
            path.popleft()
        t0, cm0 = path[0]
        if t <= t0 or len(path) == 1:
            return cm0
        t1, cm1 = path[1]
        return cm0 + (cm1 - cm0) * (t - t0) / (t1 - t0)


class Corridor:
    """The position of the mouse in the corridor, which never decreases within a trial."""

    def __init__(self, block: Block, window_ms: float) -> None:
        """Start a block; with a gain, a corridor that moved in the last window_ms is moving."""
        self._block = block
        self._window_ns = int(window_ms * 1e6)
        self._m_per_ns = block.corridor_cm_s / 100 / 1e9
        self._t: int | None = None
        self._moved_t: int | None = None
        self._reached_cm: float | None = None
        """The wheel position from which the next step is counted, cm."""
        self.position_m = 0.0

    def advance(self, t: int, running: RunningDetector, in_trial: bool) -> bool:
        """Advance to t (ns) and return True if the corridor moves; it moves only in a trial.

        If t is before the last t, the corridor does not advance.
        """
        elapsed_ns = 0 if self._t is None else min(t - self._t, MAX_STEP_NS)
        if elapsed_ns >= 0:
            self._t = t
        if not in_trial:
            self._reached_cm, self._moved_t = running.wheel_cm, None
            return False
        if self._block.motion == "gain":
            return self._follow(t, running.wheel_cm)
        moves = running.is_running or self._block.motion == "always"
        if moves:
            self.position_m += max(elapsed_ns, 0) * self._m_per_ns
        return moves

    def _follow(self, t: int, wheel_cm: float | None) -> bool:
        """Move with the wheel. With net distance, backward steps must first be made up for:

        wheel      0   3   1   2   5 cm
        forward    0   3   3   4   7 cm    steps count from the last position
        net        0   3   3   3   5 cm    steps count from the farthest position
        """
        if wheel_cm is None or self._reached_cm is None:
            self._reached_cm = wheel_cm
            return False
        step_cm = wheel_cm - self._reached_cm
        if step_cm > 0.0:
            self.position_m += step_cm / 100 * self._block.gain
            self._moved_t = t
        if step_cm > 0.0 or self._block.gain_distance == "forward":
            self._reached_cm = wheel_cm
        return self._moved_t is not None and t - self._moved_t < self._window_ns
