"""Check one trial: compare what happened in it with what had to happen."""

import msgspec

from behavior.judging.rules import LATE_NS, SAME_M, BlockRules, Rules
from rig.messages import Arm, Cue, Fault, TrialEnd, TrialStart, Valve
from rig.node import Publish


class _RewardWindow(msgspec.Struct):
    """The time in which the reward of a trial was available, in ns of the session clock.

        trial start --- cue, zone reached --- first lick, or delay over --- zone left --- trial end
                             opened_t                 due_t                 closed_t

    Each is the time of the first Wheel at which its condition held, except that a lick has its own
    time. None means that it has not happened yet. A trial that ends inside its zone closes the
    window.
    """

    opened_t: int | None = None
    """Time at which the reward became available."""
    due_t: int | None = None
    """Time at which the reward was due: the first lick inside, or the end of the passive delay."""
    closed_t: int | None = None
    """Time at which the reward became unavailable."""

    def contains(self, t: int) -> bool:
        """Return True if t is in the window, both ends included."""
        opened = self.opened_t is not None and t >= self.opened_t
        return opened and (self.closed_t is None or t <= self.closed_t)


class TrialJudge:
    """The check of a trial from its start to its verdict. Each kind of violation is reported once.

    The task publishes the Position of a Wheel first, and then the cues and requests that follow
    from the Wheel. So a Wheel is judged (judge_wheel) at the next Position, when all of these have
    been handled.
    """

    def __init__(
        self, start: TrialStart, rules: Rules, block: BlockRules, carry_m: float, publish: Publish
    ):
        """Start with the corridor at carry_m, the distance beyond the end of the trial before."""
        self.start, self.block = start, block
        self.end: TrialEnd | None = None
        self.violations: list[str] = []
        self.watered = False
        self.is_rewarded = rules.watered and start.stimulus in block.rewarded
        self.position_m = carry_m
        self._rules, self._publish = rules, publish
        self._carry_m = carry_m
        self._mode = "passive" if start.rescue else block.reward_mode
        self._t = start.t
        """Time of the last Wheel, ns."""
        self._task_m = carry_m
        """Position at that Wheel, m: the task's position if it agrees with ours, else ours."""
        self._lick_ts: list[int] = []
        self._cue_t: int | None = None
        self._window = _RewardWindow()
        self._picture_end_t = start.t + round(block.show_s * 1e9)
        """Time at which the picture ends, ns, if it is not a corridor."""
        self._is_answered = False
        """True once a Valve, open or refused, answered the trial's request."""

    def report(self, t: int, name: str, text: str) -> None:
        """Publish a violation, unless one of that name was published for this trial."""
        if name not in self.violations:
            self.violations.append(name)
            self._publish(Fault(t, f"trial {self.start.trial}: {name}: {text}"))

    def advance(self, t: int, distance_m: float) -> None:
        """Set the distance of the corridor since the start of the trial, at the Wheel of t (ns)."""
        self._t = t
        self.position_m = self._task_m = self._carry_m + distance_m

    def agrees(self, task_m: float) -> bool:
        """Return True if the task's position agrees with ours.

        If it does, the task's position is used for the limits of the zone, so that rounding cannot
        make a difference there.
        """
        same = abs(task_m - self.position_m) <= SAME_M
        self._task_m = task_m if same else self.position_m
        return same

    def judge_cue(self, cue: Cue) -> None:
        """Judge the cue; call it before the next Wheel is processed."""
        cue_m = self.start.cue_position_m
        if self._cue_t is not None:
            self.report(cue.t, "cue twice", f"again at {cue.position_m:.2f} m")
            return
        self._cue_t = cue.t
        if cue.trial != self.start.trial:
            self.report(cue.t, "wrong cue", f"it belongs to trial {cue.trial}")
        if cue_m is None or self.position_m < cue_m - SAME_M:
            where = f"at {self.position_m:.3f} m, drawn for {cue_m} m"
            self.report(cue.t, "cue too early", where)

    def judge_wheel(self) -> None:
        """Judge the last Wheel (missing cue, trial too long), and update the reward window."""
        t, cue_m, window = self._t, self.start.cue_position_m, self._window
        if self._cue_t is None and cue_m is not None and self.position_m > cue_m + SAME_M:
            text = f"drawn for {cue_m:.3f} m, and missing at {self.position_m:.3f} m"
            self.report(t, "no cue", text)
        if window.opened_t is None and self._opens():
            window.opened_t = t
        if window.closed_t is None and self._closes(t):
            window.closed_t = t
        if window.due_t is None and self._is_passive_due(t):
            window.due_t = t
        if self.end is None and self._is_too_long(t):
            where = f"{self.position_m:.2f} m" if self.block.is_corridor else f"{t / 1e9:.3f} s"
            self.report(t, "trial too long", f"it has not ended at {where}")

    def judge_end(self, end: TrialEnd, may_abort: bool) -> None:
        """Judge the TrialEnd; `may_abort` is True if there was a reason to abort it."""
        self.end = end
        if self._window.closed_t is None:
            self._window.closed_t = end.t
        if end.outcome == "aborted":
            if not may_abort:
                self.report(end.t, "unrequested abort", "neither the operator nor time ended it")
        elif self.block.is_corridor and self.position_m < self.block.lap_m - SAME_M:
            text = f"at {self.position_m:.3f} m of {self.block.lap_m:g} m"
            self.report(end.t, "ended too early", text)

    def judge_duration(self) -> None:
        """Judge the duration of a picture, after its end, because a reward may end it early."""
        end = self.end
        if end is None or end.outcome == "aborted" or self.block.is_corridor:
            return
        early_ns = self._picture_end_t + round(self.block.blank_s * 1e9) - end.t
        if early_ns > 0:
            self.report(end.t, "ended too early", f"{early_ns / 1e6:.1f} ms before its time")

    def count_lick(self, t: int) -> None:
        """Count a lick at t (ns) when it arrives, for was_licked."""
        self._lick_ts.append(t)

    def was_licked(self, before_end_ns: int) -> bool:
        """Return True if the mouse licked in the trial, at least before_end_ns before its end."""
        end_t = self._t if self.end is None else self.end.t
        return any(self.start.t <= t <= end_t - before_end_ns for t in self._lick_ts)

    def judge_lick(self, t: int) -> None:
        """Check if a reward is due for a lick at t (ns), after the Wheels up to t are judged."""
        due_t = self._window.due_t
        active = self.is_rewarded and self._mode == "active"
        if active and self._window.contains(t) and (due_t is None or t < due_t):
            self._window.due_t = t

    def judge_valve(self, valve: Valve, arm: Arm | None, lick_known: bool) -> None:
        """Judge the answer to a request.

        Args:
            valve: The answer.
            arm: The request, or None if there was none.
            lick_known: True if there was a Lick at the valve's lick_t.
        """
        self._is_answered = True
        self._picture_end_t = min(self._picture_end_t, valve.t)
        if valve.refused:
            return
        if self.watered:
            self.report(valve.t, "two rewards", "water came again")
        self.watered = True
        if not self.is_rewarded:
            text = f"water in {self.start.stimulus}, cohort {self._rules.cohort}"
            self.report(valve.t, "reward in unrewarded trial", text)
            return
        if (valve.line, valve.volume_ul) != (self._rules.spout, self.block.reward_ul):
            text = f"{valve.volume_ul:g} ul from {valve.line}"
            self.report(valve.t, "wrong volume", text)
        if arm is None:
            self.report(valve.t, "unrequested reward", "the task did not request it")
        elif self._mode == "active" and not lick_known:
            self.report(valve.t, "reward without a lick", "there was no lick at its time")
        self._judge_reward_time(valve, cause_t(valve, arm))

    def check_missed_reward(self, known_t: int) -> None:
        """Report a reward that was due but was not given, if everything up to known_t is known."""
        due_t = self._window.due_t
        if due_t is None or self._is_answered or known_t <= due_t + LATE_NS:
            return
        if self.end is None or self.end.t > due_t + LATE_NS:
            after_ms = (due_t - (self._window.opened_t or 0)) / 1e6
            text = f"no water, which was due {after_ms:.0f} ms after its window opened"
            self.report(due_t, "missed reward", text)

    def _judge_reward_time(self, valve: Valve, cause: int) -> None:
        """Judge the time of a reward's cause (ns), and the delay from the cause to the reward."""
        opened_t, due_t, closed_t = (
            self._window.opened_t,
            self._window.due_t,
            self._window.closed_t,
        )
        if opened_t is None or cause < opened_t:
            before = "" if opened_t is None else f" {(opened_t - cause) / 1e6:.1f} ms"
            condition = "zone" if self.start.cue_position_m is None else "cue"
            text = f"water,{before} before its window opened"
            self.report(valve.t, f"reward before the {condition}", text)
            return
        if closed_t is not None and cause > closed_t:
            text = f"water, {(cause - closed_t) / 1e6:.1f} ms after its window closed"
            self.report(valve.t, "reward after the zone", text)
            return
        if self._mode == "passive":
            early_ns = opened_t + self._delay_ns - cause
            if early_ns > 0:
                text = f"{early_ns / 1e6:.1f} ms before its time"
                self.report(valve.t, "reward too early", text)
            elif due_t is not None and cause > due_t:
                text = f"requested {(cause - due_t) / 1e6:.1f} ms after its time"
                self.report(valve.t, "reward too late", text)
        first_t = cause if due_t is None else min(cause, due_t)
        if not 0 <= valve.t - first_t <= LATE_NS:
            text = f"the valve opened {(valve.t - first_t) / 1e6:.1f} ms after its cause"
            self.report(valve.t, "reward too late", text)

    @property
    def _delay_ns(self) -> int:
        return round(self.block.reward_delay_ms * 1e6)

    def _opens(self) -> bool:
        if not self.block.is_corridor:
            return True
        cued = self._cue_t is not None or self.start.cue_position_m is None
        return cued and self._task_m >= self.block.zone_m[0]

    def _closes(self, t: int) -> bool:
        if not self.block.is_corridor:
            return t >= self._picture_end_t
        return self.position_m > self.block.zone_m[1] + SAME_M

    def _is_too_long(self, t: int) -> bool:
        if self.block.is_corridor:
            return self.position_m > self.block.lap_m + SAME_M
        return t > self._picture_end_t + round(self.block.blank_s * 1e9) + LATE_NS

    def _is_passive_due(self, t: int) -> bool:
        opened_t, closed_t = self._window.opened_t, self._window.closed_t
        if not self.is_rewarded or self._mode != "passive" or opened_t is None:
            return False
        return closed_t is None and t >= opened_t + self._delay_ns


def cause_t(valve: Valve, arm: Arm | None) -> int:
    """Return the time of a reward's cause, ns: its lick, or else its Arm, or else the Valve."""
    if valve.lick_t is not None:
        return valve.lick_t
    return valve.t if arm is None or arm.on == "lick" else arm.t
