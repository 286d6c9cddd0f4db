"""Tasks with bugs in what goes beyond a corridor with a cue: zones, blocks, pictures, ends."""

from collections.abc import Iterator
from typing import Any

import msgspec

from behavior.task import Task
from behavior.trials import trial
from rig.messages import Message, TrialStart, Valve
from rig.node import Publish
from tests.behavior.planted import Planted
from tests.behavior.refereed import EAGER, JUST_OUTSIDE, NEVER_LICKS
from tests.behavior.sessions import MS


class OpensTheZoneEarly(Planted):
    """Water may be had 10 cm before the zone; the trials do not say so."""

    def _begin_trial(self, t: int) -> None:
        super()._begin_trial(t)
        assert self._trial is not None
        start = self._trial.start
        early = msgspec.structs.replace(start, zone_from_m=start.zone_from_m - 0.1)
        self._trial = trial.Trial(early, self._water, self._requests)


class NeverHasEnough(Planted):
    """The session goes on whatever was given, and however idle the mouse is."""

    def __init__(self, settings: Task.Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        self._counts.end = lambda: None  # type: ignore[method-assign]


class RescuesTooSoon(Planted):
    """A miss too few makes the next rewarded trial passive."""

    def _begin_trial(self, t: int) -> None:
        self._counts.misses += 1
        super()._begin_trial(t)
        self._counts.misses -= 1


class NeverRescues(Planted):
    """Misses are not counted."""

    def _begin_trial(self, t: int) -> None:
        self._counts.misses = 0
        super()._begin_trial(t)


class EndsTheBlockEarly(Planted):
    """A block ends one trial before its last."""

    def _finish_trial(self, t: int) -> None:
        if self._plan._done == len(self._plan._order) - 2:
            self._plan._order = self._plan._order[:-1]
        super()._finish_trial(t)


class HurriesThroughTheGrey(Planted):
    """The grey of every block but the first is half as long."""

    def _enter(self, t: int) -> None:
        super()._enter(t - round(self._plan.block.grey_before_s * 5e8) if t else t)


class KeepsThePicture(Planted):
    """The picture does not end with its reward."""

    def handle(self, message: Message) -> None:
        gone_t = None if self._trial is None else self._trial._gone_t
        super().handle(message)
        if isinstance(message, Valve) and self._trial is not None and gone_t is not None:
            self._trial._gone_t = gone_t


class CutsThePicture(Planted):
    """The picture is gone half a second early."""

    def _begin_trial(self, t: int) -> None:
        super()._begin_trial(t)
        assert self._trial is not None
        self._trial._gone_t -= 500 * MS


class GivesByHandUnasked(Planted):
    """Water is said to be by hand, and nobody asked for it."""

    given = False

    def change(self, message: Message) -> Iterator[Message]:
        yield message
        if isinstance(message, TrialStart) and message.trial == 1 and not self.given:
            self.given = True
            yield msgspec.structs.replace(self.give(message.t), manual=True)


class ShufflesBadly(Planted):
    """A stimulus comes twice in a round."""

    def __init__(self, settings: Task.Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        order = self._plan._order
        self._plan._order = [order[0], order[0], *order[2:]]


class EndsEarly(Planted):
    """A trial ends half a metre before its corridor."""

    def _change_phase(self, t: int, passed_ns: int) -> None:
        lap_m = self.settings.lap_m
        if self._phase == "trial" and lap_m - 0.5 <= self._corridor.position_m < lap_m:
            self._finish_trial(t)
        else:
            super()._change_phase(t, passed_ns)


class RunsFromSlower(Planted):
    """The corridor moves where the mouse does not run fast enough."""

    def __init__(self, settings: Task.Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        self._running._start_cm_s = self._running._stop_cm_s = settings.stop_cm_s / 2


Facts = dict[str, Any]
ZONE: Facts = {"cue": False, "zone_from_m": 2.0, "zone_to_m": 3.0}
PASSIVE_ZONE: Facts = {**ZONE, "reward_mode": "passive"}
LAZY: Facts = {"rescue_after_misses": 2}
BLOCKS: Facts = {"blocks": [{"trials": 3}, {"trials": 4, "grey_m": 0.5}]}
SPOUT: Facts = {
    "picture": "grey",
    "stimuli": [],
    "shares": [],
    "rewarded": ["grey"],
    "show_s": 4.0,
    "blank_s": 0.5,
}
ROUNDS: Facts = {
    "cohort": "unrewarded",
    "picture": "bar",
    "stimuli": ["bar_0", "bar_90", "bar_180"],
    "shares": [],
    "rewarded": [],
    "order": "rounds",
    "show_s": 1.0,
    "blank_s": 0.5,
}

MORE_BUGS: list[tuple[type[Planted], Facts, dict[str, Any], str]] = [
    (EndsEarly, {"reward_mode": "active"}, EAGER, "ended too early"),
    (RunsFromSlower, {"reward_mode": "active"}, EAGER, "wrong place"),
    (OpensTheZoneEarly, PASSIVE_ZONE, EAGER, "reward before the zone"),
    (NeverHasEnough, {"water_ul": 6.0}, EAGER, "past the end"),
    (NeverHasEnough, {"disengaged_after": 2}, NEVER_LICKS, "past the end"),
    (RescuesTooSoon, LAZY, JUST_OUTSIDE, "wrong rescue"),
    (NeverRescues, LAZY, JUST_OUTSIDE, "wrong rescue"),
    (EndsTheBlockEarly, BLOCKS, EAGER, "wrong block"),
    (HurriesThroughTheGrey, BLOCKS, EAGER, "too soon"),
    (KeepsThePicture, SPOUT, EAGER, "no end"),
    (CutsThePicture, ROUNDS, EAGER, "ended too early"),
    (ShufflesBadly, ROUNDS, EAGER, "wrong order"),
]
