"""One trial before the referee: what was to come in it, what came, and what was wrong."""

from behavior.judging.rules import LATE_NS, SAME_M, BlockRules, Rules
from rig.messages import Arm, Cue, Fault, TrialEnd, TrialStart, Valve
from rig.node import Publish


class TrialJudge:
    """A trial from its start until its verdict; each kind of violation is named once.

    A wheel's words follow its Position, so a wheel is judged (settle) when the next one comes.
    """

    def __init__(
        self, start: TrialStart, rules: Rules, block: BlockRules, carry_m: float, publish: Publish
    ):
        """`carry_m`: where the corridor stood at the start."""
        self.start, self.block = start, block
        self.end: TrialEnd | None = None
        self.violations: list[str] = []
        self.watered = False
        self._lick_ts: list[int] = []
        self._rules, self._say = rules, publish
        self._carry_m = carry_m
        self.rewards = rules.watered and start.stimulus in block.rewarded
        self._mode = "passive" if start.rescue else block.reward_mode
        self.t, self.position_m = start.t, carry_m
        self._said_m = carry_m
        self._cue_t: int | None = None
        self._open_t: int | None = None
        self._shut_t: int | None = None
        self._due_t: int | None = None
        """When the reward was due: at the first lick in the window, or a delay after it opened."""
        self._gone_t = start.t + round(block.show_s * 1e9)
        """When its picture was gone, if it is no corridor."""
        self._answered = False

    def blame(self, t: int, name: str, text: str) -> None:
        """Say what was wrong, once."""
        if name not in self.violations:
            self.violations.append(name)
            self._say(Fault(t, f"trial {self.start.trial}: {name}: {text}"))

    def move(self, t: int, way_m: float) -> None:
        """Let the corridor have come so far since the start at t (ns)."""
        self.t = t
        self.position_m = self._said_m = self._carry_m + way_m

    def compare(self, said_m: float) -> bool:
        """Return whether the task's place is this one; just at a limit, its rounding decides."""
        same = abs(said_m - self.position_m) <= SAME_M
        self._said_m = said_m if same else self.position_m
        return same

    def cue(self, message: Cue) -> None:
        """Take the cue, right after its wheel."""
        place_m = self.start.cue_position_m
        if self._cue_t is not None:
            self.blame(message.t, "cue twice", f"again at {message.position_m:.2f} m")
            return
        self._cue_t = message.t
        if message.trial != self.start.trial:
            self.blame(message.t, "wrong cue", f"it is said to be of trial {message.trial}")
        if place_m is None or self.position_m < place_m - SAME_M:
            where = f"at {self.position_m:.3f} m, drawn for {place_m} m"
            self.blame(message.t, "cue too early", where)

    def settle(self) -> None:
        """Judge the last wheel, all of whose words have been heard."""
        t, place_m = self.t, self.start.cue_position_m
        if self._cue_t is None and place_m is not None and self.position_m > place_m + SAME_M:
            text = f"drawn for {place_m:.3f} m, and not yet at {self.position_m:.3f} m"
            self.blame(t, "no cue", text)
        if self._open_t is None and self._opens():
            self._open_t = t
        if self._shut_t is None and self._shuts(t):
            self._shut_t = t
        if self._due_t is None and self._is_passive_due(t):
            self._due_t = t
        if self.end is None and self._is_past(t):
            where = f"at {self.position_m:.2f} m" if self.block.runs else f"at {t / 1e9:.3f} s"
            self.blame(t, "no end", f"it goes on {where}")

    def finish(self, end: TrialEnd, asked: bool) -> None:
        """Take its end; `asked` is whether there was a reason to abort it."""
        self.end = end
        if self._shut_t is None:
            self._shut_t = end.t
        if end.outcome == "aborted":
            if not asked:
                self.blame(end.t, "aborted for no reason", "nobody asked for it")
        elif self.block.runs and self.position_m < self.block.lap_m - SAME_M:
            text = f"at {self.position_m:.3f} m of {self.block.lap_m:g} m"
            self.blame(end.t, "ended too early", text)

    def conclude(self) -> None:
        """Judge what can be judged only once all of it has been heard."""
        end = self.end
        if end is None or end.outcome == "aborted" or self.block.runs:
            return
        early_ns = self._gone_t + round(self.block.blank_s * 1e9) - end.t
        if early_ns > 0:
            self.blame(end.t, "ended too early", f"{early_ns / 1e6:.1f} ms before its time")

    def heard_lick(self, t: int) -> None:
        """Note a lick as soon as it is heard of, for whether there was one at all."""
        self._lick_ts.append(t)

    def was_licked(self, before_end_ns: int) -> bool:
        """Whether there was a lick in it, so long before its end."""
        end_t = self.t if self.end is None else self.end.t
        return any(self.start.t <= t <= end_t - before_end_ns for t in self._lick_ts)

    def lick(self, t: int) -> None:
        """Take a lick at the spout at t (ns), which a settled wheel has passed."""
        active = self.rewards and self._mode == "active"
        if active and self._in_window(t) and (self._due_t is None or t < self._due_t):
            self._due_t = t

    def water(self, valve: Valve, request: Arm | None, licked: bool) -> None:
        """Take the answer to a wish; `licked` is whether its lick was heard of."""
        self._answered = True
        self._gone_t = min(self._gone_t, valve.t)
        if valve.refused:
            return
        if self.watered:
            self.blame(valve.t, "two rewards", "water came again")
        self.watered = True
        if not self.rewards:
            text = f"water in {self.start.stimulus}, cohort {self._rules.cohort}"
            self.blame(valve.t, "reward for nothing", text)
            return
        if (valve.line, valve.volume_ul) != (self._rules.spout, self.block.reward_ul):
            text = f"{valve.volume_ul:g} ul from {valve.line}"
            self.blame(valve.t, "wrong amount", text)
        if request is None:
            self.blame(valve.t, "water unasked", "no wish was said for it")
        elif self._mode == "active" and not licked:
            self.blame(valve.t, "water without a lick", "no lick was heard of at its time")
        self._water_in_time(valve, cause_t(valve, request))

    def look_for_missed(self, known_t: int) -> None:
        """Blame a due reward that has not come, all up to known_t (ns) being heard."""
        if self._due_t is None or self._answered or known_t <= self._due_t + LATE_NS:
            return
        if self.end is None or self.end.t > self._due_t + LATE_NS:
            after_ms = (self._due_t - (self._open_t or 0)) / 1e6
            text = f"no water, though it was due {after_ms:.0f} ms after its window opened"
            self.blame(self._due_t, "missed reward", text)

    def _water_in_time(self, valve: Valve, cause: int) -> None:
        if self._open_t is None or cause < self._open_t:
            ago = "" if self._open_t is None else f" {(self._open_t - cause) / 1e6:.1f} ms"
            name = "reward before the zone"
            if self.start.cue_position_m is not None:
                name = "reward before the cue"
            self.blame(valve.t, name, f"water,{ago} before it might be had")
            return
        if self._shut_t is not None and cause > self._shut_t:
            text = f"water, {(cause - self._shut_t) / 1e6:.1f} ms after its place was left"
            self.blame(valve.t, "reward in the grey", text)
            return
        if self._mode == "passive":
            early_ns = self._open_t + self._delay_ns - cause
            if early_ns > 0:
                self.blame(valve.t, "reward too early", f"{early_ns / 1e6:.1f} ms before its time")
            elif self._due_t is not None and cause > self._due_t:
                text = f"asked for {(cause - self._due_t) / 1e6:.1f} ms after its time"
                self.blame(valve.t, "reward too late", text)
        due_t = cause if self._due_t is None else min(cause, self._due_t)
        if not 0 <= valve.t - due_t <= LATE_NS:
            text = f"the valve opened {(valve.t - due_t) / 1e6:.1f} ms after its cause"
            self.blame(valve.t, "reward too late", text)

    @property
    def _delay_ns(self) -> int:
        return round(self.block.reward_delay_ms * 1e6)

    def _opens(self) -> bool:
        if not self.block.runs:
            return True
        cued = self._cue_t is not None or self.start.cue_position_m is None
        return cued and self._said_m >= self.block.zone_m[0]

    def _shuts(self, t: int) -> bool:
        if not self.block.runs:
            return t >= self._gone_t
        return self.position_m > self.block.zone_m[1] + SAME_M

    def _is_past(self, t: int) -> bool:
        """Whether it should have ended by now."""
        if self.block.runs:
            return self.position_m > self.block.lap_m + SAME_M
        return t > self._gone_t + round(self.block.blank_s * 1e9) + LATE_NS

    def _is_passive_due(self, t: int) -> bool:
        if not self.rewards or self._mode != "passive" or self._open_t is None:
            return False
        return self._shut_t is None and t >= self._open_t + self._delay_ns

    def _in_window(self, t: int) -> bool:
        opened = self._open_t is not None and t >= self._open_t
        return opened and (self._shut_t is None or t <= self._shut_t)


def cause_t(valve: Valve, request: Arm | None) -> int:
    """Return when the cause of water was: its lick, else the wish, else the water itself (ns)."""
    if valve.lick_t is not None:
        return valve.lick_t
    return valve.t if request is None or request.on == "lick" else request.t
