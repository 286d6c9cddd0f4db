"""The way of the corridor, worked out from the wheel apart from the task's own code."""

from collections import deque

from behavior.judging.rules import BlockRules, Rules

LONGEST_STEP_NS = 100_000_000
"""A wheel that was silent for longer moves the corridor no further than this."""
SAME_CM_S = 1e-6


class Odometer:
    """How far the corridor came: time in whole nanoseconds, so that no sum can drift."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._window_ns = int(rules.speed_window_ms * 1e6)
        self._forward: deque[tuple[int, float]] = deque()
        self._cm = 0.0
        self._runs = False
        self._passed_ns = 0
        self._step_cm = 0.0
        self._moved_ns = 0
        self._gained_cm = 0.0
        self.t = 0
        self.speed_cm_s = 0.0

    def step(self, t: int, cm: float, said_cm_s: float | None) -> bool:
        """Take the wheel at t (ns), and return whether the task's speed is this one.

        Just at a limit rounding would decide whether the mouse runs: a said speed that is the
        same within SAME_CM_S then decides, so that both decide alike.
        """
        self._passed_ns, self._step_cm = 0, 0.0
        if not self._forward:
            self._forward.append((t, 0.0))
        elif t > self.t:
            self._passed_ns = min(t - self.t, LONGEST_STEP_NS)
            self._step_cm = max(cm - self._cm, 0.0)
            self._forward.append((t, self._forward[-1][1] + self._step_cm))
        else:
            return True
        self.t, self._cm = t, cm
        path_cm = self._forward[-1][1] - self._before(t - self._window_ns)
        self.speed_cm_s = path_cm / self._window_ns * 1e9
        agreed = said_cm_s is None or abs(said_cm_s - self.speed_cm_s) <= SAME_CM_S
        speed_cm_s = said_cm_s if agreed and said_cm_s is not None else self.speed_cm_s
        rules = self._rules
        starts = speed_cm_s > rules.run_threshold_cm_s
        self._runs = speed_cm_s >= rules.stop_cm_s if self._runs else starts
        return agreed

    def begin(self) -> None:
        """Count from here on."""
        self._moved_ns, self._gained_cm = 0, 0.0

    def go(self, block: BlockRules) -> float:
        """Let the corridor move with the last wheel; return its way since `begin`, m."""
        if not block.runs:
            return 0.0
        if block.motion == "gain":
            self._gained_cm += self._step_cm
            return self._gained_cm / 100 * block.gain
        if self._runs or block.motion == "always":
            self._moved_ns += self._passed_ns
        return self._moved_ns * (block.corridor_cm_s / 100 / 1e9)

    def _before(self, t: int) -> float:
        """Return the forward path (cm) at t, on the straight line between two wheels."""
        while len(self._forward) > 2 and self._forward[1][0] <= t:
            self._forward.popleft()
        earlier, later = self._forward[0], self._forward[min(1, len(self._forward) - 1)]
        if t <= earlier[0]:
            return earlier[1]
        share = (t - earlier[0]) / (later[0] - earlier[0])
        return earlier[1] + share * (later[1] - earlier[1]) if share < 1 else later[1]
