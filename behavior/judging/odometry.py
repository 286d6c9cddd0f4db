"""The distance of the corridor, computed from the wheel without the task's code."""

from collections import deque

from behavior.judging.rules import BlockRules, Rules

MAX_STEP_NS = 100_000_000
"""The longest time for which the corridor moves between two Wheels, ns."""
SAME_CM_S = 1e-6
"""Two speeds that differ by less than this are equal, cm/s."""


class Odometer:
    """The speed of the mouse, and the distance that a trial's corridor has moved.

    Call `update` with every Wheel, and then `advance` during a trial. Times are sums of whole ns,
    so that rounding errors cannot add up.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._window_ns = int(rules.speed_window_ms * 1e6)
        self._path: deque[tuple[int, float]] = deque()
        """(t, forward path in cm): the Wheels of the window, and one or two before it."""
        self._wheel_cm = 0.0
        self._is_running = False
        # The step at the last Wheel.
        self._elapsed_ns = 0
        self._step_cm = 0.0
        # Sums since the trial started. A trial that directly follows another starts at its
        # farthest point.
        self._moved_ns = 0
        self._forward_cm = 0.0
        self._net_cm = 0.0
        self._farthest_cm = 0.0
        """Largest net distance so far, cm."""
        self.t = 0
        self.speed_cm_s = 0.0

    def update(self, t: int, cm: float, task_cm_s: float | None) -> bool:
        """Update from a Wheel at t (ns); return True if the task's speed at that time agrees.

        If the two speeds are equal within SAME_CM_S, the task's speed is compared with the
        thresholds. Otherwise, close to a threshold, rounding could decide differently here.
        """
        self._elapsed_ns, self._step_cm = 0, 0.0
        if not self._path:
            self._path.append((t, 0.0))
        elif t > self.t:
            self._elapsed_ns = min(t - self.t, MAX_STEP_NS)
            self._step_cm = cm - self._wheel_cm
            self._path.append((t, self._path[-1][1] + max(self._step_cm, 0.0)))
        else:
            return True
        self.t, self._wheel_cm = t, cm
        window_cm = self._path[-1][1] - self._path_at(t - self._window_ns)
        self.speed_cm_s = window_cm / self._window_ns * 1e9
        agrees = task_cm_s is None or abs(task_cm_s - self.speed_cm_s) <= SAME_CM_S
        speed_cm_s = task_cm_s if agrees and task_cm_s is not None else self.speed_cm_s
        if self._is_running:
            self._is_running = speed_cm_s >= self._rules.stop_cm_s
        else:
            self._is_running = speed_cm_s > self._rules.run_threshold_cm_s
        return agrees

    def start_trial(self) -> None:
        """Start to count the distance of a trial."""
        self._moved_ns = 0
        self._forward_cm = self._net_cm = self._farthest_cm = 0.0

    def advance(self, block: BlockRules) -> float:
        """Move the corridor by the last Wheel; return the distance since the trial started, m."""
        if not block.is_corridor:
            return 0.0
        if block.motion == "gain":
            self._forward_cm += max(self._step_cm, 0.0)
            self._net_cm += self._step_cm
            self._farthest_cm = max(self._farthest_cm, self._net_cm)
            distance_cm = self._farthest_cm if block.gain_distance == "net" else self._forward_cm
            return distance_cm / 100 * block.gain
        if self._is_running or block.motion == "always":
            self._moved_ns += self._elapsed_ns
        return self._moved_ns * (block.corridor_cm_s / 100 / 1e9)

    def _path_at(self, t: int) -> float:
        """Return the forward path (cm) at t, interpolated linearly between two Wheels."""
        while len(self._path) > 2 and self._path[1][0] <= t:
            self._path.popleft()
        earlier, later = self._path[0], self._path[min(1, len(self._path) - 1)]
        if t <= earlier[0]:
            return earlier[1]
        share = (t - earlier[0]) / (later[0] - earlier[0])
        return earlier[1] + share * (later[1] - earlier[1]) if share < 1 else later[1]
