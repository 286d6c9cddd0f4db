"""Lick responses, performance, and licks and speed by position.

A trial has a lick response if there is a lick between its start and the end of the reward delay
after the cue (passive mode), or the grey space (any other mode). In a trial without a cue
(behavior-only cohorts) the lick must be in the reward zone, bins 20-40 of 10 cm, and only the first
200 trials count. Performance is the response rate in rewarded corridors minus that in the others.
Only completed trials count.
Source: Zhong et al., Nature 2025, and its published code.
"""

import math
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

BIN_M = 0.1
ZONE_M = (2.0, 4.0)
"""Reward zone of a corridor without a cue, m: bins 20-40."""
FIRST_TRIALS = 200
"""Number of trials of a behavior-only session that count, over all stimuli."""
Table = pd.DataFrame


class Rate(msgspec.Struct, frozen=True):
    """The number of trials with a lick response, and the number of all trials."""

    responses: int
    trials: int

    @property
    def share(self) -> float:
        """The response rate; NaN if there are no trials."""
        return self.responses / self.trials if self.trials else float("nan")


class Performance(msgspec.Struct, frozen=True):
    """Response rates of a session."""

    rewarded: Rate
    other: Rate
    by_stimulus: dict[str, Rate]

    @property
    def difference(self) -> float:
        """Response rate in rewarded corridors minus that in the others; NaN without either."""
        return self.rewarded.share - self.other.share


def counted(trials: Table) -> Table:
    """Return the completed corridors; in a session without cues only the first 200 of them."""
    done = trials[(trials.outcome == "done") & (trials.picture == "corridor")]
    cueless = len(done) > 0 and bool(done.drawn_cue_m.isna().all())
    return done.head(FIRST_TRIALS) if cueless else done


def responses(trials: Table, licks: Table) -> NDArray[np.bool_]:
    """Return True for trials with a lick response: (rows of trials,).

    Args:
        trials: Has trial, start_s, cue_s, drawn_cue_m, reward_mode, reward_delay_ms, texture_m.
        licks: Has trial, t_s, position_m.
    """
    columns = ["trial", "start_s", "cue_s", "drawn_cue_m", "reward_mode", "reward_delay_ms"]
    both = licks.merge(trials[[*columns, "texture_m"]], on="trial")
    in_zone = (both.position_m >= ZONE_M[0]) & (both.position_m < ZONE_M[1])
    before_water = both.t_s <= both.cue_s + both.reward_delay_ms / 1e3
    in_texture = both.position_m < both.texture_m
    inside = in_texture.mask(both.reward_mode == "passive", before_water)
    inside = inside.mask(both.drawn_cue_m.isna(), in_zone) & (both.t_s >= both.start_s)
    return trials.trial.isin(both.trial[inside]).to_numpy(dtype=bool)


def performance(trials: Table, licks: Table) -> Performance:
    """Return the session's response rates in the trials that count."""
    chosen = counted(trials)
    responded = responses(chosen, licks)
    rewarded = chosen.rewarded.to_numpy(dtype=bool)
    names = list(dict.fromkeys(chosen.stimulus))
    return Performance(
        _rate(responded[rewarded]),
        _rate(responded[~rewarded]),
        {name: _rate(responded[(chosen.stimulus == name).to_numpy()]) for name in names},
    )


def first_licks(trials: Table, licks: Table) -> NDArray[np.float64]:
    """Return the position of each trial's first lick, m; NaN if none: (rows of trials,)."""
    first = licks.drop_duplicates("trial").set_index("trial").position_m
    return trials.trial.map(first).to_numpy(dtype=np.float64)


def after_cue(trials: Table, licks: Table) -> NDArray[np.float64]:
    """Return the time from each trial's cue to its next lick, s; NaN if none: (rows of trials,)."""
    both = licks.merge(trials[["trial", "cue_s"]], on="trial")
    later = both[both.t_s >= both.cue_s].drop_duplicates("trial").set_index("trial")
    return trials.trial.map(later.t_s - later.cue_s).to_numpy(dtype=np.float64)


AROUND_S = np.arange(-2.0, 3.0, 0.1) + 0.05
"""Centres of the bins of rate_around, s: from 2 s before an event to 3 s after it."""


def rate_around(events_s: NDArray[Any], licks_s: NDArray[Any]) -> NDArray[np.float64]:
    """Return the lick rate around each event, licks per second: (events, bins of AROUND_S).

    licks_s are the times of all licks, in order of time.
    """
    edges_s = np.append(AROUND_S - 0.05, AROUND_S[-1] + 0.05)
    at = np.searchsorted(licks_s, np.asarray(events_s)[:, None] + edges_s)
    return np.asarray(np.diff(at, axis=1) / 0.1)


def by_position(
    values_m: NDArray[Any], trials: int, edges_m: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the number of values per trial in each bin: (bins,); NaN without trials."""
    counts, _ = np.histogram(values_m[~np.isnan(values_m)], edges_m)
    a_trial: NDArray[np.float64] = counts / (trials or np.nan)
    return a_trial


def speed_by_position(position: Table, trials: Table, length_m: float) -> NDArray[np.float64]:
    """Return the mean speed of each trial in each bin, cm/s: (rows of trials, bins).

    The mean is over time; NaN where a trial has no sample. `position` has the columns trial,
    position_m and speed_cm_s.
    """
    row = pd.Index(trials.trial).get_indexer(position.trial)
    column = np.floor(position.position_m / BIN_M + 1e-9).astype(np.int64).to_numpy()
    bins = len(edges(length_m)) - 1
    inside = (row >= 0) & (column >= 0) & (column < bins)
    cell = row[inside] * bins + column[inside]
    size = len(trials) * bins
    sums = np.bincount(cell, position.speed_cm_s.to_numpy()[inside], size)
    counts = np.bincount(cell, minlength=size)
    means: NDArray[np.float64] = np.full(size, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means.reshape(len(trials), bins)


def mean_and_error(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard error over rows, ignoring NaN: (columns,) each; NaN if no value."""
    there = ~np.isnan(values)
    n = there.sum(axis=0)
    filled = np.where(there, values, 0.0)
    sums = filled.sum(axis=0)
    mean: NDArray[np.float64] = np.divide(sums, n, out=np.full(n.shape, np.nan), where=n > 0)
    squares = (np.where(there, values - mean, 0.0) ** 2).sum(axis=0)
    variance = np.divide(squares, n - 1, out=np.full(n.shape, np.nan), where=n > 1)
    error: NDArray[np.float64] = np.sqrt(variance / np.maximum(n, 1))
    return mean, error


def interval(rate: Rate, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % confidence interval of a rate (Wilson, 1927); NaN without trials."""
    n, share = rate.trials, rate.share
    if n == 0:
        return share, share
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def running_share(hits: NDArray[np.bool_], width: int) -> NDArray[np.float64]:
    """Return, at each entry, the fraction of hits in the last `width` entries: (entries,)."""
    padded = np.concatenate(([0], np.cumsum(hits)))
    ends = np.arange(1, len(hits) + 1)
    begins = np.maximum(0, ends - width)
    share: NDArray[np.float64] = (padded[ends] - padded[begins]) / (ends - begins)
    return share


def edges(length_m: float, bin_m: float = BIN_M) -> NDArray[np.float64]:
    """Return the edges of the bins of a corridor, m."""
    return np.arange(math.ceil(length_m / bin_m - 1e-9) + 1, dtype=np.float64) * bin_m


def _rate(responded: NDArray[np.bool_]) -> Rate:
    return Rate(int(responded.sum()), len(responded))
