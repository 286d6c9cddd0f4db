"""A simulated mouse that runs in bouts, licks in bursts, and learns which corridors give water."""

from typing import Annotated, ClassVar

import msgspec
import numpy as np

from behavior.animals.mouse_motion import Chance, LickBursts, MotionSettings, Running, Seconds, ns
from rig.messages import Cue, Message, Start, TrialStart, Valve


class SimulatedMouse:
    """A mouse that licks according to its expectation of water in each corridor.

    A trained mouse expects water only in rewarded corridors; an untrained mouse tries the spout
    occasionally in every corridor. The expectation for a corridor is updated with its outcomes
    (Rescorla and Wagner, 1972), so learning can be simulated. All random numbers come from the
    session's seed.
    """

    simulated: ClassVar[bool] = True

    class Settings(MotionSettings, frozen=True, kw_only=True):
        """Parameters of motion and behaviour; [recorded] and [ours] as in MotionSettings."""

        cm_per_count: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.0135
        trained: Chance = 1.0
        """Initial training: 0: none; 1: the mouse knows which corridors give water."""
        learning_rate: Chance = 0.02
        """Change of the expectation in a trial, as a fraction of the prediction error [ours]."""
        explores: Chance = 0.35
        """Probability of trying the spout in an unknown corridor [ours]."""
        lapses: Chance = 0.03
        """Probability that a trained mouse expects the wrong outcome [ours]."""
        anticipates: Chance = 0.7
        """Probability of licking before the cue if the mouse expects water [ours]."""
        anticipates_after_s: Seconds = 2.5
        """Mean time from the start of the corridor to the first of these licks, s [ours]."""
        gives_up_s: Seconds = 7.0
        """Time from the start of the corridor after which the mouse stops licking before the cue,
        s: 4 m at 60 cm/s take 6.7 s."""
        burst_s: Seconds = 0.7
        """Mean duration of a burst before the cue, s [recorded: 2.5-4.8 licks]."""
        pause_s: Seconds = 0.9
        """Mean pause between these bursts, s [ours]."""
        reacts_after_s: Seconds = 0.3
        """Mean reaction time to the cue, s; uniform within 50 % of this mean [ours]."""
        reaction_s: Seconds = 1.0
        """Duration of licking after the cue, s [ours]."""
        drinks_after_s: Seconds = 0.1
        """Time from the opening of the valve to drinking, s, if the mouse is not licking [ours]."""
        drinks_s: Seconds = 2.0
        """Duration of drinking, s [ours]."""
        drinks_at: Chance = 0.6
        """Factor by which the running speed is multiplied while the mouse drinks [ours]."""
        sated_ul: Annotated[float, msgspec.Meta(gt=0, le=10_000)] = 1000.0
        """Water after which the mouse stops licking for more, ul [ours: the amount of a day]."""
        idle_bursts_per_min: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.5
        """Rate of bursts without a cause, per minute [ours]."""
        idle_burst_s: Seconds = 0.5

    """Duration of a burst without a cause, s [ours]."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._choices = self._idle = np.random.default_rng(0)
        self._running: Running | None = None
        self._licking = LickBursts(settings, self._choices)
        self._idle_at = 0
        self._expects: dict[str, float] = {}
        """Probability that the mouse expects water in a corridor, by stimulus."""
        self._corridor: TrialStart | None = None
        self._was_rewarded = False
        self._consumed_ul = 0.0

    def open(self) -> None:
        pass

    def handle(self, message: Message) -> None:
        match message:
            case Start():
                self._begin(message)
            case TrialStart():
                self._learn()
                self._enter(message)
            case Cue() if self._expects_water():
                after_s = self.settings.reacts_after_s * self._choices.uniform(0.5, 1.5)
                self._licking.plan(message.t + ns(after_s), self.settings.reaction_s)
            case Valve(refused=""):
                self._drink(message)
            case _:
                pass

    def counts(self, now: int) -> int:
        if self._running is None:
            return 0
        self._running.advance(now)
        return int(self._running.cm / self.settings.cm_per_count)

    def licks(self, now: int) -> list[int]:
        if self._running is None:
            return []
        while self._idle_at <= now:
            self._licking.plan(self._idle_at, self.settings.idle_burst_s)
            self._idle_at += self._idle_interval()
        return self._licking.licks(now)

    def _begin(self, start: Start) -> None:
        seed = int(start.session["seed"])
        legs, tongue, self._choices, self._idle = (
            np.random.default_rng([seed, 2, n]) for n in range(4)
        )
        self._running = Running(self.settings, legs, start.t)
        self._licking = LickBursts(self.settings, tongue)
        self._idle_at = start.t + self._idle_interval()

    def _learn(self) -> None:
        """Update the expectation for the finished corridor with its outcome."""
        if self._corridor is not None:
            name = self._corridor.stimulus
            surprise = float(self._was_rewarded) - self._expects[name]
            self._expects[name] += self.settings.learning_rate * surprise

    def _enter(self, corridor: TrialStart) -> None:
        """Start a corridor; cancel the licks planned in the last corridor."""
        settings = self.settings
        self._licking.cancel_after(corridor.t)
        self._corridor, self._was_rewarded = corridor, False
        trained = 1.0 - settings.lapses if corridor.rewarded else settings.lapses
        initial = settings.trained * trained + (1.0 - settings.trained) * settings.explores
        self._expects.setdefault(corridor.stimulus, initial)
        if self._expects_water() and self._choices.random() < settings.anticipates:
            self._anticipate(corridor.t)

    def _expects_water(self) -> bool:
        """Draw whether the mouse expects water in this corridor."""
        drawn = self._choices.random()
        if self._corridor is None or self._consumed_ul >= self.settings.sated_ul:
            return False
        return bool(drawn < self._expects[self._corridor.stimulus])

    def _anticipate(self, began: int) -> None:
        """Plan bursts and pauses until the mouse gives up; a reward cancels those that remain."""
        settings = self.settings
        after_s = float(self._choices.gamma(4.0, settings.anticipates_after_s / 4.0))
        while after_s < settings.gives_up_s:
            duration_s = settings.burst_s * (0.5 + self._choices.exponential(0.5))
            self._licking.plan(began + ns(after_s), duration_s)
            pause_s = settings.pause_s * (0.5 + self._choices.exponential(0.5))
            after_s += max(0.1, duration_s + pause_s)

    def _drink(self, valve: Valve) -> None:
        settings = self.settings
        drinks_at = valve.t + ns(settings.drinks_after_s)
        self._licking.cancel_after(drinks_at)
        self._licking.plan(drinks_at, settings.drinks_s)
        if self._running is not None:
            self._running.slow_down(drinks_at + ns(settings.drinks_s), settings.drinks_at)
        self._was_rewarded = True
        self._consumed_ul += valve.volume_ul

    def _idle_interval(self) -> int:
        per_s = self.settings.idle_bursts_per_min / 60
        return ns(self._idle.exponential(1 / per_s)) if per_s > 0.0 else ns(1e9)
