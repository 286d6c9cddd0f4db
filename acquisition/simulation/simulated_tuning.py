"""The responses of the simulated cells, as the study found them, and their calcium.

Selective cells respond to one category of texture, and most to one place in the texture, wherever
this piece of texture is in the corridor. The activity of reward-prediction cells in anterior areas
increases towards the cue, only in animals that get water. Cells of medial areas and
reward-prediction cells have to learn their responses.
"""

from collections import deque
from typing import Final

import numpy as np

from acquisition.simulation.simulated_cells import PREFERS, SimulatedCells
from acquisition.simulation.strip_layout import Floats
from rig.messages import Position, TrialStart

_SPONTANEOUS_HZ = 0.2
_UNTUNED_SHARE = 0.4
"""Fraction of the response to a preferred texture that does not depend on the place."""
_UNLEARNED_SHARE = 0.5
"""Response to either texture before learning, as a fraction of the best response."""
_TUNING_SD_M = 0.9
"""Width of the response around the preferred place (standard deviation), m."""
_RAMP_M = 3.5
"""Position of the cue at which the reward prediction reaches its maximum, m."""
_RAMP_ENDS_S = 0.5
"""Time constant of the reward prediction's decay after the cue, seconds."""
_CALCIUM_PER_SPIKE = 0.25
"""Peak dF/F of one spike."""
RISE_S: Final = 0.07
DECAY_S: Final = 1.25
"""Decay time constant of GCaMP6s, seconds; a transient has its peak after about 0.2 s."""
_KEPT_TRIALS = 4
"""Number of trials that are kept, as a frame may be drawn after the next trial has begun."""
_SHIFTED = {"swap1": 0.25, "swap2": 0.5}
"""Circular shift of the texture of a swapped corridor, as a fraction of its length."""


class SimulatedTuning:
    """Firing rates of all cells while the animal runs through its trials."""

    def __init__(self, cells: SimulatedCells, learned: float) -> None:
        """Start before the first trial; `learned` is how much the animal has learned, 0-1."""
        self._cells = cells
        self._knows = cells.learns_at <= learned
        self._trials: deque[TrialStart] = deque(maxlen=_KEPT_TRIALS)
        self._trial: TrialStart | None = None
        """The trial of the last frame."""
        self._gain = np.zeros(len(cells))
        self._ramps = cells.prefers == PREFERS.index("reward")
        self._cue_passed_t: int | None = None

    def begin(self, trial: TrialStart) -> None:
        """Begin a trial."""
        self._trials.append(trial)

    def rates_hz(self, position: Position | None) -> Floats:
        """Return the rate of each cell at a position of the animal.

        At rest, in grey space and outside a corridor there is only spontaneous activity, apart from
        the reward prediction.
        """
        rates = np.full(len(self._cells), _SPONTANEOUS_HZ)
        trial = next((t for t in self._trials if position and t.trial == position.trial), None)
        if trial is None or position is None or trial.picture != "corridor":
            return rates
        if trial is not self._trial:
            self._trial, self._cue_passed_t = trial, None
            self._gain = self._gain_in(trial.stimulus)
        if position.moving and position.position_m < trial.texture_m:
            away_m = self._cells.place_m - _content_m(trial, position.position_m)
            tuned = np.exp(-0.5 * (away_m / _TUNING_SD_M) ** 2)
            response = _UNTUNED_SHARE + (1.0 - _UNTUNED_SHARE) * tuned
            rates += self._cells.peak_hz * self._gain * response
        rates[self._ramps] += self._ramp(trial, position) * self._cells.peak_hz[self._ramps]
        return rates

    def _gain_in(self, stimulus: str) -> Floats:
        """Return each cell's response to a stimulus, as a fraction of its best response."""
        gain = np.zeros(len(self._cells))
        for code, prefers in enumerate(PREFERS):
            mine = self._cells.prefers == code
            if prefers == "both":
                gain[mine] = 1.0
            elif prefers in ("leaf1", "circle1"):
                gain[mine] = self._gain_of(prefers, stimulus, mine)
        return gain

    def _gain_of(self, prefers: str, stimulus: str, mine: Floats) -> Floats:
        knows = self._knows[mine]
        category = prefers.rstrip("1")
        if stimulus.partition("_")[0] == prefers:
            best = np.ones(knows.size)
        elif stimulus.startswith(category):
            best = self._cells.other[mine]
        else:
            best = np.zeros(knows.size)
        return np.where(knows, best, _UNLEARNED_SHARE)

    def _ramp(self, trial: TrialStart, position: Position) -> Floats:
        """Return the reward prediction (0-1) of the reward-prediction cells."""
        cue_m = trial.cue_position_m
        if trial.reward_mode == "none" or not trial.rewarded or cue_m is None:
            return np.zeros(int(self._ramps.sum()))
        height = min(position.position_m, cue_m) / _RAMP_M
        if position.position_m >= cue_m:
            if self._cue_passed_t is None:
                self._cue_passed_t = position.t
            height *= np.exp(-(position.t - self._cue_passed_t) / 1e9 / _RAMP_ENDS_S)
        return np.asarray(height * self._knows[self._ramps])


def _content_m(trial: TrialStart, position_m: float) -> float:
    """Return the place (m) in the unswapped texture that is visible at a position."""
    shift = _SHIFTED.get(trial.stimulus.partition("_")[2], 0.0)
    return (position_m + shift * trial.texture_m) % trial.texture_m


class Calcium:
    """Calcium of all cells as dF/F, with the rise and decay of GCaMP6s after each spike."""

    def __init__(self, cells: int) -> None:
        self._slow, self._fast = np.zeros(cells), np.zeros(cells)
        peak_s = np.log(DECAY_S / RISE_S) * DECAY_S * RISE_S / (DECAY_S - RISE_S)
        self._size = _CALCIUM_PER_SPIKE / (np.exp(-peak_s / DECAY_S) - np.exp(-peak_s / RISE_S))

    def step(self, spikes: Floats, passed_s: float) -> Floats:
        """Return dF/F after passed_s more seconds with evenly spaced spikes."""
        self._slow = _followed(self._slow, spikes, passed_s, DECAY_S)
        self._fast = _followed(self._fast, spikes, passed_s, RISE_S)
        return np.asarray(self._size * (self._slow - self._fast))


def _followed(level: Floats, spikes: Floats, passed_s: float, tau_s: float) -> Floats:
    """Return a decaying level after passed_s seconds with evenly spaced spikes of size 1."""
    kept = np.exp(-passed_s / tau_s)
    return np.asarray(level * kept + spikes * (1.0 - kept) * tau_s / passed_s)
