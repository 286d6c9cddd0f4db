"""Reward prediction: cells that fire more before a late cue than before an early one.

The activity of a trial is its mean over bins 5-39. A trial of the rewarded stimulus is "late" if
its cue is beyond the mean cue position of all trials of the session, and "early" otherwise.
d'_late-early = 2 (mean_late - mean_early) / (sd_late + sd_early), with population standard
deviations. A reward-prediction cell has d'_late-early >= 0.3 and a stimulus d' >= 0. The population
signal is cross-validated: the cells are selected in nine tenths of the trials, and their mean
activity is measured in the other trials (Zhong et al., 2025).
"""

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import NAMES

Values = NDArray[np.float64]
Chosen = NDArray[np.bool_]

BINS_BEFORE_CUE = slice(5, 40)
"""Bins over which the activity of a trial is averaged."""
PREDICTS_AT = 0.3
"""Smallest d'_late-early of a reward-prediction cell; in the population, the stimulus d' must be
larger than this."""
PERCENTILE = 95.0
"""The population is the anterior cells whose d'_late-early is at or above this percentile."""
FOLDS = 10
WINDOW = (-15, 15)
"""Window of frames around the frame F of a cue or first lick: F - 15 to F + 14."""


def fold_of(index: int, seed: int) -> int:
    """Return the fold, 0-9, of a completed trial.

    Every ten consecutive trials get a random permutation of the folds that depends only on the
    seed and their index, so the fold of a trial never changes.
    """
    run, place = divmod(index, FOLDS)
    return int(np.random.default_rng((seed, run)).permutation(FOLDS)[place])


def late_and_early(cue_m: Values, rewarded: Chosen) -> tuple[Chosen, Chosen]:
    """Return masks of the late and of the early trials of the rewarded stimulus: (trials,) each.

    Args:
        cue_m: Position of the cue in every trial of the session, NaN if there was none: (trials,).
        rewarded: True for trials of the rewarded stimulus: (trials,).
    """
    cued = ~np.isnan(cue_m)
    late = cued & (cue_m > cue_m[cued].mean()) if cued.any() else cued
    return late & rewarded, cued & ~late & rewarded


def d_prime_of_rows(a: Values, b: Values) -> Values:
    """Return d' of each cell between two sets of trials, (trials, cells) each: (cells,).

    NaN if a set is empty, or where a cell varies in neither.
    """
    out = np.full(a.shape[1], np.nan)
    if len(a) and len(b):
        spread = a.std(axis=0) + b.std(axis=0)
        np.divide(2.0 * (a.mean(axis=0) - b.mean(axis=0)), spread, out=out, where=spread > 0)
    return out


def predicts_reward(late_early: Values, stimulus: Values) -> Chosen:
    """Return a mask of the reward-prediction cells.

    Args:
        late_early: d'_late-early of each cell: (cells,).
        stimulus: d' of the reference contrast of each cell: (cells,).

    Returns:
        True for reward-prediction cells: (cells,).
    """
    return np.asarray((late_early >= PREDICTS_AT) & (stimulus >= 0.0))


def population(late_early: Values, stimulus: Values) -> Chosen:
    """Return a mask of the anterior cells in the population.

    Args:
        late_early: d'_late-early of each anterior cell: (cells,).
        stimulus: d' of the reference contrast of each anterior cell: (cells,).

    Returns:
        True for the cells of the population: (cells,).
    """
    defined = ~np.isnan(late_early)
    if not defined.any():
        return defined
    least = np.percentile(late_early[defined], PERCENTILE)
    return np.asarray((late_early >= least) & (stimulus > PREDICTS_AT))


def fractions_by_area(chosen: Chosen, groups: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the fraction of chosen cells among all cells of each group of areas.NAMES."""
    counts = np.bincount(groups[chosen], minlength=len(NAMES)).astype(np.float64)
    cells = np.bincount(groups, minlength=len(NAMES)).astype(np.float64)
    counts[0], cells[0] = chosen.sum(), groups.size
    out = np.full(len(NAMES), np.nan)
    np.divide(counts, cells, out=out, where=cells > 0)
    return out.astype(np.float32)


def split_by_lick(
    values: Values, names: NDArray[np.object_], licked: Chosen, stimuli: tuple[str, ...]
) -> Values:
    """Return the mean over the trials of each stimulus, without and with licks: (stimuli, 2).

    If the mouse expects a reward, it licks; so the means show whether the signal in unrewarded
    trials follows that expectation (figure 4 of the study). Undefined trials are left out; NaN if
    no trial is left.

    Args:
        values: Mean of the population signal over bins 0-39 of each trial: (trials,).
        names: Stimulus of each trial: (trials,).
        licked: True for trials with a lick in the texture: (trials,).
        stimuli: The stimuli, in the order of the rows that are returned.
    """
    out = np.full((len(stimuli), 2), np.nan)
    for row, name in enumerate(stimuli):
        for column, with_lick in enumerate((False, True)):
            own = values[(names == name) & (licked == with_lick) & ~np.isnan(values)]
            if own.size:
                out[row, column] = own.mean()
    return out


def nearest_frames(
    events_t: NDArray[np.float64], scanned_t: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the index of the frame whose middle is nearest to each event, -1 for NaN: (events,).

    An event before the first or after the last frame gets the first or the last frame.

    Args:
        events_t: Times of events, ns: (events,).
        scanned_t: Middle of the scan of each frame, ns, increasing: (frames,).
    """
    if not scanned_t.size:
        return np.full(events_t.size, -1, np.int64)
    borders = (scanned_t[1:] + scanned_t[:-1]) / 2
    found = np.searchsorted(borders, np.nan_to_num(events_t)).astype(np.int64)
    return np.where(np.isnan(events_t), -1, found)
