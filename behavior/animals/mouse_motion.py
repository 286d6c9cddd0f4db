"""Models of a simulated mouse's running, in bouts, and licking, in bursts.

Running and licking each have a random generator and draw from it at fixed events, so that the
result does not depend on how often they are polled. [recorded] marks values measured in the three
sessions of Linear Track set1 (github.com/sn-lab/MouseGoggles); [ours] marks our own choices.
"""

import heapq
from typing import Annotated

import msgspec
import numpy as np

Chance = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=600)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=600)]


class MotionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of running and licking."""

    run_cm_s: Annotated[float, msgspec.Meta(ge=0, le=100)] = 25.0
    """Mean speed in a bout, cm/s [ours; recorded: 14]."""
    run_sd_cm_s: Annotated[float, msgspec.Meta(ge=0, le=50)] = 5.0
    """Standard deviation of the mean speed over bouts, cm/s [ours]."""
    bout_s: Positive = 8.0
    """Mean duration of a bout, s; the shortest lasts half of it [ours; recorded: 1-2]."""
    rest_s: Positive = 1.2
    """Mean pause between bouts, s; the shortest lasts half of it [recorded: 1.1-4.3]."""
    stride_s: Positive = 0.3
    """Time between changes of speed within a bout, s [ours]."""
    stride_sd_cm_s: Annotated[float, msgspec.Meta(ge=0, le=50)] = 4.0
    """Standard deviation of the speed within a bout, cm/s [recorded: 5-6 over all bouts]."""
    run_change_s: Annotated[float, msgspec.Meta(gt=0, le=10)] = 0.15
    """Time constant of a change of speed, s [ours]."""
    lick_every_ms: Annotated[float, msgspec.Meta(ge=60, le=1000)] = 145.0
    """Mean interval between licks of a burst, ms [recorded: medians of 146-156]."""
    lick_spread: Annotated[float, msgspec.Meta(ge=0, le=0.3)] = 0.1
    """Coefficient of variation of this interval [recorded: quartiles of 130 and 180 ms]."""


class Running:
    """Running in bouts, separated by rests; within a bout the speed changes at each stride."""

    def __init__(self, moves: MotionSettings, rng: np.random.Generator, began: int) -> None:
        """Start at rest at time `began` (ns)."""
        self._moves, self._rng = moves, rng
        self._at = self._stride_at = self._turn_at = began
        self._running = False
        self._bout_cm_s = self._wander_cm_s = 0.0
        self._speed_cm_s = self._target_cm_s = 0.0
        self._slow_until, self._slow_factor = began, 1.0
        self.cm = 0.0
        """Distance so far, cm."""

    def slow_down(self, until: int, factor: float) -> None:
        """Multiply the speed by a factor, from the next stride to time `until` (ns)."""
        self._slow_until, self._slow_factor = until, factor

    def advance(self, now: int) -> None:
        """Advance to time `now` (ns)."""
        while min(self._stride_at, self._turn_at) <= now:
            self._run_until(min(self._stride_at, self._turn_at))
            if self._turn_at <= self._at:
                self._start_or_stop()
            if self._stride_at <= self._at:
                # first-order autoregressive process with coefficient 0.6 and unit variance
                noise_cm_s = self._moves.stride_sd_cm_s * float(self._rng.standard_normal())
                self._wander_cm_s = 0.6 * self._wander_cm_s + 0.8 * noise_cm_s
                self._stride_at += max(1, ns(self._moves.stride_s))
            self._target_cm_s = self._target()
        self._run_until(now)

    def _start_or_stop(self) -> None:
        """Switch from rest to a bout, or from a bout to rest."""
        moves = self._moves
        self._running = not self._running
        if self._running:
            self._bout_cm_s = float(self._rng.normal(moves.run_cm_s, moves.run_sd_cm_s))
        mean_s = moves.bout_s if self._running else moves.rest_s
        self._turn_at += max(1, ns(mean_s * (0.5 + self._rng.exponential(0.5))))

    def _target(self) -> float:
        if not self._running:
            return 0.0
        factor = self._slow_factor if self._at < self._slow_until else 1.0
        return max(0.1, factor * (self._bout_cm_s + self._wander_cm_s))

    def _run_until(self, t: int) -> None:
        """Approach the target speed exponentially; the distance is its exact integral."""
        passed_s = (t - self._at) / 1e9
        if passed_s <= 0.0:
            return
        tau_s = self._moves.run_change_s
        decay = float(np.exp(-passed_s / tau_s))
        lag_cm_s = self._speed_cm_s - self._target_cm_s
        self.cm += self._target_cm_s * passed_s + lag_cm_s * tau_s * (1.0 - decay)
        self._speed_cm_s = self._target_cm_s + lag_cm_s * decay
        self._at = t


class LickBursts:
    """Licks in planned bursts; overlapping bursts are merged."""

    def __init__(self, moves: MotionSettings, rng: np.random.Generator) -> None:
        self._moves, self._rng = moves, rng
        self._bursts: list[tuple[int, int]] = []
        self._free_at: int | None = None

    def plan(self, begins: int, duration_s: float) -> None:
        """Plan a burst that begins at a time (ns)."""
        heapq.heappush(self._bursts, (begins, begins + ns(duration_s)))

    def cancel_after(self, t: int) -> None:
        """Cut all bursts planned so far at time t (ns)."""
        self._bursts = [(begins, min(ends, t)) for begins, ends in self._bursts if begins < t]
        heapq.heapify(self._bursts)

    def licks(self, now: int) -> list[int]:
        """Return the onsets (ns) since the last call, none after now."""
        onsets: list[int] = []
        while self._bursts and self._bursts[0][0] <= now:
            begins, ends = self._bursts[0]
            t = begins if self._free_at is None else max(begins, self._free_at)
            if t >= ends:
                heapq.heappop(self._bursts)
                continue
            if t > now:
                break
            onsets.append(t)
            # no interval is shorter than half the mean
            factor = max(0.5, 1.0 + self._moves.lick_spread * float(self._rng.standard_normal()))
            self._free_at = t + ns(self._moves.lick_every_ms / 1e3 * factor)
        return onsets


def ns(seconds: float) -> int:
    """Return seconds as whole ns."""
    return round(seconds * 1e9)
