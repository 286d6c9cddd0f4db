"""Check the blocks and the order of trials of a session, and when it has to end."""

from collections.abc import Iterator

import msgspec

from behavior.judging.rules import LATE_NS, BlockRules, EarlierParts, Rules, Violation
from behavior.judging.trial_judge import TrialJudge
from rig.messages import OperatorRequest, TrialStart, Valve


class _BlockProgress(msgspec.Struct):
    """What has happened so far in the current block. Times are ns of the session clock."""

    number: int
    start_t: int
    completed: list[str] = []
    """The stimuli of the completed trials."""
    expected: str | None = None
    """The stimulus of the next trial, as announced by the last TrialStart; None if not known."""
    over_t: int | None = None
    """Time at which its last trial ended; None if the block is not over, or if its time was up
    between two trials."""
    before_ns: int = 0
    """How long the block ran in earlier parts of the session."""

    def repeats(self, stimulus: str) -> int:
        """Return the number of consecutive trials with this stimulus if it comes next."""
        count = 1
        for name in reversed(self.completed):
            if name != stimulus:
                break
            count += 1
        return count

    def is_in_round(self, stimulus: str, size: int) -> bool:
        """Return True if the stimulus was shown already in the current round of `size` trials."""
        return stimulus in self.completed[len(self.completed) // size * size :]


class OrderJudge:
    """The check of which trial may come next, given the completed trials and operator requests."""

    def __init__(self, rules: Rules, t: int) -> None:
        """Start at t, the start of the session, ns."""
        self._rules = rules
        self._start_t = t
        self._before_ns = self._unlicked_before = 0
        """How long earlier parts of the session ran, ns; number of their last rewarded trials
        without a lick."""
        self._given_before_ul = 0.0
        self._block = _BlockProgress(0, t)
        self._next_trial = 0
        self._interrupt_t: int | None = None
        """Time of the operator's last request for a pause or a stop, ns; None if there is none."""
        self._is_stopping = False
        self._openings: list[Valve] = []
        self._rewarded: list[TrialJudge] = []
        """The completed rewarded trials."""
        self.misses = 0
        """Number of rewarded trials since the last rewarded trial with water."""
        if rules.resume is not None:
            self._resume(rules.resume, t)

    def _resume(self, earlier: EarlierParts, t: int) -> None:
        """Continue where the earlier parts of the session ended; this part started at t (ns)."""
        self._next_trial, self.misses = earlier.trial, earlier.misses
        self._before_ns = round(earlier.session_s * 1e9)
        self._given_before_ul, self._unlicked_before = earlier.given_ul, earlier.unlicked
        before_ns = round(earlier.block_s * 1e9)
        number, last = earlier.block, len(self._rules.blocks) - 1
        if len(earlier.completed) >= self._rules.blocks[min(number, last)].trials:
            self._block = _BlockProgress(min(number + 1, last), t)
        else:
            completed, expected = list(earlier.completed), earlier.next_stimulus
            self._block = _BlockProgress(min(number, last), t, completed, expected)
            self._block.before_ns = before_ns

    @property
    def _block_rules(self) -> BlockRules:
        return self._rules.blocks[self._block.number]

    def add_request(self, request: OperatorRequest) -> None:
        """Store an operator request that ends a trial or the session."""
        if request.verb in ("pause", "stop"):
            self._interrupt_t = request.t
            self._is_stopping = self._is_stopping or request.verb == "stop"

    def add_valve(self, valve: Valve) -> None:
        """Count the water of an open valve."""
        if not valve.refused:
            self._openings.append(valve)

    def start_trial(self, start: TrialStart) -> Iterator[Violation]:
        """Handle a TrialStart; yield a violation if this trial should not start now."""
        if start.trial != self._next_trial:
            yield "wrong number", f"the next trial is {self._next_trial}"
        self._next_trial = start.trial + 1
        if start.block != self._block.number:
            yield from self._change_block(start)
        block, rules = self._block, self._block_rules
        if start.t - block.start_t < rules.grey_before_s * 1e9:
            yield "grey too short", f"it started before {rules.grey_before_s:g} s of grey were over"
        if len(block.completed) >= rules.trials or self._is_limit_reached(start.t, surely=True):
            yield "trial after the end", "the session or its block should have ended"
        if block.expected is not None and start.stimulus != block.expected:
            yield "wrong order", f"{start.stimulus}, not {block.expected}"
        repeats = block.repeats(start.stimulus)
        if repeats > rules.max_repeats and len(rules.shown) > 1:
            yield "wrong order", f"{start.stimulus} {repeats} times in a row"
        if rules.order == "rounds" and block.is_in_round(start.stimulus, len(rules.shown)):
            yield "wrong order", f"{start.stimulus} twice in a round"

    def end_trial(self, trial: TrialJudge, aborted: bool) -> None:
        """Handle the end of a trial."""
        start, block = trial.start, self._block
        if aborted:
            block.expected = start.stimulus
        else:
            block.expected = start.next_stimulus
            block.completed.append(start.stimulus)
            if trial.is_rewarded:
                self._rewarded.append(trial)
                self.misses = 0 if trial.watered else self.misses + 1
        if trial.end is not None and self._is_block_over(trial.end.t):
            block.over_t = trial.end.t

    def may_abort(self, trial: TrialJudge, t: int) -> bool:
        """Return True if there was a reason to abort a trial at t (ns)."""
        asked = self._interrupt_t is not None and self._interrupt_t >= trial.start.t - LATE_NS
        return asked or self._is_time_up(t)

    def expects_trial(self, t: int) -> bool:
        """Return True if the next trial has to start at once after a completed trial."""
        is_over = self._is_block_over(t) or self._is_stopping
        return not is_over and not self._is_limit_reached(t, surely=False)

    def _change_block(self, start: TrialStart) -> Iterator[Violation]:
        old, last = self._block, len(self._rules.blocks) - 1
        if not (old.number < start.block <= last and self._is_block_over(start.t)):
            yield "wrong block", f"block {start.block} after block {old.number}"
        new_t = old.over_t
        if new_t is None:  # the time of the old block was up between two trials
            new_t = old.start_t + round(self._block_rules.block_minutes * 60e9) - old.before_ns
        self._block = _BlockProgress(min(start.block, last), new_t)

    def _is_block_over(self, t: int) -> bool:
        return len(self._block.completed) >= self._block_rules.trials or self._is_time_up(t)

    def _is_time_up(self, t: int) -> bool:
        block_ns = t - self._block.start_t + self._block.before_ns
        session_ns = t - self._start_t + self._before_ns
        of_block = block_ns >= self._block_rules.block_minutes * 60e9
        return of_block or session_ns >= self._rules.minutes * 60e9

    def _is_limit_reached(self, t: int, surely: bool) -> bool:
        """Return True if the water limit or disengagement ends the session at t (ns).

        The task may or may not have handled what happened in the last LATE_NS. With `surely`, such
        events are left out, so that the task must know of the limit; otherwise they are included.
        """
        rules = self._rules
        known_t = t - LATE_NS if surely else t + LATE_NS
        given_ul = self._given_before_ul
        given_ul += sum(valve.volume_ul for valve in self._openings if valve.t <= known_t)
        if rules.water_ul and given_ul >= rules.water_ul:
            return True
        count = rules.disengaged_after
        last = self._rewarded[-count:] if count else []
        before_end_ns = 0 if surely else LATE_NS
        licked = any(trial.was_licked(before_end_ns) for trial in last)
        # If this part has too few rewarded trials, those at the end of earlier parts count too.
        number = len(last) if len(last) == count else len(last) + self._unlicked_before
        return count > 0 and number >= count and not licked
