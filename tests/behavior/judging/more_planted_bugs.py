"""Tasks with a planted bug in zones, blocks, pictures or limits."""

from collections.abc import Iterator
from typing import Any

import msgspec

from behavior.task import Task
from behavior.trials import trial
from behavior.trials.corridor import Corridor
from rig.messages import Message, TrialStart, Valve
from rig.node import Publish
from tests.behavior.judging.planted_bugs import BuggyTask
from tests.behavior.judging.refereed import EAGER, JUST_OUTSIDE, NEVER_LICKS, ROCKING
from tests.behavior.sessions import MS


class OpensTheZoneEarly(BuggyTask):
    """The reward is available 10 cm before the zone, which is not in TrialStart."""

    def _start_trial(self, t: int) -> None:
        super()._start_trial(t)
        assert self._trial is not None
        start = self._trial.start
        early = msgspec.structs.replace(start, zone_from_m=start.zone_from_m - 0.1)
        self._trial = trial.Trial(early, self._reward, self._request_ids)


class NeverHasEnough(BuggyTask):
    """The session ignores its limits of water and disengagement."""

    def __init__(self, settings: Task.Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        self._counts.limit_reached = lambda: None  # type: ignore[method-assign]


class RescuesTooSoon(BuggyTask):
    """A rescue trial comes one miss too early."""

    def _start_trial(self, t: int) -> None:
        self._counts.misses += 1
        super()._start_trial(t)
        self._counts.misses -= 1


class NeverRescues(BuggyTask):
    """Misses are not counted."""

    def _start_trial(self, t: int) -> None:
        self._counts.misses = 0
        super()._start_trial(t)


class EndsTheBlockEarly(BuggyTask):
    """A block ends one trial before its last."""

    def _complete_trial(self, t: int) -> None:
        if self._plan._completed == len(self._plan._order) - 2:
            self._plan._order = self._plan._order[:-1]
        super()._complete_trial(t)


class HurriesThroughTheGrey(BuggyTask):
    """The grey of every block but the first is half as long."""

    def _start_block(self, t: int) -> None:
        super()._start_block(t - round(self._plan.block.grey_before_s * 5e8) if t else t)


class KeepsThePicture(BuggyTask):
    """The picture does not end with its reward."""

    def handle(self, message: Message) -> None:
        gone_t = None if self._trial is None else self._trial._picture_end_t
        super().handle(message)
        if isinstance(message, Valve) and self._trial is not None and gone_t is not None:
            self._trial._picture_end_t = gone_t


class CutsThePicture(BuggyTask):
    """The picture ends half a second early."""

    def _start_trial(self, t: int) -> None:
        super()._start_trial(t)
        assert self._trial is not None
        self._trial._picture_end_t -= 500 * MS


class GivesUnrequestedManualReward(BuggyTask):
    """A reward is marked as manual, but the operator did not request it."""

    given = False

    def change(self, message: Message) -> Iterator[Message]:
        yield message
        if isinstance(message, TrialStart) and message.trial == 1 and not self.given:
            self.given = True
            yield msgspec.structs.replace(self.give(message.t), manual=True)


class ShufflesBadly(BuggyTask):
    """A stimulus comes twice in a round."""

    def __init__(self, settings: Task.Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        order = self._plan._order
        self._plan._order = [order[0], order[0], *order[2:]]


class EndsEarly(BuggyTask):
    """A trial ends half a metre before the end of its corridor."""

    def _change_phase(self, t: int) -> None:
        lap_m = self.settings.lap_m
        if self._phase == "trial" and lap_m - 0.5 <= self._corridor.position_m < lap_m:
            self._complete_trial(t)
        else:
            super()._change_phase(t)


class RunsFromSlower(BuggyTask):
    """The corridor moves although the mouse runs too slowly."""

    def __init__(self, settings: Task.Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        self._running._start_cm_s = self._running._stop_cm_s = settings.stop_cm_s / 2


class MixesUpGainDistance(BuggyTask):
    """Backward steps are made up for if the setting counts them as 0, and vice versa."""

    def _start_block(self, t: int) -> None:
        super()._start_block(t)
        block = self._plan.block
        other: Any = {"net": "forward", "forward": "net"}[block.gain_distance]
        wrong = msgspec.structs.replace(block, gain_distance=other)
        self._corridor = Corridor(wrong, self.settings.speed_window_ms)


Options = dict[str, Any]
ZONE: Options = {"cue": False, "zone_from_m": 2.0, "zone_to_m": 3.0}
PASSIVE_ZONE: Options = {**ZONE, "reward_mode": "passive"}
LAZY: Options = {"rescue_after_misses": 2}
BLOCKS: Options = {"blocks": [{"trials": 3}, {"trials": 4, "grey_m": 0.5}]}
SPOUT: Options = {
    "picture": "grey",
    "stimuli": [],
    "shares": [],
    "rewarded": ["grey"],
    "show_s": 4.0,
    "blank_s": 0.5,
}
GAIN: Options = {"motion": "gain", "gain": 4.0, "reward_mode": "active"}
ROUNDS: Options = {
    "cohort": "unrewarded",
    "picture": "bar",
    "stimuli": ["bar_0", "bar_90", "bar_180"],
    "shares": [],
    "rewarded": [],
    "order": "rounds",
    "show_s": 1.0,
    "blank_s": 0.5,
}

MORE_BUGS: list[tuple[type[BuggyTask], Options, dict[str, Any], str]] = [
    (EndsEarly, {"reward_mode": "active"}, EAGER, "ended too early"),
    (RunsFromSlower, {"reward_mode": "active"}, EAGER, "wrong position"),
    (MixesUpGainDistance, GAIN, ROCKING, "wrong position"),
    (MixesUpGainDistance, {**GAIN, "gain_distance": "forward"}, ROCKING, "wrong position"),
    (OpensTheZoneEarly, PASSIVE_ZONE, EAGER, "reward before the zone"),
    (NeverHasEnough, {"water_ul": 6.0}, EAGER, "trial after the end"),
    (NeverHasEnough, {"disengaged_after": 2}, NEVER_LICKS, "trial after the end"),
    (RescuesTooSoon, LAZY, JUST_OUTSIDE, "wrong rescue"),
    (NeverRescues, LAZY, JUST_OUTSIDE, "wrong rescue"),
    (EndsTheBlockEarly, BLOCKS, EAGER, "wrong block"),
    (HurriesThroughTheGrey, BLOCKS, EAGER, "grey too short"),
    (KeepsThePicture, SPOUT, EAGER, "trial too long"),
    (CutsThePicture, ROUNDS, EAGER, "ended too early"),
    (ShufflesBadly, ROUNDS, EAGER, "wrong order"),
]
