"""The course of a session before the referee: blocks, the order of trials, and its due end."""

from collections.abc import Iterator

from behavior.judging.rules import LATE_NS, Blame, Rules
from behavior.judging.trial_judge import TrialJudge
from rig.messages import OperatorRequest, TrialStart, Valve


class OrderJudge:
    """What may come next, by what was run to its end so far."""

    def __init__(self, rules: Rules, t: int) -> None:
        """The session began at t (ns)."""
        self._rules = rules
        self._start_t = self._block_t = t
        self._block = self._begun = self._done = self._in_a_row = 0
        self._repeated = ""
        self._expected: str | None = None
        self._seen: list[str] = []
        """The stimuli of the block's trials that were run to their end."""
        self._over_t: int | None = None
        """When the block was over, if a trial was its last."""
        self._asked_t: int | None = None
        self._stopping = False
        self._water: list[Valve] = []
        self._rewarded: list[TrialJudge] = []
        self.misses = 0
        """Rewarded trials since the last one with water."""

    def order(self, message: OperatorRequest) -> None:
        """Take what the operator asked for."""
        if message.verb in ("pause", "stop"):
            self._asked_t = message.t
            self._stopping = self._stopping or message.verb == "stop"

    def water(self, valve: Valve) -> None:
        """Take an opening of a valve."""
        if not valve.refused:
            self._water.append(valve)

    def begin(self, start: TrialStart) -> Iterator[Blame]:
        """Take the start of a trial; yield what is wrong with its coming now."""
        rules = self._rules
        if start.trial != self._begun:
            yield "wrong number", f"the next trial is {self._begun}"
        self._begun = start.trial + 1
        if start.block != self._block:
            if not (self._block < start.block < len(rules.each) and self.is_block_over(start.t)):
                yield "wrong block", f"block {start.block} after {self._block}"
            self._enter(min(start.block, len(rules.each) - 1))
        block = rules.each[self._block]
        if start.t - self._block_t < block.grey_before_s * 1e9:
            yield "too soon", f"before {block.grey_before_s:g} s of grey were over"
        if self._done >= block.trials or self._is_enough(start.t, surely=True):
            yield "past the end", "the session, or its block, was to be over"
        if self._expected is not None and start.stimulus != self._expected:
            yield "wrong order", f"{start.stimulus}, not {self._expected}"
        in_a_row = self._in_a_row + 1 if start.stimulus == self._repeated else 1
        if in_a_row > block.max_repeats and len(block.shown) > 1:
            yield "wrong order", f"{start.stimulus} {in_a_row} times in a row"
        count = len(block.shown)
        round_ = self._seen[len(self._seen) // count * count :]
        if block.order == "rounds" and start.stimulus in round_:
            yield "wrong order", f"{start.stimulus} again in its round"

    def end(self, trial: TrialJudge, aborted: bool) -> None:
        """Take the end of a trial."""
        start = trial.start
        if aborted:
            self._expected = start.stimulus
        else:
            self._expected = start.next_stimulus
            self._done += 1
            self._seen.append(start.stimulus)
            self._in_a_row = self._in_a_row + 1 if start.stimulus == self._repeated else 1
            self._repeated = start.stimulus
            if trial.rewards:
                self._rewarded.append(trial)
                self.misses = 0 if trial.watered else self.misses + 1
        if trial.end is not None and self.is_block_over(trial.end.t):
            self._over_t = trial.end.t

    def may_abort(self, trial: TrialJudge, t: int) -> bool:
        """Whether there is a reason to abort a trial at t (ns)."""
        recent = self._asked_t is not None and self._asked_t >= trial.start.t - LATE_NS
        return recent or self._is_time_up(t)

    def goes_on(self, t: int) -> bool:
        """Whether, after a whole trial, another is to follow at once."""
        over = self.is_block_over(t) or self._stopping or self._is_enough(t, surely=False)
        return not over

    def is_block_over(self, t: int) -> bool:
        """Whether the trials or the time of the block are over."""
        return self._done >= self._rules.each[self._block].trials or self._is_time_up(t)

    def _enter(self, number: int) -> None:
        minutes = self._rules.each[self._block].minutes
        by_time_t = self._block_t + round(minutes * 60e9)
        self._block_t = by_time_t if self._over_t is None else self._over_t
        self._block, self._done, self._over_t = number, 0, None
        self._seen, self._in_a_row, self._expected = [], 0, None

    def _is_time_up(self, t: int) -> bool:
        block = self._rules.each[self._block]
        of_block = t - self._block_t >= block.minutes * 60e9
        return of_block or t - self._start_t >= self._rules.minutes * 60e9

    def _is_enough(self, t: int, surely: bool) -> bool:
        """Whether water or idleness end the session at t (ns).

        What fell within LATE_NS of the end may have been heard too late by the task, or not.
        """
        rules = self._rules
        until = t - LATE_NS if surely else t + LATE_NS
        given_ul = sum(valve.volume_ul for valve in self._water if valve.t <= until)
        if rules.water_ul and given_ul >= rules.water_ul:
            return True
        last = self._rewarded[-rules.disengaged_after :] if rules.disengaged_after else []
        before_ns = 0 if surely else LATE_NS
        idle = not any(trial.was_licked(before_ns) for trial in last)
        return bool(last) and len(last) == rules.disengaged_after and idle
