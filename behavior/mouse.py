"""A simulated mouse: runs in bouts, licks in bursts, and expects water where it got some."""

from typing import Annotated

import msgspec
import numpy as np

from rig.messages import Cue, Message, Start, TrialStart, Valve

Seconds = Annotated[float, msgspec.Meta(ge=0, le=600)]
Chance = Annotated[float, msgspec.Meta(ge=0, le=1)]


class SimulatedMouse:
    """A mouse that has learned the task: it licks after the cue of a rewarded corridor.

    All that it draws comes from the session's seed.
    """

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """How it runs and licks."""

        cm_per_count: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.0135
        run_cm_s: Annotated[float, msgspec.Meta(ge=0, le=100)] = 25.0
        """Its speed in a bout, on average."""
        run_sd_cm_s: Annotated[float, msgspec.Meta(ge=0, le=50)] = 5.0
        """How much that differs from bout to bout."""
        run_change_s: Annotated[float, msgspec.Meta(gt=0, le=10)] = 0.15
        """Time constant of starting and stopping."""
        bout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 8.0
        """How long a bout lasts on average, at least half of it."""
        rest_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 1.2
        """How long it stands between bouts on average, at least half of it."""
        lick_every_ms: Annotated[float, msgspec.Meta(ge=60, le=1000)] = 140.0
        """Time between licks of a burst; a lick comes up to a tenth sooner or later."""
        idle_bursts_per_min: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.5
        """Bursts for no reason."""
        idle_burst_s: Seconds = 0.5
        anticipation: Chance = 0.97
        """How often it licks after the cue of a rewarded corridor."""
        anticipation_after_s: Seconds = 0.3
        """How long after the cue that burst begins, up to half sooner or later."""
        anticipation_s: Seconds = 1.0
        drinks_after_s: Seconds = 0.1
        """How long after the valve opened it drinks, if it is not licking already."""
        drinks_s: Seconds = 2.0

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._rng = np.random.default_rng(0)
        self._began: int | None = None
        self._rewarded = False
        self._cm = 0.0
        self._speed_cm_s = 0.0
        self._target_cm_s = 0.0
        self._at = 0
        self._turn_at = 0
        self._lick_at = 0
        self._lick_until = 0
        self._idle_at = 0

    def open(self) -> None:
        pass

    def hear(self, word: Message) -> None:
        match word:
            case Start():
                self._begin(word)
            case TrialStart():
                self._rewarded = word.rewarded
            case Cue() if self._rewarded and self._rng.random() < self.settings.anticipation:
                after_s = self.settings.anticipation_after_s * self._rng.uniform(0.5, 1.5)
                self._lick_burst(word.t + _ns(after_s), self.settings.anticipation_s)
            case Valve(refused=""):
                self._lick_burst(word.t + _ns(self.settings.drinks_after_s), self.settings.drinks_s)
            case _:
                pass

    def counts(self, now: int) -> int:
        if self._began is None:
            return 0
        while self._turn_at <= now:
            self._run_until(self._turn_at)
            self._turn()
        self._run_until(now)
        return int(self._cm / self.settings.cm_per_count)

    def licks(self, now: int) -> list[int]:
        if self._began is None:
            return []
        while self._idle_at <= now:
            self._lick_burst(self._idle_at, self.settings.idle_burst_s)
            self._idle_at += self._wait_idle()
        onsets = []
        while self._lick_at <= now and self._lick_at < self._lick_until:
            onsets.append(self._lick_at)
            wait_ms = self.settings.lick_every_ms * self._rng.uniform(0.9, 1.1)
            self._lick_at += _ns(wait_ms / 1e3)
        return onsets

    def _begin(self, start: Start) -> None:
        self._rng = np.random.default_rng([int(start.session["seed"]), 2])
        self._began = self._at = self._turn_at = start.t
        self._lick_at = self._lick_until = start.t
        self._idle_at = start.t + self._wait_idle()

    def _turn(self) -> None:
        """Go from a rest to a bout, or from a bout to a rest."""
        settings = self.settings
        if self._target_cm_s > 0.0:
            self._target_cm_s, mean_s = 0.0, settings.rest_s
        else:
            drawn = self._rng.normal(settings.run_cm_s, settings.run_sd_cm_s)
            self._target_cm_s, mean_s = max(0.1, float(drawn)), settings.bout_s
        lasts_s = mean_s * (0.5 + self._rng.exponential(0.5))
        self._turn_at += max(1, _ns(lasts_s))

    def _run_until(self, t: int) -> None:
        """Approach the target speed exponentially; the path is its exact integral."""
        passed_s = (t - self._at) / 1e9
        if passed_s <= 0.0:
            return
        tau_s = self.settings.run_change_s
        decay = float(np.exp(-passed_s / tau_s))
        lag_cm_s = self._speed_cm_s - self._target_cm_s
        self._cm += self._target_cm_s * passed_s + lag_cm_s * tau_s * (1.0 - decay)
        self._speed_cm_s = self._target_cm_s + lag_cm_s * decay
        self._at = t

    def _lick_burst(self, t: int, lasts_s: float) -> None:
        """Lick from t on; a burst that is under way goes on instead."""
        if t >= self._lick_until:
            self._lick_at = max(t, self._lick_at)
        self._lick_until = max(self._lick_until, t + _ns(lasts_s))

    def _wait_idle(self) -> int:
        per_s = self.settings.idle_bursts_per_min / 60
        return _ns(self._rng.exponential(1 / per_s)) if per_s > 0.0 else _ns(1e9)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
