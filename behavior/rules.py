"""The rules of the experiment as the referee reads them, apart from the task's own code.

The source is the description of the experiment: Zhong et al., Nature 2025, and a task's facts.
"""

from collections import deque
from typing import Literal

import msgspec

from rig.messages import TrialStart

LONGEST_STEP_NS = 100_000_000
"""A wheel that was silent for longer moves the corridor no further than this."""
SAME_M = 1e-6
"""Two sums of one path differ by rounding, under a nanometre; one step of a wheel is 600 times
this and more at 60 cm/s and 1 kHz."""
SAME_CM_S = 1e-6
LATE_NS = 200_000_000
"""How long after its cause water may come: what a busy hub and device take, and then some."""

Blame = tuple[str, str]
"""The name of a violation, and the rest of its sentence."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What of a task's facts the referee needs."""

    cohort: str
    stimuli: list[str]
    rewarded: list[str]
    max_repeats: int
    texture_m: float
    grey_m: float
    corridor_cm_s: float
    run_threshold_cm_s: float
    stop_cm_s: float
    speed_window_ms: float
    cue_from_m: float
    cue_to_m: float
    reward_mode: Literal["passive", "active"]
    reward_delay_ms: float
    reward_ul: float
    spout: str
    trials: int
    minutes: float
    grey_before_s: float

    @property
    def lap_m(self) -> float:
        """The whole corridor."""
        return self.texture_m + self.grey_m

    @property
    def m_per_ns(self) -> float:
        """How fast the corridor moves."""
        return self.corridor_cm_s / 100 / 1e9

    def rewards(self, stimulus: str) -> bool:
        """Whether this mouse may get water in that corridor."""
        return self.cohort == "task" and stimulus in self.rewarded

    def against(self, start: TrialStart) -> list[Blame]:
        """Return what in a drawn trial contradicts the facts."""
        found: list[Blame] = []
        if start.stimulus not in self.stimuli:
            found.append(("wrong stimulus", f"{start.stimulus} is none of the task's stimuli"))
        if (start.texture_m, start.grey_m) != (self.texture_m, self.grey_m):
            found.append(("wrong corridor", f"{start.texture_m:g} + {start.grey_m:g} m long"))
        if start.rewarded != self.rewards(start.stimulus):
            not_ = "" if start.rewarded else "not "
            found.append(
                ("wrong cohort", f"{start.stimulus} is {not_}to be rewarded for this mouse")
            )
        mode, delay_ms = ("none", 0.0)
        if self.cohort == "task":
            mode, delay_ms = self.reward_mode, self.reward_delay_ms
        if (start.reward_mode, start.reward_delay_ms) != (mode, delay_ms):
            said = f"{start.reward_mode} after {start.reward_delay_ms:g} ms"
            found.append(
                ("wrong mode", f"{said}, where the task says {mode} after {delay_ms:g} ms")
            )
        cue_m = start.cue_position_m
        if cue_m is None or not self.cue_from_m <= cue_m <= self.cue_to_m:
            between = f"{self.cue_from_m:g} to {self.cue_to_m:g} m"
            found.append(("wrong cue place", f"drawn at {cue_m} m, and not in {between}"))
        return found


class Way:
    """How long the corridor has moved, from the wheel: whole nanoseconds, so no sum can drift."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._window_ns = int(rules.speed_window_ms * 1e6)
        self._forward: deque[tuple[int, float]] = deque()
        self._cm = 0.0
        self._runs = False
        self.t = 0
        self.moved_ns = 0
        self.speed_cm_s = 0.0

    def step(self, t: int, cm: float, said_cm_s: float | None) -> bool:
        """Take the wheel at t (ns), and return whether the task's speed is this one.

        Just at a limit rounding would decide whether the mouse runs: a said speed that is the
        same within SAME_CM_S then decides, so that both decide alike.
        """
        first = not self._forward
        if first:
            self._forward.append((t, 0.0))
        elif t > self.t:
            self._forward.append((t, self._forward[-1][1] + max(cm - self._cm, 0.0)))
        else:
            return True
        passed_ns = 0 if first else min(t - self.t, LONGEST_STEP_NS)
        self.t, self._cm = t, cm
        path_cm = self._forward[-1][1] - self._before(t - self._window_ns)
        self.speed_cm_s = path_cm / self._window_ns * 1e9
        agreed = said_cm_s is None or abs(said_cm_s - self.speed_cm_s) <= SAME_CM_S
        speed_cm_s = said_cm_s if agreed and said_cm_s is not None else self.speed_cm_s
        rules = self._rules
        starts = speed_cm_s > rules.run_threshold_cm_s
        self._runs = speed_cm_s >= rules.stop_cm_s if self._runs else starts
        if self._runs:
            self.moved_ns += passed_ns
        return agreed

    def _before(self, t: int) -> float:
        """Return the forward path (cm) at t, on the straight line between two wheels."""
        while len(self._forward) > 2 and self._forward[1][0] <= t:
            self._forward.popleft()
        earlier, later = self._forward[0], self._forward[min(1, len(self._forward) - 1)]
        if t <= earlier[0]:
            return earlier[1]
        share = (t - earlier[0]) / (later[0] - earlier[0])
        return earlier[1] + share * (later[1] - earlier[1]) if share < 1 else later[1]
