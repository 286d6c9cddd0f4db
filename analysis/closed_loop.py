"""The closed loop: from the rules of a task to requests to raise a line. It reads no clock."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec

from analysis.signals.task_signals import task_signals
from analysis.triggers.moments import Moments
from analysis.triggers.settings import (
    TriggerSettings,
    check_in_session,
    check_names,
    parse_rule,
    unit_warnings,
)
from analysis.triggers.signals import Moment
from analysis.triggers.trigger import Now, Requests, RuleTrigger
from analysis.triggers.yoked import YokedTrigger, read_raised
from rig.messages import (
    CellSignals,
    Cue,
    Lick,
    Message,
    Position,
    Start,
    TrialEnd,
    TrialStart,
    Trigger,
    TriggerRelease,
)
from rig.node import Node, Publish
from rig.settings.config import SessionSettings


class ClosedLoop(Node):
    """A decider that publishes a Trigger when a rule of the task becomes true.

    A rule on behavior is evaluated at each tick of the wheel. A rule with a signal of imaging
    frames is evaluated at each CellSignals, with the behavior at the time of the frame's scan. It
    raises its line only if the trial that was running then is still running.
    """

    name = "closed_loop"
    subscribes = (Start, Position, TrialStart, TrialEnd, Cue, Lick, CellSignals)
    publishes = (Trigger, TriggerRelease)
    critical = False
    task_keys = ("triggers",)

    class Settings(Node.Settings, frozen=True, kw_only=True):
        """The [[triggers]] of the task."""

        triggers: list[TriggerSettings] = msgspec.field(default_factory=list)
        seed: int

    settings: Settings

    def __init__(self, settings: Settings, publish: Publish) -> None:
        """Parse the rules. Raises Refused if a rule is not valid."""
        super().__init__(settings, publish)
        check_names(settings.triggers)
        self._rules = [parse_rule(one) for one in settings.triggers]
        self._ids: Iterator[int] = count(1)
        self._moments = Moments(any(rule is not None and rule.of_frames for rule in self._rules))
        self._triggers: list[RuleTrigger | YokedTrigger] = []
        self._t = 0
        """The largest time of any message so far, ns."""
        self._trial = -1

    def check_session(self, session: SessionSettings) -> None:
        for settings, rule in zip(self.settings.triggers, self._rules, strict=True):
            check_in_session(settings, rule, session)

    def warnings(self) -> list[str]:
        pairs = zip(self.settings.triggers, self._rules, strict=True)
        return [warning for pair in pairs for warning in unit_warnings(*pair)]

    def open(self) -> None:
        pairs = zip(self.settings.triggers, self._rules, strict=True)
        for number, (settings, rule) in enumerate(pairs):
            requests = Requests(settings, self.settings.seed, number, self._ids)
            if rule is not None:
                self._triggers.append(RuleTrigger(settings, rule, requests))
            else:
                raised = read_raised(Path(settings.yoked_file), settings.name)
                self._triggers.append(YokedTrigger(settings, raised, requests))

    def handle(self, message: Message) -> None:
        self._t = max(self._t, message.t)
        match message:
            case Start():
                self._moments.contrasts = task_signals(message.session.get("task", {})).contrasts
            case TrialStart() | Cue() | Lick():
                self._moments.add(message)
            case Position():
                self._trial = message.trial
                self._judge(self._moments.of_tick(message), message.t)
            case CellSignals():
                self._judge(self._moments.of_frame(message), message.t)
            case TrialEnd():
                self._trial = -1
                for trigger in self._triggers:
                    self._publish_all(trigger.release(message.t))

    def _judge(self, moment: Moment, cause_t: int) -> None:
        now = Now(self._t, cause_t, self._trial)
        for trigger in self._triggers:
            if trigger.of_frames == (moment.frame is not None):
                self._publish_all(trigger.judge(moment, now))

    def _publish_all(self, messages: list[Message]) -> None:
        for message in messages:
            self.publish(message)


if __name__ == "__main__":
    from rig.process import run

    run(ClosedLoop)
