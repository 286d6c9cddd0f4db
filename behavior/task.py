"""The task: decides on trials, cues and rewards from wheel and licks. It reads no clock."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Literal, NamedTuple, get_args

from behavior.trials.corridor import Corridor, RunningDetector
from behavior.trials.counts import SessionCounts
from behavior.trials.frame_clock_monitor import FrameClockMonitor, ImagingSettings
from behavior.trials.live_settings import LiveSettings
from behavior.trials.plan import TrialPlan
from behavior.trials.replay_counts import TaskCounts
from behavior.trials.resume import ResumePoint
from behavior.trials.task_settings import TaskSettings
from behavior.trials.task_validation import check
from behavior.trials.trial import NOW_DEADLINE_NS, RewardSettings, Trial
from behavior.trials.unit_checks import unit_warnings
from rig.errors import Refused
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
    SettingChange,
    Start,
    TrialEnd,
    TrialStart,
    Valve,
    Wheel,
)
from rig.node import Node, Publish
from rig.settings.config import SessionSettings

_TRIALS_DONE = "all trials done"
_TIME_UP = "time is up"
_OPERATOR = "stopped by the operator"
_CLOSED_LOOP = "closed_loop"
"""Name of the node that runs the [[triggers]]."""

Phase = Literal["grey", "trial", "paused", "done"]


class _Transition(NamedTuple):
    """One row of the session's state machine."""

    phases: tuple[Phase, ...]
    """The phases that the transition leaves."""
    condition: Callable[[int], bool]
    action: Callable[[int], None]
    """`condition` and `action` are called with the time of the Wheel, ns."""


