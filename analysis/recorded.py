"""A recording's signals once it is over: each cell's tuning, from the session's log alone."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.session import Session
from analysis.tuning import TrialStore, Tuning

Floats = NDArray[np.float64]


def mean_tuning(session: Session, stimulus: str) -> Floats:
    """Return each cell's activity by position in a stimulus's done corridors: (60, cells).

    It is interpolated as it was online, and the mean of all such trials; NaN if there was none.
    """
    decoded, traces, trials = session.decoded, session.traces, session.trials
    corridors = trials[(trials.outcome != "aborted") & (trials.picture == "corridor")]
    lengths_m = (corridors.texture_m + corridors.grey_m).set_axis(corridors.trial)
    wanted = corridors.trial[(corridors.stimulus == stimulus) & (corridors.outcome == "done")]
    if not len(wanted) or not traces.size:
        return np.full((60, traces.shape[1] if traces.ndim == 2 else 0), np.nan)
    with TrialStore(None, traces.shape[1]) as store:
        tuning = Tuning(store, _nobody)
        moving = _moving(decoded, corridors.trial)
        places = moving.position_m / moving.trial.map(lengths_m)
        for row, trial, place in zip(moving.index, moving.trial, places, strict=True):
            tuning.add(int(trial), float(place), traces[row])
        tuning.finish(int(corridors.trial.max()) + 1)
        total = np.zeros((60, traces.shape[1]))
        for trial in wanted:
            total += tuning.trial(int(trial))
    return total / len(wanted)


def _moving(decoded: pd.DataFrame, corridors: "pd.Series[int]") -> pd.DataFrame:
    return decoded[decoded.moving & (decoded.position_m >= 0) & decoded.trial.isin(corridors)]


def _nobody(point: int, row: NDArray[np.float32]) -> None:
    """Hear of a point that is read back later."""
