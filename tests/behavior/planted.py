"""Tasks with the bugs that the field has had, each the real task but for one mistake."""

from collections.abc import Iterator
from typing import Any

import msgspec

from behavior.task import Task
from behavior.trials import trial
from rig.messages import Arm, Cue, Disarm, Lick, Message, Position, TrialStart, Valve, Wheel
from rig.node import Publish
from tests.behavior.sessions import MS

OFF_NS = 8 * MS


class Planted(Task):
    """The real task, whose words pass through `change` on their way out."""

    name = "task"

    def __init__(self, settings: Task.Settings, publish: Publish) -> None:
        super().__init__(settings, self._change_and_say)
        self._out = publish
        self._ids = iter(range(10_000, 20_000))
        self.start: TrialStart | None = None

    def _change_and_say(self, message: Message) -> None:
        if isinstance(message, TrialStart):
            self.start = message
        for changed in self.change(message):
            self._out(changed)

    def change(self, message: Message) -> Iterator[Message]:
        yield message

    def give(self, t: int, lick_t: int | None = None) -> Arm:
        """Return a wish for water at once, against the rules."""
        facts = self.settings
        return Arm(t, next(self._ids), t + 10**9, facts.spout, "now", facts.reward_ul, lick_t)


class PaysLicksBeforeTheCue(Planted):
    """An early lick, 8 ms before the cue, is paid at the cue."""

    def change(self, message: Message) -> Iterator[Message]:
        yield message
        if isinstance(message, Cue) and self.start and self.start.rewarded:
            yield self.give(message.t, message.t - OFF_NS)


class LeavesTheWindowOpen(Planted):
    """The valve is disarmed 8 ms after the texture is left; a lick in between is paid."""

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


class PaysLate(Planted):
    """The passive reward is asked for 8 ms after its time."""

    wrong_ns = OFF_NS

    def change(self, message: Message) -> Iterator[Message]:
        if isinstance(message, TrialStart):
            # the trial waits otherwise than it says
            yield message
            delay_ms = message.reward_delay_ms + self.wrong_ns / MS
            self.start = msgspec.structs.replace(message, reward_delay_ms=delay_ms)
        else:
            yield message

    def _begin_trial(self, t: int) -> None:
        super()._begin_trial(t)
        assert self._trial is not None
        assert self.start is not None
        self._trial.start = self.start


class PaysEarly(PaysLate):
    """The passive reward is asked for 8 ms before its time."""

    wrong_ns = -OFF_NS


class PaysTwice(Planted):
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


class PaysInTheGrey(Planted):
    """The reward comes where the texture has been left."""

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


class PaysInEveryCorridor(Planted):
    """All corridors are paid; the trials do not say so."""

    def _begin_trial(self, t: int) -> None:
        super()._begin_trial(t)
        assert self._trial is not None
        paid = msgspec.structs.replace(self._trial.start, rewarded=True)
        if paid.reward_mode == "none":
            paid = msgspec.structs.replace(paid, reward_mode=self.settings.reward_mode)
        self._trial = trial.Trial(paid, self._water, self._requests)


class ForgetsRewards(Planted):
    """No reward is ever asked for."""

    def change(self, message: Message) -> Iterator[Message]:
        if not isinstance(message, Arm):
            yield message


class IgnoresAfterEarlyLicks(Planted):
    """A lick before the cue makes the trial deaf for those after it."""

    def handle(self, message: Message) -> None:
        if isinstance(message, Lick) and self._trial and self._trial._open_t is None:
            self._trial._settled = True
        super().handle(message)


class CuesTwice(Planted):
    """The cue comes again half a metre on."""

    again: Cue | None = None
    place_m = 0.0

    def change(self, message: Message) -> Iterator[Message]:
        yield message
        if isinstance(message, Cue):
            self.again, self.place_m = message, message.position_m + 0.5
        elif isinstance(message, Position) and self.again and message.position_m > self.place_m:
            yield Cue(message.t, self.again.trial, message.position_m)
            self.again = None


class CuesLate(Planted):
    """The cue comes one wheel late."""

    held: Cue | None = None

    def change(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Cue):
            self.held = message
            return
        yield message
        if self.held and isinstance(message, Position):
            yield msgspec.structs.replace(self.held, t=message.t)
            self.held = None


class RestsBetweenTrials(Planted):
    """A trial begins some wheels after the last one ended: a dead zone."""

    def _finish_trial(self, t: int) -> None:
        self._end_trial(t, "done")
        self._plan.done()
        self._corridor.position_m = 0.0
        self._phase = "grey"
        self._resume_t = t + 30 * MS
        if self._plan.is_block_over:
            self._begin_tail(t, "all trials done")

    _resume_t = 0

    def _change_phase(self, t: int, passed_ns: int) -> None:
        if self._phase != "grey" or t >= self._resume_t:
            super()._change_phase(t, passed_ns)


Facts = dict[str, Any]
ACTIVE: Facts = {"reward_mode": "active"}
BY_TASK: Facts = {"reward_mode": "active", "decided_by": "task"}
PASSIVE: Facts = {"reward_mode": "passive", "reward_delay_ms": 200.0}
UNREWARDED: Facts = {"cohort": "unrewarded"}

BUGS: list[tuple[type[Planted], Facts, str]] = [
    (PaysLicksBeforeTheCue, ACTIVE, "reward before the cue"),
    (PaysLicksBeforeTheCue, BY_TASK, "reward before the cue"),
    (PaysLate, PASSIVE, "reward too late"),
    (PaysEarly, PASSIVE, "reward too early"),
    (PaysTwice, ACTIVE, "two rewards"),
    (PaysTwice, PASSIVE, "two rewards"),
    (PaysInTheGrey, ACTIVE, "reward in the grey"),
    (PaysInEveryCorridor, ACTIVE, "reward for nothing"),
    (PaysInEveryCorridor, UNREWARDED, "reward for nothing"),
    (ForgetsRewards, ACTIVE, "missed reward"),
    (ForgetsRewards, PASSIVE, "missed reward"),
    (IgnoresAfterEarlyLicks, ACTIVE, "missed reward"),
    (IgnoresAfterEarlyLicks, BY_TASK, "missed reward"),
    (CuesTwice, ACTIVE, "cue twice"),
    (CuesLate, ACTIVE, "no cue"),
    (RestsBetweenTrials, ACTIVE, "dead zone"),
]
