"""The task: from the wheel and the licks to corridors, cues and rewards. It reads no clock."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Literal

import numpy as np

from behavior.corridor import Corridor, Running
from behavior.facts import Facts, check
from behavior.schedule import draw_order
from behavior.trial import Trial, Water
from rig.messages import (
    Arm,
    Cue,
    Disarm,
    Lick,
    Message,
    Order,
    Position,
    Start,
    TrialEnd,
    TrialStart,
    Valve,
    Wheel,
)
from rig.node import Node, Say

_ALL_DONE = "all trials done"
_TIME_UP = "time is up"
_OPERATOR = "stopped by the operator"


class Task(Node):
    """Says one Position for every Wheel, and the trials, cues and wishes for water between them.

    Grey, then trials back to back, then grey again, and the session has come to its end. A pause
    aborts the trial; its stimulus comes again in the next one. Time is the largest t heard.
    """

    name = "task"
    hears = (Start, Wheel, Lick, Valve, Order)
    says = (Position, TrialStart, TrialEnd, Cue, Arm, Disarm)

    class Settings(Facts, frozen=True, kw_only=True):
        """The facts of the task."""

    settings: Settings

    def __init__(self, settings: Settings, say: Say) -> None:
        """Draw the order of the trials. Raises Refused if the facts contradict each other."""
        super().__init__(settings, say)
        check(settings)
        self._order = draw_order(
            settings.stimuli, settings.shares, settings.max_repeats, settings.trials, settings.seed
        )
        self._cues = np.random.default_rng([settings.seed, 1])
        self._running = Running(
            settings.speed_window_ms, settings.run_threshold_cm_s, settings.stop_cm_s
        )
        self._corridor = Corridor(settings.corridor_cm_s)
        self._water = Water(settings.spout, settings.reward_ul, settings.decided_by)
        self._wishes: Iterator[int] = count(1)
        self._phase: Literal["grey", "corridor", "paused", "done"] = "grey"
        self._trial: Trial | None = None
        self._trials_begun = 0
        self._trials_done = 0
        self._now = 0
        self._began: int | None = None
        self._tail_began = 0
        self._reason: str | None = None
        self._last_order = 0
        self._obeyed: set[int] = set()

    def hear(self, word: Message) -> None:
        # silent after its end: how many words one waking brings must not change what is said
        if self.ended is not None:
            return
        self._now = max(self._now, word.t)
        if self._began is None:
            self._began = word.t
        match word:
            case Wheel():
                self._move(word, word.t - self._began)
            case Lick() if self._trial is not None and word.line == self.settings.spout:
                self._say_all(self._trial.lick(word.t))
            case Valve() if self._trial is not None:
                self._say_all(self._trial.valve(word))
            case Order():
                self._obey(word)

    def close(self) -> None:
        self._abort(self._now)

    def _move(self, wheel: Wheel, passed_ns: int) -> None:
        self._running.step(wheel.t, wheel.cm)
        moved = self._phase == "corridor" and self._running.moving
        self._corridor.step(wheel.t, moved)
        self._change_phase(wheel.t, passed_ns)
        trial = self._trial
        self.say(
            Position(
                wheel.t,
                -1 if trial is None else trial.start.trial,
                self._corridor.position_m,
                self._running.speed_cm_s,
                moved and self._phase == "corridor",
                self._phase,
                self._last_order,
            )
        )
        if trial is not None:
            self._say_all(trial.move(wheel.t, self._corridor.position_m))

    def _change_phase(self, t: int, passed_ns: int) -> None:
        facts = self.settings
        if self._phase == "done":
            if t - self._tail_began >= facts.grey_after_s * 1e9:
                self.ended = self._reason
        elif passed_ns >= facts.minutes * 60e9:
            self._abort(t)
            self._begin_tail(t, _TIME_UP)
        elif self._phase == "grey" and passed_ns >= facts.grey_before_s * 1e9:
            self._phase = "corridor"
            self._begin_trial(t)
        elif self._phase == "corridor" and self._corridor.position_m >= facts.lap_m:
            self._finish_trial(t)

    def _begin_trial(self, t: int) -> None:
        facts = self.settings
        upcoming = self._order[self._trials_done :]
        rewards = facts.cohort == "task"
        start = TrialStart(
            t,
            self._trials_begun,
            upcoming[0],
            upcoming[1] if len(upcoming) > 1 else None,
            rewards and upcoming[0] in facts.rewarded,
            facts.texture_m,
            facts.grey_m,
            float(self._cues.uniform(facts.cue_from_m, facts.cue_to_m)),
            facts.reward_mode if rewards else "none",
            facts.reward_delay_ms if rewards else 0.0,
        )
        self._trials_begun += 1
        self._trial = Trial(start, self._water, self._wishes)
        self.say(start)

    def _finish_trial(self, t: int) -> None:
        self._end_trial(t, "done")
        self._trials_done += 1
        if self._trials_done == len(self._order):
            self._begin_tail(t, _ALL_DONE)
        elif self._reason is not None:
            self._begin_tail(t, self._reason)
        else:
            self._corridor.position_m -= self.settings.lap_m
            self._begin_trial(t)

    def _abort(self, t: int) -> None:
        self._end_trial(t, "aborted")
        self._corridor.position_m = 0.0

    def _end_trial(self, t: int, outcome: Literal["done", "aborted"]) -> None:
        if self._trial is None:
            return
        trial, self._trial = self._trial, None
        self._say_all(trial.shut(t))
        self.say(TrialEnd(t, trial.start.trial, outcome))

    def _begin_tail(self, t: int, reason: str) -> None:
        self._phase = "done"
        self._tail_began = t
        self._corridor.position_m = 0.0
        self._reason = self._reason or reason

    def _obey(self, order: Order) -> None:
        if order.id in self._obeyed or self._now > order.deadline:
            return
        self._obeyed.add(order.id)
        self._last_order = order.id
        match order.verb:
            case "pause" if self._phase in ("grey", "corridor"):
                self._abort(self._now)
                if self._reason is None:
                    self._phase = "paused"
                else:  # it was to end after this trial, and the trial is over
                    self._begin_tail(self._now, self._reason)
            case "resume" if self._phase == "paused":
                # the next wheel begins a trial, unless the first grey is not over yet
                self._phase = "grey"
            case "stop" if self._phase == "corridor":
                self._reason = self._reason or _OPERATOR
            case "stop" if self._phase != "done":
                self._begin_tail(self._now, _OPERATOR)
            case _:
                pass

    def _say_all(self, words: Sequence[Message]) -> None:
        for word in words:
            self.say(word)


if __name__ == "__main__":
    from rig.process import run

    run(Task)
