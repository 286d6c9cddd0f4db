"""The referee: checks every cue, reward and trial a second time, from the raw messages.

It shares no code with the task, so that a mistake in the task's code is not repeated here.
"""

from collections import deque
from contextlib import suppress
from typing import Any

import msgspec

from behavior.judging.manual_reward_judge import ManualRewardJudge
from behavior.judging.odometry import Odometer
from behavior.judging.order_judge import OrderJudge
from behavior.judging.rules import LATE_NS, Rules, read_rules, with_setting
from behavior.judging.trial_judge import TrialJudge, cause_t
from rig.messages import (
    Arm,
    Cue,
    Fault,
    Lick,
    Message,
    OperatorRequest,
    Position,
    SettingChange,
    Start,
    TrialEnd,
    TrialStart,
    TrialVerdict,
    Valve,
    Wheel,
)
from rig.node import Node, Publish

_KEPT_TRIALS = 8
"""Number of recent trials that are kept for licks and valves that arrive late."""
_KEPT_LICKS = 1000


class Referee(Node):
    """A decider that publishes a Fault for each violation, and a verdict on each trial.

    Messages may arrive late. So each is judged by its own `t`, after a Position with a later `t`:

        1. Wheel, TrialStart, TrialEnd, Lick and Valve messages are stored.
        2. The task publishes one Position for each Wheel, with the same `t`. When a Position
           arrives, everything up to the Position before it is complete and is judged. Then the
           stored Wheel, TrialStart and TrialEnd messages up to the new Position are processed.
        3. A trial gets its verdict LATE_NS after its end, when no more water can come for it.

    A valve may open after the reward window has closed if its lick was inside the window, because
    the Disarm may arrive after the lick.
    """

    name = "referee"
    subscribes = (
        Start,
        Wheel,
        Lick,
        Valve,
        OperatorRequest,
        Position,
        TrialStart,
        TrialEnd,
        Cue,
        Arm,
        SettingChange,
    )
    publishes = (TrialVerdict,)
    max_batch_delay_s = 0.01
    max_lag_s = 3.0  # nothing waits for a verdict, so the referee may lag

    def __init__(self, settings: Node.Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        self._rules: Rules | None = None
        self._known_t = 0
        """Time of the last Position, ns; everything up to it can be judged."""
        self._wheels: deque[Wheel] = deque()
        self._task: dict[str, Any] = {}
        """The settings of the task, with the changes so far."""
        self._set_requests: dict[int, OperatorRequest] = {}
        self._borders: list[TrialStart | TrialEnd | SettingChange] = []
        self._licks: list[int] = []
        self._recent_licks: deque[int] = deque(maxlen=_KEPT_LICKS)
        self._valves: list[Valve] = []
        self._arms: dict[int, Arm] = {}
        self._trials: deque[TrialJudge] = deque(maxlen=_KEPT_TRIALS)
        self._unjudged: deque[TrialJudge] = deque()
        """The trials without a verdict."""
        self._trial: TrialJudge | None = None

    def handle(self, message: Message) -> None:
        if isinstance(message, Start):
            self._task = message.session["task"]
            self._rules = read_rules(self._task)
            self._odometer = Odometer(self._rules)
            self._manual_rewards = ManualRewardJudge(self._rules)
            self._order = OrderJudge(self._rules, message.t)
        if self._rules is None:
            return
        match message:
            case Wheel():
                self._wheels.append(message)
            case Position():
                self._handle_position(message, self._rules)
            case TrialStart() | TrialEnd() | SettingChange():
                self._borders.append(message)
            case Cue():
                self._handle_cue(message)
            case Lick() if message.line == self._rules.spout:
                self._handle_lick(message.t)
            case Arm():
                self._arms.setdefault(message.id, message)
                if message.manual:
                    self._report_manual(message.t, self._manual_rewards.judge_arm(message))
            case Valve():
                self._handle_valve(message)
            case OperatorRequest():
                self._order.add_request(message)
                self._manual_rewards.add_request(message)
                if message.verb == "set":
                    self._set_requests[message.id] = message

    def close(self) -> None:
        # A message that was lost does not count as a violation by the task.
        if self._rules is not None:
            self._judge_known()
            self._judge_valves(None)
            for trial in self._unjudged:
                self._publish_verdict(trial)

    def _handle_position(self, position: Position, rules: Rules) -> None:
        self._judge_known()
        agrees = self._take_wheels(position)
        completed = self._take_borders(rules)
        if self._trial is None and completed is not None and self._expects_trial(position):
            text = "no trial started where this one ended"
            completed.report(position.t, "gap between trials", text)
        if self._trial is not None:
            self._compare(self._trial, position, agrees)
        self._known_t = max(self._known_t, position.t)

    def _take_wheels(self, position: Position) -> bool:
        """Process the Wheels up to the Position; return True if the task's speed agrees."""
        agrees = True
        while self._wheels and self._wheels[0].t <= position.t:
            wheel = self._wheels.popleft()
            task_cm_s = position.speed_cm_s if wheel.t == position.t else None
            agrees = self._odometer.update(wheel.t, wheel.cm, task_cm_s)
            if self._trial is not None:
                self._trial.advance(position.t, self._odometer.advance(self._trial.block))
        return agrees

    def _take_borders(self, rules: Rules) -> TrialJudge | None:
        """Process the stored starts and ends of trials; return the trial that was completed."""
        completed = None
        for border in self._borders:
            if isinstance(border, SettingChange):
                rules = self._change_rules(border, rules)
                continue
            if isinstance(border, TrialStart):
                self._start_trial(border, rules, completed)
                continue
            ended = self._end_trial(border)
            if ended is not None:
                completed = ended if border.outcome == "done" else None
        self._borders.clear()
        return completed

    def _change_rules(self, change: SettingChange, rules: Rules) -> Rules:
        """Use a changed setting from now on, if the operator requested the change."""
        if change.refused:
            return rules
        request = self._set_requests.pop(change.id, None)
        name, _, text = (request.text if request else "").partition("=")
        new = msgspec.json.decode(change.new)
        if change.name not in self._task["live"] or not _is_asked(change.name, new, name, text):
            text = f"{change.name} was set to {change.new}, but nobody requested it"
            self.publish(Fault(change.t, f"{text}; find out what changes settings"))
            return rules
        self._task = with_setting(self._task, change.name, new)
        self._rules = read_rules(self._task)
        self._manual_rewards.change_rules(self._rules)
        return self._rules

    def _judge_known(self) -> None:
        """Judge everything up to the last Position."""
        if self._trial is not None:
            self._trial.judge_wheel()
        if self._licks:
            for t in [t for t in self._licks if t <= self._known_t]:
                trial = self._trial_at(t)
                if trial is not None:
                    trial.judge_lick(t)
            self._licks = [t for t in self._licks if t > self._known_t]
        if self._valves:
            self._judge_valves(self._known_t)
        for trial in self._unjudged:
            trial.check_missed_reward(self._known_t)
        while self._unjudged and (end := self._unjudged[0].end) is not None:
            if self._known_t <= end.t + LATE_NS:
                break
            self._publish_verdict(self._unjudged.popleft())

    def _judge_valves(self, known_t: int | None) -> None:
        """Judge the Valves up to known_t (ns); None: all Valves."""
        waiting = []
        for valve in self._valves:
            arm = self._arms.get(valve.id)
            cause = cause_t(valve, arm)
            if known_t is not None and max(cause, valve.t) > known_t:
                waiting.append(valve)
                continue
            trial = self._trial_at(cause)
            if trial is not None:
                trial.judge_valve(valve, arm, valve.lick_t in self._recent_licks)
            elif not valve.refused:
                text = f"{valve.volume_ul:g} ul of water outside any trial"
                self.publish(Fault(valve.t, f"{text}; find out what requested it"))
        self._valves = waiting

    def _trial_at(self, t: int) -> TrialJudge | None:
        """Return the trial that ran at t (ns), or None."""
        for trial in reversed(self._trials):
            if trial.start.t <= t:
                return trial if trial.end is None or t <= trial.end.t else None
        return None

    def _handle_lick(self, t: int) -> None:
        self._licks.append(t)
        self._recent_licks.append(t)
        if self._trial is not None:
            self._trial.count_lick(t)

    def _handle_valve(self, valve: Valve) -> None:
        self._order.add_valve(valve)
        if valve.manual:
            if not valve.refused:
                self._report_manual(valve.t, self._manual_rewards.judge_valve(valve))
        else:
            self._valves.append(valve)

    def _report_manual(self, t: int, violation: str) -> None:
        if violation:
            self.publish(Fault(t, f"manual reward: {violation}"))

    def _start_trial(self, start: TrialStart, rules: Rules, before: TrialJudge | None) -> None:
        """Start to judge a trial; `before` is the trial that was completed at the same Wheel."""
        violations = list(self._order.start_trial(start))
        violations += rules.check_start(start, self._order.misses)
        block = rules.blocks[min(start.block, len(rules.blocks) - 1)]
        carry_m = 0.0
        if before is not None and block.is_corridor:
            carry_m = before.position_m - before.block.lap_m
        trial = TrialJudge(start, rules, block, carry_m, self.publish)
        if self._trial is not None:
            violations.append(("overlapping trials", "the trial before it has not ended"))
        for name, text in violations:
            trial.report(start.t, name, text)
        self._odometer.start_trial()
        self._trial = trial
        self._trials.append(trial)
        self._unjudged.append(trial)

    def _end_trial(self, end: TrialEnd) -> TrialJudge | None:
        trial = self._trial
        if trial is None or end.trial != trial.start.trial:
            self.publish(Fault(end.t, f"trial {end.trial} ended, but it was not running"))
            return None
        trial.judge_end(end, self._order.may_abort(trial, end.t))
        self._trial = None
        self._order.end_trial(trial, end.outcome == "aborted")
        return trial

    def _expects_trial(self, position: Position) -> bool:
        """Return True if the next trial has to start now; False while the frame clock is silent."""
        return position.phase != "paused" and self._order.expects_trial(position.t)

    def _compare(self, trial: TrialJudge, position: Position, speeds_agree: bool) -> None:
        """Compare the task's speed and position with those computed here from the wheel."""
        if not speeds_agree:
            own_cm_s = self._odometer.speed_cm_s
            text = f"{position.speed_cm_s:.3f} cm/s, but {own_cm_s:.3f} cm/s by the wheel"
            trial.report(position.t, "wrong speed", text)
        agrees = trial.agrees(position.position_m)
        if position.trial != trial.start.trial or not agrees:
            found = f"{position.position_m:.4f} m of trial {position.trial}"
            text = f"{found}, but {trial.position_m:.4f} m by the wheel"
            trial.report(position.t, "wrong position", text)

    def _handle_cue(self, cue: Cue) -> None:
        if self._trial is None:
            self.publish(Fault(cue.t, f"a cue at {cue.position_m:.2f} m outside any trial"))
        else:
            self._trial.judge_cue(cue)

    def _publish_verdict(self, trial: TrialJudge) -> None:
        trial.judge_duration()
        t = self._known_t if trial.end is None else trial.end.t
        self.publish(TrialVerdict(t, trial.start.trial, tuple(trial.violations)))


def _is_asked(name: str, value: Any, asked_name: str, asked_text: str) -> bool:
    """Return True if a setting has the value that the operator requested."""
    asked: Any = asked_text.strip()
    with suppress(msgspec.DecodeError):
        asked = msgspec.json.decode(asked)
    return bool(name == asked_name.strip() and value == asked)


if __name__ == "__main__":
    from rig.process import run

    run(Referee)
