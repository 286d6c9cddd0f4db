"""One trial before the referee: what was to come in it, what came, and what was wrong."""

from behavior.rules import LATE_NS, SAME_M, Rules
from rig.messages import Arm, Cue, Fault, TrialEnd, TrialStart, Valve
from rig.node import Say


class Judged:
    """A trial from its start until its verdict; each kind of violation is named once.

    A wheel's words follow its Position, so a wheel is judged (settle) when the next one comes.
    """

    def __init__(self, start: TrialStart, rules: Rules, began_ns: int, carry_m: float, say: Say):
        """`began_ns`: how long the corridor had moved; carry_m: where it stood at the start."""
        self.start = start
        self.end: TrialEnd | None = None
        self.violations: list[str] = []
        self._rules, self._say = rules, say
        self._began_ns, self._carry_m = began_ns, carry_m
        self.rewards = rules.rewards(start.stimulus)
        self.t, self.position_m = start.t, carry_m
        self._cue_t: int | None = None
        self._shut_t: int | None = None
        self._due_t: int | None = None
        """When the reward was due: at the first lick in the window, or the delay after the cue."""
        self._answered = self._watered = False
        for name, text in rules.against(start):
            self.blame(start.t, name, text)

    def blame(self, t: int, name: str, text: str) -> None:
        """Say what was wrong, once."""
        if name not in self.violations:
            self.violations.append(name)
            self._say(Fault(t, f"trial {self.start.trial}: {name}: {text}"))

    def move(self, t: int, moved_ns: int) -> None:
        """Let the corridor have moved for so long at t (ns)."""
        self.t = t
        self.position_m = self._carry_m + (moved_ns - self._began_ns) * self._rules.m_per_ns

    def cue(self, word: Cue) -> None:
        """Take the cue, right after its wheel."""
        place_m = self.start.cue_position_m
        if self._cue_t is not None:
            self.blame(word.t, "cue twice", f"again at {word.position_m:.2f} m")
            return
        self._cue_t = word.t
        if word.trial != self.start.trial:
            self.blame(word.t, "wrong cue", f"it is said to be of trial {word.trial}")
        if place_m is None or self.position_m < place_m - SAME_M:
            where = f"at {self.position_m:.3f} m, drawn for {place_m} m"
            self.blame(word.t, "cue too early", where)

    def settle(self) -> None:
        """Judge the last wheel, all of whose words have been heard."""
        t, place_m = self.t, self.start.cue_position_m
        if self._cue_t is None and place_m is not None and self.position_m > place_m + SAME_M:
            text = f"drawn for {place_m:.3f} m, and not yet at {self.position_m:.3f} m"
            self.blame(t, "no cue", text)
        if self._shut_t is None and self.position_m > self._rules.texture_m + SAME_M:
            self._shut_t = t
        if self._due_t is None and self._is_passive_due(t):
            self._due_t = t
        if self.end is None and self.position_m > self._rules.lap_m + SAME_M:
            self.blame(t, "no end", f"it goes on at {self.position_m:.2f} m")

    def finish(self, end: TrialEnd, asked: bool) -> None:
        """Take its end; `asked` is whether there was a reason to abort it."""
        self.end = end
        if self._shut_t is None:
            self._shut_t = end.t
        if end.outcome == "aborted":
            if not asked:
                self.blame(end.t, "aborted for no reason", "nobody asked for it")
        elif self.position_m < self._rules.lap_m - SAME_M:
            text = f"at {self.position_m:.3f} m of {self._rules.lap_m:g} m"
            self.blame(end.t, "ended too early", text)

    def lick(self, t: int) -> None:
        """Take a lick at the spout at t (ns), which a settled wheel has passed."""
        active = self.rewards and self._rules.reward_mode == "active"
        if active and self._in_window(t) and (self._due_t is None or t < self._due_t):
            self._due_t = t

    def water(self, valve: Valve, wish: Arm | None, licked: bool) -> None:
        """Take the answer to a wish; `licked` is whether its lick was heard of."""
        self._answered = True
        if valve.refused:
            return
        if self._watered:
            self.blame(valve.t, "two rewards", "water came again")
        self._watered = True
        if not self.rewards:
            text = f"water in {self.start.stimulus}, cohort {self._rules.cohort}"
            self.blame(valve.t, "reward for nothing", text)
            return
        if (valve.line, valve.volume_ul) != (self._rules.spout, self._rules.reward_ul):
            text = f"{valve.volume_ul:g} ul from {valve.line}"
            self.blame(valve.t, "wrong amount", text)
        if wish is None:
            self.blame(valve.t, "water unasked", "no wish was said for it")
        elif self._rules.reward_mode == "active" and not licked:
            self.blame(valve.t, "water without a lick", "no lick was heard of at its time")
        self._water_in_time(valve, cause_t(valve, wish))

    def _water_in_time(self, valve: Valve, cause: int) -> None:
        if self._cue_t is None or cause < self._cue_t:
            self.blame(valve.t, "reward before the cue", _ago("water, ", self._cue_t, cause))
            return
        if self._shut_t is not None and cause > self._shut_t:
            text = f"water, {(cause - self._shut_t) / 1e6:.1f} ms after the texture was left"
            self.blame(valve.t, "reward in the grey", text)
            return
        if self._rules.reward_mode == "passive":
            early_ns = self._cue_t + self._delay_ns - cause
            if early_ns > 0:
                self.blame(valve.t, "reward too early", f"{early_ns / 1e6:.1f} ms before its time")
            elif self._due_t is not None and cause > self._due_t:
                text = f"asked for {(cause - self._due_t) / 1e6:.1f} ms after its time"
                self.blame(valve.t, "reward too late", text)
        due_t = cause if self._due_t is None else min(cause, self._due_t)
        if not 0 <= valve.t - due_t <= LATE_NS:
            text = f"the valve opened {(valve.t - due_t) / 1e6:.1f} ms after its cause"
            self.blame(valve.t, "reward too late", text)

    def look_for_missed(self, known_t: int) -> None:
        """Blame a due reward that has not come, all up to known_t (ns) being heard."""
        if self._due_t is None or self._answered or known_t <= self._due_t + LATE_NS:
            return
        if self.end is None or self.end.t > self._due_t + LATE_NS:
            after_ms = (self._due_t - (self._cue_t or 0)) / 1e6
            text = f"no water, though it was due {after_ms:.0f} ms after the cue"
            self.blame(self._due_t, "missed reward", text)

    @property
    def _delay_ns(self) -> int:
        return round(self._rules.reward_delay_ms * 1e6)

    def _is_passive_due(self, t: int) -> bool:
        if not self.rewards or self._rules.reward_mode != "passive" or self._cue_t is None:
            return False
        return self._shut_t is None and t >= self._cue_t + self._delay_ns

    def _in_window(self, t: int) -> bool:
        after_cue = self._cue_t is not None and t >= self._cue_t
        return after_cue and (self._shut_t is None or t <= self._shut_t)


def cause_t(valve: Valve, wish: Arm | None) -> int:
    """Return when the cause of water was: its lick, else the wish, else the water itself (ns)."""
    if valve.lick_t is not None:
        return valve.lick_t
    return valve.t if wish is None or wish.on == "lick" else wish.t


def _ago(what: str, cue_t: int | None, cause: int) -> str:
    if cue_t is None:
        return f"{what}and there was no cue yet"
    return f"{what}{(cue_t - cause) / 1e6:.1f} ms before the cue"
