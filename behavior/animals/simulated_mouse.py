"""A simulated mouse: runs in bouts, licks in bursts, and expects water where it got some."""

from typing import Annotated, ClassVar

import msgspec
import numpy as np

from behavior.animals.mouse_motion import Chance, LickBursts, MotionSettings, Running, Seconds, ns
from rig.messages import Cue, Message, Start, TrialStart, Valve


class SimulatedMouse:
    """A mouse with an expectation of water for each corridor, which its licks follow.

    A trained mouse expects it in rewarded corridors alone; one that is not tries the spout now and
    then in any. Each corridor's expectation follows what it brought (Rescorla and Wagner, 1972), so
    that a mouse can be watched while it learns. All that it draws comes from the session's seed.
    """

    simulated: ClassVar[bool] = True

    class Settings(MotionSettings, frozen=True, kw_only=True):
        """Its body and its mind; [recorded] and [ours] as in MotionSettings."""

        cm_per_count: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.0135
        trained: Chance = 1.0
        """How much it knows at the session's start: 0 nothing, 1 which corridor has water."""
        learning_rate: Chance = 0.02
        """How far a trial's outcome moves its expectation, as a share of the surprise [ours]."""
        explores: Chance = 0.35
        """How often it tries the spout in a corridor of which it knows nothing [ours]."""
        lapses: Chance = 0.03
        """How often, once trained, it expects water where there is none, or none where it is."""
        anticipates: Chance = 0.7
        """How often an expecting mouse licks before the cue, too [ours]."""
        anticipates_after_s: Seconds = 2.5
        """How long after the corridor's start it begins to, on average [ours]."""
        gives_up_s: Seconds = 7.0
        """How long after the corridor's start it expects no more: 4 m at 60 cm/s take 6.7."""
        burst_s: Seconds = 0.7
        """How long such a burst lasts on average [recorded: 2.5-4.8 licks]."""
        pause_s: Seconds = 0.9
        """How long it pauses before the next one, on average [ours]."""
        reacts_after_s: Seconds = 0.3
        """How long after the cue an expecting mouse licks, up to half sooner or later [ours]."""
        reaction_s: Seconds = 1.0
        """How long it licks then [ours]."""
        drinks_after_s: Seconds = 0.1
        """How long after the valve opened it drinks, if it is not licking already [ours]."""
        drinks_s: Seconds = 2.0
        """How long it licks at water [ours]."""
        drinks_at: Chance = 0.6
        """The share of its speed that is left while it drinks [ours]."""
        sated_ul: Annotated[float, msgspec.Meta(gt=0, le=10_000)] = 1000.0
        """After so much water it expects nothing any more [ours: what such mice get in a day]."""
        idle_bursts_per_min: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.5
        """Bursts for no reason [ours]."""
        idle_burst_s: Seconds = 0.5

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._mind = self._idle = np.random.default_rng(0)
        self._legs: Running | None = None
        self._tongue = LickBursts(settings, self._mind)
        self._idle_at = 0
        self._expects: dict[str, float] = {}
        """The chance that it expects water in a corridor, by stimulus."""
        self._corridor: TrialStart | None = None
        self._got_water = False
        self._drunk_ul = 0.0

    def open(self) -> None:
        pass

    def handle(self, message: Message) -> None:
        match message:
            case Start():
                self._begin(message)
            case TrialStart():
                self._learn()
                self._enter(message)
            case Cue() if self._tries():
                after_s = self.settings.reacts_after_s * self._mind.uniform(0.5, 1.5)
                self._tongue.plan(message.t + ns(after_s), self.settings.reaction_s)
            case Valve(refused=""):
                self._drink(message)
            case _:
                pass

    def counts(self, now: int) -> int:
        if self._legs is None:
            return 0
        self._legs.step(now)
        return int(self._legs.cm / self.settings.cm_per_count)

    def licks(self, now: int) -> list[int]:
        if self._legs is None:
            return []
        while self._idle_at <= now:
            self._tongue.plan(self._idle_at, self.settings.idle_burst_s)
            self._idle_at += self._wait_idle()
        return self._tongue.licks(now)

    def _begin(self, start: Start) -> None:
        seed = int(start.session["seed"])
        legs, tongue, self._mind, self._idle = (
            np.random.default_rng([seed, 2, n]) for n in range(4)
        )
        self._legs = Running(self.settings, legs, start.t)
        self._tongue = LickBursts(self.settings, tongue)
        self._idle_at = start.t + self._wait_idle()

    def _learn(self) -> None:
        """Move the expectation of the corridor that is over towards what it brought."""
        if self._corridor is not None:
            name = self._corridor.stimulus
            surprise = float(self._got_water) - self._expects[name]
            self._expects[name] += self.settings.learning_rate * surprise

    def _enter(self, corridor: TrialStart) -> None:
        """Begin a corridor: what was expected in the last one is forgotten."""
        settings = self.settings
        self._tongue.forget(corridor.t)
        self._corridor, self._got_water = corridor, False
        known = 1.0 - settings.lapses if corridor.rewarded else settings.lapses
        at_first = settings.trained * known + (1.0 - settings.trained) * settings.explores
        self._expects.setdefault(corridor.stimulus, at_first)
        if self._tries() and self._mind.random() < settings.anticipates:
            self._anticipate(corridor.t)

    def _tries(self) -> bool:
        """Draw whether it expects water in this corridor."""
        drawn = self._mind.random()
        if self._corridor is None or self._drunk_ul >= self.settings.sated_ul:
            return False
        return bool(drawn < self._expects[self._corridor.stimulus])

    def _anticipate(self, began: int) -> None:
        """Plan bursts and pauses until it gives up; water makes it forget those to come."""
        settings = self.settings
        after_s = float(self._mind.gamma(4.0, settings.anticipates_after_s / 4.0))
        while after_s < settings.gives_up_s:
            lasts_s = settings.burst_s * (0.5 + self._mind.exponential(0.5))
            self._tongue.plan(began + ns(after_s), lasts_s)
            pause_s = settings.pause_s * (0.5 + self._mind.exponential(0.5))
            after_s += max(0.1, lasts_s + pause_s)

    def _drink(self, valve: Valve) -> None:
        settings = self.settings
        drinks_at = valve.t + ns(settings.drinks_after_s)
        self._tongue.forget(drinks_at)
        self._tongue.plan(drinks_at, settings.drinks_s)
        if self._legs is not None:
            self._legs.slow(drinks_at + ns(settings.drinks_s), settings.drinks_at)
        self._got_water = True
        self._drunk_ul += valve.volume_ul

    def _wait_idle(self) -> int:
        per_s = self.settings.idle_bursts_per_min / 60
        return ns(self._idle.exponential(1 / per_s)) if per_s > 0.0 else ns(1e9)
