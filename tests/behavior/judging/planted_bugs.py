"""Tasks with one planted bug each, as other systems have had."""

from collections.abc import Iterator
from typing import Any

import msgspec

from behavior.task import Task
from behavior.trials import trial
from rig.messages import Arm, Cue, Disarm, Lick, Message, Position, TrialStart, Valve, Wheel
from rig.node import Publish
from tests.behavior.sessions import MS

OFF_NS = 8 * MS


class BuggyTask(Task):
    """The real task, whose messages pass through `change` before they are published."""

    name = "task"

    def __init__(self, settings: Task.Settings, publish: Publish) -> None:
        super().__init__(settings, self._publish_changed)
        self._out = publish
        self._ids = iter(range(10_000, 20_000))
        self.start: TrialStart | None = None

    def _publish_changed(self, message: Message) -> None:
        if isinstance(message, TrialStart):
            self.start = message
        for changed in self.change(message):
            self._out(changed)

    def change(self, message: Message) -> Iterator[Message]:
        yield message

    def give(self, t: int, lick_t: int | None = None) -> Arm:
        """Return a request for water at once, against the rules."""
        options = self.settings
        return Arm(t, next(self._ids), t + 10**9, options.spout, "now", options.reward_ul, lick_t)


class RewardsLicksBeforeTheCue(BuggyTask):
    """A lick 8 ms before the cue is rewarded at the cue."""

    def change(self, message: Message) -> Iterator[Message]:
        yield message
        if isinstance(message, Cue) and self.start and self.start.rewarded:
            yield self.give(message.t, message.t - OFF_NS)


class LeavesTheWindowOpen(BuggyTask):
    """The valve is disarmed 8 ms after the texture; a lick in between is rewarded."""

    def __init__(self, settings: Task.Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        self.waiting: list[Disarm] = []

    def change(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Disarm):
            self.waiting.append(message)
        else:
            yield message

    def handle(self, message: Message) -> None:
        super().handle(message)
        for disarm in self.waiting:
            if message.t >= disarm.t + OFF_NS:
                self._out(disarm)
        self.waiting = [d for d in self.waiting if message.t < d.t + OFF_NS]


class RewardsLate(BuggyTask):
    """The passive reward is requested 8 ms late."""

    wrong_ns = OFF_NS

    def change(self, message: Message) -> Iterator[Message]:
        if isinstance(message, TrialStart):
            # the trial waits for another delay than that in TrialStart
            yield message
            delay_ms = message.reward_delay_ms + self.wrong_ns / MS
            self.start = msgspec.structs.replace(message, reward_delay_ms=delay_ms)
        else:
            yield message

    def _start_trial(self, t: int) -> None:
        super()._start_trial(t)
        assert self._trial is not None
        assert self.start is not None
        self._trial.start = self.start


class RewardsEarly(RewardsLate):
    """The passive reward is requested 8 ms early."""

    wrong_ns = -OFF_NS


class RewardsTwice(BuggyTask):
    """A second reward, half a second after the first."""

    paid_t: int | None = None

    def handle(self, message: Message) -> None:
        super().handle(message)
        if isinstance(message, Valve) and not message.refused and message.id < 10_000:
            self.paid_t = message.t
        if (
            isinstance(message, Wheel)
            and self.paid_t is not None
            and message.t > self.paid_t + 500 * MS
        ):
            self.paid_t = None
            self._out(self.give(message.t))


class RewardsInTheGrey(BuggyTask):
    """The reward comes in the grey."""

    def change(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Arm):
            return
        yield message

    def handle(self, message: Message) -> None:
        super().handle(message)
        start = self.start
        if start and start.rewarded and self._corridor.position_m > start.texture_m + 0.1:
            self.start = None
            self._out(self.give(message.t))


class RewardsEveryCorridor(BuggyTask):
    """All corridors are rewarded, which is not in TrialStart."""

    def _start_trial(self, t: int) -> None:
        super()._start_trial(t)
        assert self._trial is not None
        paid = msgspec.structs.replace(self._trial.start, rewarded=True)
        if paid.reward_mode == "none":
            paid = msgspec.structs.replace(paid, reward_mode=self.settings.reward_mode)
        self._trial = trial.Trial(paid, self._reward, self._request_ids)


class ForgetsRewards(BuggyTask):
    """No reward is ever requested."""

    def change(self, message: Message) -> Iterator[Message]:
        if not isinstance(message, Arm):
            yield message


class IgnoresAfterEarlyLicks(BuggyTask):
    """After a lick before the cue, later licks are ignored."""

    def handle(self, message: Message) -> None:
        if isinstance(message, Lick) and self._trial and self._trial._opened_t is None:
            self._trial._decided = True
        super().handle(message)


class CuesTwice(BuggyTask):
    """The cue comes again half a metre later."""

    again: Cue | None = None
    place_m = 0.0

    def change(self, message: Message) -> Iterator[Message]:
        yield message
        if isinstance(message, Cue):
            self.again, self.place_m = message, message.position_m + 0.5
        elif isinstance(message, Position) and self.again and message.position_m > self.place_m:
            yield Cue(message.t, self.again.trial, message.position_m)
            self.again = None


class CuesLate(BuggyTask):
    """The cue comes one Wheel late."""

    held: Cue | None = None

    def change(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Cue):
            self.held = message
            return
        yield message
        if self.held and isinstance(message, Position):
            yield msgspec.structs.replace(self.held, t=message.t)
            self.held = None


class PausesBetweenTrials(BuggyTask):
    """A trial starts some Wheels after the last one ended."""

    def _complete_trial(self, t: int) -> None:
        self._end_trial(t, "done")
        self._plan.complete_trial()
        self._corridor.position_m = 0.0
        self._phase = "grey"
        self._resume_t = t + 30 * MS
        if self._plan.is_block_over:
            self._start_last_grey(t, "all trials done")

    _resume_t = 0

    def _change_phase(self, t: int) -> None:
        if self._phase != "grey" or t >= self._resume_t:
            super()._change_phase(t)


Options = dict[str, Any]
ACTIVE: Options = {"reward_mode": "active"}
BY_TASK: Options = {"reward_mode": "active", "decided_by": "task"}
PASSIVE: Options = {"reward_mode": "passive", "reward_delay_ms": 200.0}
UNREWARDED: Options = {"cohort": "unrewarded"}

BUGS: list[tuple[type[BuggyTask], Options, str]] = [
    (RewardsLicksBeforeTheCue, ACTIVE, "reward before the cue"),
    (RewardsLicksBeforeTheCue, BY_TASK, "reward before the cue"),
    (RewardsLate, PASSIVE, "reward too late"),
    (RewardsEarly, PASSIVE, "reward too early"),
    (RewardsTwice, ACTIVE, "two rewards"),
    (RewardsTwice, PASSIVE, "two rewards"),
    (RewardsInTheGrey, ACTIVE, "reward after the zone"),
    (RewardsEveryCorridor, ACTIVE, "reward in unrewarded trial"),
    (RewardsEveryCorridor, UNREWARDED, "reward in unrewarded trial"),
    (ForgetsRewards, ACTIVE, "missed reward"),
    (ForgetsRewards, PASSIVE, "missed reward"),
    (IgnoresAfterEarlyLicks, ACTIVE, "missed reward"),
    (IgnoresAfterEarlyLicks, BY_TASK, "missed reward"),
    (CuesTwice, ACTIVE, "cue twice"),
    (CuesLate, ACTIVE, "no cue"),
    (PausesBetweenTrials, ACTIVE, "gap between trials"),
]
