"""The task: from the wheel and the licks to corridors, cues and rewards. It reads no clock."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Literal

from behavior.trials.corridor import Corridor, Running
from behavior.trials.counts import SessionCounts
from behavior.trials.frame_clock_monitor import Imaging, Microscope
from behavior.trials.plan import Plan
from behavior.trials.task_settings import TaskSettings
from behavior.trials.task_validation import check
from behavior.trials.trial import AT_ONCE_NS, Trial, Water
from rig.messages import (
    Acquire,
    Arm,
    Cue,
    Disarm,
    Edge,
    Fault,
    Lick,
    Message,
    OperatorRequest,
    Position,
    Start,
    TrialEnd,
    TrialStart,
    Valve,
    Wheel,
)
from rig.node import Node, Publish

_ALL_DONE = "all trials done"
_TIME_UP = "time is up"
_OPERATOR = "stopped by the operator"


class Task(Node):
    """Says one Position for every Wheel, and the trials, cues and wishes for water between them.

    The session's phases, at each Wheel, where time is the largest t heard:

        grey   ---[the block's grey is over, or a pause is] TrialStart-----------> trial
        trial  ---[it is over] TrialEnd done, the next TrialStart----------------> trial
               ---[it was the block's last, or the block's time is up]-----------> grey
               ---[it was the last of all, or the session is to end after it]----> done
               ---[the session's time is up] TrialEnd aborted--------------------> done
        paused ---[Order resume]-------------------------------------------------> grey
        any    ---[Order pause] TrialEnd aborted, its stimulus comes again-------> paused
        done   ---[the last grey is over]: the session has come to its end
        any    ---[the frame clock is silent, at the trial's end or in grey]-----> paused
    """

    name = "task"
    subscribes = (Start, Wheel, Lick, Valve, OperatorRequest, Edge)
    publishes = (Position, TrialStart, TrialEnd, Cue, Arm, Disarm, Acquire)

    class Settings(TaskSettings, frozen=True, kw_only=True):
        """The facts of the task; and in the setup, whether a microscope takes part."""

        imaging: Imaging | None = None

    settings: Settings

    def __init__(self, settings: Settings, publish: Publish) -> None:
        """Draw the order of the trials. Raises Refused if the facts contradict each other."""
        super().__init__(settings, publish)
        check(settings)
        self._plan = Plan(settings)
        speeds_cm_s = settings.run_threshold_cm_s, settings.stop_cm_s
        self._running = Running(settings.speed_window_ms, *speeds_cm_s)
        self._scope = Microscope(settings.imaging, publish)
        self._counts = SessionCounts(settings.water_ul, settings.disengaged_after)
        self._requests: Iterator[int] = count(1)
        self._phase: Literal["grey", "trial", "paused", "done"] = "grey"
        self._trial: Trial | None = None
        self._now = self._tail_began = self._last_order = 0
        self._began: int | None = None
        self._reason: str | None = None
        self._obeyed: set[int] = set()
        self._enter(0)

    def handle(self, message: Message) -> None:
        # silent after its end: how many words one waking brings must not change what is said
        if self.ended is not None:
            return
        self._now = max(self._now, message.t)
        if self._began is None:
            self._began = self._block_began = message.t
            self._scope.start(message.t)
        match message:
            case Edge():
                self._scope.edge(message)
            case Wheel():
                self._move(message, message.t - self._began)
            case Lick() if self._trial is not None and message.line == self.settings.spout:
                self._say_all(self._trial.lick(message.t))
            case Valve():
                self._counts.valve(message)
                if self._trial is not None:
                    self._say_all(self._trial.valve(message))
            case OperatorRequest():
                self._obey(message)

    def close(self) -> None:
        self._abort(self._now)

    def _enter(self, t: int) -> None:
        """Begin the block that the plan stands in at t (ns), with its grey."""
        block, facts = self._plan.block, self.settings
        self._block_began = t
        self._water = Water(facts.spout, block.reward_ul, facts.decided_by)
        self._corridor = Corridor(block.motion, block.corridor_cm_s, block.gain)
        self._phase = "grey"

    def _move(self, wheel: Wheel, passed_ns: int) -> None:
        self._running.step(wheel.t, wheel.cm)
        self._scope.watch(wheel.t)
        trial = self._trial
        free = trial is not None and trial.start.picture == "corridor"
        moved = self._corridor.step(wheel.t, self._running, free)
        self._change_phase(wheel.t, passed_ns)
        trial = self._trial
        phase = self._phase if trial is None else trial.phase(wheel.t)
        self.publish(
            Position(
                wheel.t,
                -1 if trial is None else trial.start.trial,
                self._corridor.position_m,
                self._running.speed_cm_s,
                moved and phase == "corridor",
                "grey" if phase == "trial" else phase,
                self._last_order,
            )
        )
        if trial is not None:
            self._say_all(trial.move(wheel.t, self._corridor.position_m))

    def _change_phase(self, t: int, passed_ns: int) -> None:
        block, block_ns = self._plan.block, t - self._block_began
        if self._phase == "done":
            if t - self._tail_began >= self.settings.grey_after_s * 1e9:
                self.ended = self._reason if self._scope.has_ended(t) else None
        elif passed_ns >= self.settings.minutes * 60e9:
            self._abort(t)
            self._begin_tail(t, _TIME_UP)
        elif self._phase != "paused" and block_ns >= block.minutes * 60e9:
            self._abort(t)
            self._end_block(t, _TIME_UP)
        elif self._phase == "grey" and (reason := self._counts.end()) is not None:
            self._begin_tail(t, reason)
        elif self._phase == "grey" and self._scope.is_silent:
            self._phase = "paused"
        elif self._phase == "grey" and self._scope.grey_is_over(block_ns, block.grey_before_s):
            self._phase = "trial"
            self._begin_trial(t)
        elif self._trial is not None and self._trial.is_over(t, self._corridor.position_m):
            self._finish_trial(t)

    def _begin_trial(self, t: int) -> None:
        start = self._plan.draw(t, self._counts.misses)
        self._trial = Trial(start, self._water, self._requests)
        self.publish(start)

    def _finish_trial(self, t: int) -> None:
        trial = self._trial
        self._end_trial(t, "done")
        if trial is not None:
            self._counts.done(trial.start, trial.licked, trial.watered)
        self._plan.done()
        reason = self._reason or self._counts.end()
        if reason is not None:
            self._begin_tail(t, reason)
        elif self._plan.is_block_over:
            self._end_block(t, _ALL_DONE)
        elif self._scope.is_silent:
            self._phase = "paused"
            self._corridor.position_m = 0.0
        else:
            if self._plan.block.is_corridor:
                self._corridor.position_m -= self._plan.block.lap_m
            self._begin_trial(t)

    def _end_block(self, t: int, reason: str) -> None:
        if self._plan.next_block():
            self._enter(t)
        else:
            self._begin_tail(t, reason)

    def _abort(self, t: int) -> None:
        self._end_trial(t, "aborted")
        self._corridor.position_m = 0.0

    def _end_trial(self, t: int, outcome: Literal["done", "aborted"]) -> None:
        if self._trial is None:
            return
        trial, self._trial = self._trial, None
        self._say_all(trial.shut(t))
        self.publish(TrialEnd(t, trial.start.trial, outcome))

    def _begin_tail(self, t: int, reason: str) -> None:
        self._phase = "done"
        self._tail_began = t
        self._scope.mark()
        self._corridor.position_m = 0.0
        self._reason = self._reason or reason

    def _obey(self, order: OperatorRequest) -> None:
        if order.id in self._obeyed or self._now > order.deadline:
            return
        self._obeyed.add(order.id)
        self._last_order = order.id
        match order.verb:
            case "pause" if self._phase in ("grey", "trial"):
                self._abort(self._now)
                if self._reason is None:
                    self._phase = "paused"
                else:  # it was to end after this trial, and the trial is over
                    self._begin_tail(self._now, self._reason)
            case "resume" if self._phase == "paused":
                # the next wheel begins a trial, unless the block's grey is not over yet
                self._phase = "grey"
                self._scope.resume(self._now)
            case "stop" if self._phase == "trial":
                self._reason = self._reason or order.text or _OPERATOR
            case "stop" if self._phase != "done":
                self._begin_tail(self._now, order.text or _OPERATOR)
            case "water":
                self._give_by_hand()
            case _:
                pass

    def _give_by_hand(self) -> None:
        facts, t = self.settings, self._now
        volume_ul = self._plan.block.reward_ul
        if not facts.watered:
            self.publish(
                Fault(t, f"no water by hand: cohort {facts.cohort} gets none in this task")
            )
            return
        request = next(self._requests)
        self.publish(
            Arm(t, request, t + AT_ONCE_NS, facts.spout, "now", volume_ul, None, manual=True)
        )

    def _say_all(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.publish(message)


if __name__ == "__main__":
    from rig.process import run

    run(Task)