class Task(Node):
    """A decider that publishes one Position for every Wheel, and trials, cues and reward requests.

    The session is in one of four phases. At every Wheel, the table in __init__ is searched for the
    first transition whose phase and condition hold, and it is carried out. The operator's requests
    are handled between Wheels:

        grey   ---> trial    the grey of the block is over
               ---> paused   the frame clock is silent
               ---> done     the water limit is reached, or the mouse is disengaged
        trial  ---> trial    the trial is complete; the next trial starts where it ended
               ---> grey     it was the last trial of its block, or the time of the block is up
               ---> paused   it is complete and the frame clock is silent; or the operator pauses
               ---> done     it was the last trial, a limit is reached, or the operator stops
        paused ---> grey     the operator resumes
        any    ---> done     the time of the session is up; or, outside a trial, the operator stops
        done                 the session ends after its last grey

    A trial that a pause or the end of the time interrupts is aborted; after a pause its stimulus is
    shown again. The current time is the largest `t` of all messages so far.
    """

    name = "task"
    subscribes = (Start, Wheel, Lick, Valve, OperatorRequest, Edge)
    publishes = (Position, TrialStart, TrialEnd, Cue, Arm, Disarm, Acquire, SettingChange)
    shares_hub_core = True
    settings_from_task = True
    replay_counts = TaskCounts

    class Settings(TaskSettings, frozen=True, kw_only=True):
        """The task's settings, and `imaging` if the setup has a microscope."""

        imaging: ImagingSettings | None = None

    settings: Settings

    def __init__(self, settings: Settings, publish: Publish) -> None:
        """Draw the order of trials. Raises Refused if the settings contradict each other."""
        super().__init__(settings, publish)
        check(settings)
        self._plan = TrialPlan(settings)
        self._live = LiveSettings(settings)
        self._running = RunningDetector(
            settings.speed_window_ms, settings.run_threshold_cm_s, settings.stop_cm_s
        )
        self._frame_clock = FrameClockMonitor(settings.imaging, publish)
        resume = settings.resume
        self._counts = SessionCounts(settings.water_ul, settings.disengaged_after, resume)
        self._session_before_ns = self._block_before_ns = 0
        """How long the session and the current block ran in earlier parts, ns."""
        self._request_ids: Iterator[int] = count(1)
        self._phase: Phase = "grey"
        self._trial: Trial | None = None
        self._now = 0
        self._start_t: int | None = None
        self._done_t = 0
        """Time at which the phase "done" (the last grey) began, ns."""
        self._end_reason: str | None = None
        """Why the session ends now or after the current trial; None if it does not end yet."""
        self._handled_requests: set[int] = set()
        self._last_request = 0
        self._start_block(0)
        if resume is not None:
            self._resume(resume)
        running: tuple[Phase, ...] = ("grey", "trial")
        # The order matters: the first row whose phase and condition hold is carried out.
        transitions = (
            _Transition(("done",), self._is_last_grey_over, self._end_session),
            _Transition((*running, "paused"), self._is_session_time_up, self._stop_by_time),
            _Transition(running, self._is_block_time_up, self._stop_block_by_time),
            _Transition(("grey",), self._is_limit_reached, self._stop_by_limit),
            _Transition(("grey",), self._is_frame_clock_silent, self._pause),
            _Transition(("grey",), self._is_grey_over, self._start_trial),
            _Transition(("trial",), self._is_trial_over, self._complete_trial),
        )
        self._transitions: dict[Phase, tuple[_Transition, ...]] = {
            phase: tuple(row for row in transitions if phase in row.phases)
            for phase in get_args(Phase)
        }

    def check_session(self, session: SessionSettings) -> None:
        if self.settings.triggers and _CLOSED_LOOP not in session.nodes:
            raise Refused(
                "[[triggers]]: no process of this setup carries them out; add "
                f'[nodes.{_CLOSED_LOOP}] with run = "analysis.{_CLOSED_LOOP}"'
            )

    def _resume(self, resume: ResumePoint) -> None:
        """Continue an interrupted session. Raises Refused if nothing of it is left."""
        self._session_before_ns = round(resume.session_s * 1e9)
        if resume.block == self._plan.number:
            self._block_before_ns = round(resume.block_s * 1e9)
        why = self._counts.limit_reached()
        if self._is_session_time_up(0):
            why = f"it ran for {self.settings.minutes:g} minutes"
        if why is not None:
            raise Refused(f"nothing of the session is left: {why}; start a new one")

    def warnings(self) -> list[str]:
        return unit_warnings(self.settings)

    def handle(self, message: Message) -> None:
        # Messages of the same batch can still arrive after the end; they are ignored.
        if self.ended is not None:
            return
        self._now = max(self._now, message.t)
        if self._start_t is None:
            self._start_t = self._block_t = message.t
            self._frame_clock.start(message.t)
        match message:
            case Edge():
                self._frame_clock.count_edge(message)
            case Wheel():
                self._handle_wheel(message)
            case Lick() if self._trial is not None and message.line == self.settings.spout:
                self._publish_all(self._trial.lick(message.t))
            case Valve():
                self._counts.count_valve(message)
                if self._trial is not None:
                    self._publish_all(self._trial.answer(message))
            case OperatorRequest():
                self._handle_request(message)

    def close(self) -> None:
        self._abort_trial(self._now)

    def _handle_wheel(self, wheel: Wheel) -> None:
        self._running.update(wheel.t, wheel.cm)
        self._frame_clock.watch(wheel.t)
        in_corridor = self._trial is not None and self._trial.start.picture == "corridor"
        moved = self._corridor.advance(wheel.t, self._running, in_corridor)
        self._change_phase(wheel.t)
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
                self._last_request,
            )
        )
        if trial is not None:
            self._publish_all(trial.update(wheel.t, self._corridor.position_m))

    # -- the state machine ----------------------------------------------------------------------

    def _change_phase(self, t: int) -> None:
        for _, condition, action in self._transitions[self._phase]:
            if condition(t):
                action(t)
                return

    def _is_last_grey_over(self, t: int) -> bool:
        is_long_enough = t - self._done_t >= self.settings.grey_after_s * 1e9
        return is_long_enough and self._frame_clock.stop(t)

    def _end_session(self, t: int) -> None:
        self.ended = self._end_reason

    def _is_session_time_up(self, t: int) -> bool:
        ran_ns = t - (self._start_t or 0) + self._session_before_ns
        return ran_ns >= self.settings.minutes * 60e9

    def _stop_by_time(self, t: int) -> None:
        self._abort_trial(t)
        self._start_last_grey(t, _TIME_UP)

    def _is_block_time_up(self, t: int) -> bool:
        return t - self._block_t + self._block_before_ns >= self._plan.block.block_minutes * 60e9

    def _stop_block_by_time(self, t: int) -> None:
        self._abort_trial(t)
        self._end_block(t, _TIME_UP)

    def _is_limit_reached(self, t: int) -> bool:
        return self._counts.limit_reached() is not None

    def _stop_by_limit(self, t: int) -> None:
        self._start_last_grey(t, self._counts.limit_reached())

    def _is_frame_clock_silent(self, t: int) -> bool:
        return self._frame_clock.is_silent

    def _pause(self, t: int) -> None:
        self._phase = "paused"
        self._corridor.position_m = 0.0

    def _is_grey_over(self, t: int) -> bool:
        return self._frame_clock.is_grey_over(t - self._block_t, self._plan.block.grey_before_s)

    def _start_trial(self, t: int) -> None:
        self._change_settings(t)
        start = self._plan.draw_trial(t, self._counts.misses)
        self._phase = "trial"
        self._trial = Trial(start, self._reward, self._request_ids)
        self.publish(start)

    def _change_settings(self, t: int) -> None:
        """Carry out the operator's changes of settings, for the trial that starts at t (ns)."""
        changes = self._live.apply(t, self._plan.next_number, self._plan.number)
        if changes:
            self._plan.change(self._live.settings)
            self._set_reward()
            self._publish_all(changes)

    def _set_reward(self) -> None:
        settings, reward_ul = self.settings, self._plan.block.reward_ul
        self._reward = RewardSettings(settings.spout, reward_ul, settings.decided_by)

    def _is_trial_over(self, t: int) -> bool:
        return self._trial is not None and self._trial.is_over(t, self._corridor.position_m)

    def _complete_trial(self, t: int) -> None:
        trial = self._trial
        self._end_trial(t, "done")
        if trial is not None:
            self._counts.count_trial(trial.start, trial.licked, trial.watered)
        self._plan.complete_trial()
        reason = self._end_reason or self._counts.limit_reached()
        if reason is not None:
            self._start_last_grey(t, reason)
        elif self._plan.is_block_over:
            self._end_block(t, _TRIALS_DONE)
        elif self._frame_clock.is_silent:
            self._pause(t)
        else:
            if self._plan.block.is_corridor:
                # The distance beyond the end of this corridor belongs to the next one.
                self._corridor.position_m -= self._plan.block.lap_m
            self._start_trial(t)

    def _abort_trial(self, t: int) -> None:
        self._end_trial(t, "aborted")
        self._corridor.position_m = 0.0

    def _end_trial(self, t: int, outcome: Literal["done", "aborted"]) -> None:
        if self._trial is None:
            return
        trial, self._trial = self._trial, None
        self._publish_all(trial.close_window(t))
        self.publish(TrialEnd(t, trial.start.trial, outcome))

    def _start_block(self, t: int) -> None:
        """Start the plan's current block at t (ns), with its grey."""
        block, settings = self._plan.block, self.settings
        self._block_t, self._block_before_ns = t, 0
        self._set_reward()
        self._corridor = Corridor(block, settings.speed_window_ms)
        self._phase = "grey"

    def _end_block(self, t: int, reason: str) -> None:
        if self._plan.start_next_block():
            self._start_block(t)
        else:
            self._start_last_grey(t, reason)

    def _start_last_grey(self, t: int, reason: str | None) -> None:
        self._phase = "done"
        self._done_t = t
        self._frame_clock.start_grey()
        self._corridor.position_m = 0.0
        self._end_reason = self._end_reason or reason

    # -- the operator ---------------------------------------------------------------------------

    def _handle_request(self, request: OperatorRequest) -> None:
        if request.id in self._handled_requests or self._now > request.deadline:
            return
        self._handled_requests.add(request.id)
        self._last_request = request.id
        match request.verb:
            case "pause" if self._phase in ("grey", "trial"):
                self._abort_trial(self._now)
                if self._end_reason is None:
                    self._phase = "paused"
                else:  # the session had to end after this trial, which is over now
                    self._start_last_grey(self._now, self._end_reason)
            case "resume" if self._phase == "paused":
                # The next Wheel starts a trial, if the grey of the block is over.
                self._phase = "grey"
                self._frame_clock.resume(self._now)
            case "stop" if self._phase == "trial":
                self._end_reason = self._end_reason or request.text or _OPERATOR
            case "stop" if self._phase != "done":
                self._start_last_grey(self._now, request.text or _OPERATOR)
            case "water":
                self._give_manual_reward()
            case "set":
                refused = self._live.request(request, self._now)
                if refused is not None:
                    self.publish(refused)
            case _:
                pass

    def _give_manual_reward(self) -> None:
        settings, t = self.settings, self._now
        if not settings.watered:
            text = f"no manual reward: cohort {settings.cohort} gets no water in this task"
            self.publish(Fault(t, text))
            return
        self.publish(
            Arm(
                t,
                id=next(self._request_ids),
                deadline=t + NOW_DEADLINE_NS,
                line=settings.spout,
                on="now",
                volume_ul=self._plan.block.reward_ul,
                manual=True,
            )
        )

    def _publish_all(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.publish(message)


if __name__ == "__main__":
    from rig.process import run

    run(Task)
