"""The referee: a second opinion on every cue, reward and trial, from the raw words alone.

It shares no code with the task, so that one mistake cannot be made twice unseen.
"""

from collections import deque

from behavior.judging.manual_reward_judge import ByHand
from behavior.judging.odometry import Odometer
from behavior.judging.order_judge import OrderJudge
from behavior.judging.rules import LATE_NS, Rules, read_rules
from behavior.judging.trial_judge import TrialJudge, cause_t
from rig.messages import (
    Arm,
    Cue,
    Fault,
    Lick,
    Message,
    OperatorRequest,
    Position,
    Start,
    TrialEnd,
    TrialStart,
    TrialVerdict,
    Valve,
    Wheel,
)
from rig.node import Node, Publish

_REMEMBERED = 8
"""How many trials are kept for what is heard late."""


class Referee(Node):
    """Says a Fault for each violation as soon as it is certain, and a Verdict on each trial.

    Everything is judged by its own t, once a wheel and the task's words on it have passed that t.
    A valve that opens after the window was shut is right if its lick lay in the window: its
    Disarm was on the way.
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
    )
    publishes = (TrialVerdict,)
    max_batch_delay_s = 0.005
    max_lag_s = 3.0  # it judges, and moves nothing

    def __init__(self, settings: Node.Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        self._rules: Rules | None = None
        self._known_t = 0
        self._wheels: deque[Wheel] = deque()
        self._turns: list[TrialStart | TrialEnd] = []
        self._licks: list[int] = []
        self._heard_licks: deque[int] = deque(maxlen=1000)
        self._valves: list[Valve] = []
        self._requests: dict[int, Arm] = {}
        self._trials: deque[TrialJudge] = deque(maxlen=_REMEMBERED)
        self._open: deque[TrialJudge] = deque()
        self._trial: TrialJudge | None = None

    def handle(self, message: Message) -> None:
        if isinstance(message, Start):
            self._rules = read_rules(message.session["task"])
            self._way = Odometer(self._rules)
            self._by_hand = ByHand(self._rules)
            self._course = OrderJudge(self._rules, message.t)
        if self._rules is None:
            return
        match message:
            case Wheel():
                self._wheels.append(message)
            case Position():
                self._pass(message, self._rules)
            case TrialStart() | TrialEnd():
                self._turns.append(message)
            case Cue():
                self._cue(message)
            case Lick() if message.line == self._rules.spout:
                self._lick(message.t)
            case Arm():
                self._requests.setdefault(message.id, message)
                if message.manual:
                    self._blame_hand(message.t, self._by_hand.request(message))
            case Valve():
                self._water(message)
            case OperatorRequest():
                self._course.order(message)
                self._by_hand.order(message)

    def close(self) -> None:
        # what was not heard any more gets the benefit of the doubt
        if self._rules is not None:
            self._settle()
            self._judge_water(None)
            for trial in self._open:
                self._verdict(trial)

    def _pass(self, position: Position, rules: Rules) -> None:
        """Settle the wheel before, then take this one with its turns of trials."""
        self._settle()
        agreed = True
        while self._wheels and self._wheels[0].t <= position.t:
            wheel = self._wheels.popleft()
            said_cm_s = position.speed_cm_s if wheel.t == position.t else None
            agreed = self._way.step(wheel.t, wheel.cm, said_cm_s)
            if self._trial is not None:
                self._trial.move(position.t, self._way.go(self._trial.block))
        ended = None
        for turn in self._turns:
            if isinstance(turn, TrialEnd):
                ended = self._end(turn) or ended
            else:
                self._begin(turn, rules, ended)
        self._turns.clear()
        if self._trial is None and ended is not None and self._goes_on(ended, position):
            ended.blame(position.t, "dead zone", "no trial began where this one ended")
        if self._trial is not None:
            self._compare(self._trial, position, agreed)
        self._known_t = max(self._known_t, position.t)

    def _settle(self) -> None:
        """Judge all up to the last wheel: every word on it has been heard."""
        if self._trial is not None:
            self._trial.settle()
        if self._licks:
            for t in [t for t in self._licks if t <= self._known_t]:
                trial = self._at(t)
                if trial is not None:
                    trial.lick(t)
            self._licks = [t for t in self._licks if t > self._known_t]
        if self._valves:
            self._judge_water(self._known_t)
        for trial in self._open:
            trial.look_for_missed(self._known_t)
        while self._open and (end := self._open[0].end) is not None:
            if self._known_t <= end.t + LATE_NS:
                break
            self._verdict(self._open.popleft())

    def _judge_water(self, known_t: int | None) -> None:
        """Judge water whose cause is not after known_t (ns); all of it if that is None."""
        waiting = []
        for valve in self._valves:
            request = self._requests.get(valve.id)
            cause = cause_t(valve, request)
            if known_t is not None and max(cause, valve.t) > known_t:
                waiting.append(valve)
                continue
            trial = self._at(cause)
            if trial is not None:
                trial.water(valve, request, valve.lick_t in self._heard_licks)
            elif not valve.refused:
                text = f"{valve.volume_ul:g} ul of water outside any trial"
                self.publish(Fault(valve.t, f"{text}; look at what asked for it"))
        self._valves = waiting

    def _at(self, t: int) -> TrialJudge | None:
        """Return the trial that ran at t (ns)."""
        for trial in reversed(self._trials):
            if trial.start.t <= t:
                return trial if trial.end is None or t <= trial.end.t else None
        return None

    def _lick(self, t: int) -> None:
        self._licks.append(t)
        self._heard_licks.append(t)
        if self._trial is not None:
            self._trial.heard_lick(t)

    def _water(self, valve: Valve) -> None:
        self._course.water(valve)
        if valve.manual:
            if not valve.refused:
                self._blame_hand(valve.t, self._by_hand.water(valve))
        else:
            self._valves.append(valve)

    def _blame_hand(self, t: int, wrong: str) -> None:
        if wrong:
            self.publish(Fault(t, f"water by hand: {wrong}"))

    def _begin(self, start: TrialStart, rules: Rules, ended: TrialJudge | None) -> None:
        wrong = list(self._course.begin(start))
        wrong += rules.against(start, self._course.misses)
        block = rules.each[min(start.block, len(rules.each) - 1)]
        carry_m = 0.0
        if ended is not None and ended.end and ended.end.outcome == "done" and block.runs:
            carry_m = ended.position_m - ended.block.lap_m
        trial = TrialJudge(start, rules, block, carry_m, self.publish)
        if self._trial is not None:
            wrong.append(("no end before", "it began before the one before it ended"))
        for name, text in wrong:
            trial.blame(start.t, name, text)
        self._way.begin()
        self._trial = trial
        self._trials.append(trial)
        self._open.append(trial)

    def _end(self, end: TrialEnd) -> TrialJudge | None:
        trial = self._trial
        if trial is None or end.trial != trial.start.trial:
            self.publish(Fault(end.t, f"trial {end.trial} ended, but did not run"))
            return None
        trial.finish(end, self._course.may_abort(trial, end.t))
        self._trial = None
        self._course.end(trial, end.outcome == "aborted")
        return trial

    def _goes_on(self, ended: TrialJudge, position: Position) -> bool:
        """Whether another trial is to follow at once: not while the microscope is waited for."""
        done = ended.end is not None and ended.end.outcome == "done"
        return done and position.phase != "paused" and self._course.goes_on(position.t)

    def _compare(self, trial: TrialJudge, position: Position, agreed: bool) -> None:
        """Compare where the task says that the corridor stands with the wheel's own way."""
        if not agreed:
            speeds = f"{position.speed_cm_s:.3f}, by the wheel {self._way.speed_cm_s:.3f} cm/s"
            trial.blame(position.t, "wrong speed", speeds)
        same = trial.compare(position.position_m)
        if position.trial != trial.start.trial or not same:
            places = f"{position.position_m:.4f} m of trial {position.trial}"
            text = f"{places}, by the wheel {trial.position_m:.4f} m"
            trial.blame(position.t, "wrong place", text)

    def _cue(self, cue: Cue) -> None:
        if self._trial is None:
            self.publish(Fault(cue.t, f"a cue at {cue.position_m:.2f} m, and no trial was running"))
        else:
            self._trial.cue(cue)

    def _verdict(self, trial: TrialJudge) -> None:
        trial.conclude()
        t = self._known_t if trial.end is None else trial.end.t
        self.publish(TrialVerdict(t, trial.start.trial, tuple(trial.violations)))


if __name__ == "__main__":
    from rig.process import run

    run(Referee)
