"""The signals of all trials of a session, as arrays with names."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import GROUPS, NAMES
from analysis.session.session import Session
from analysis.signals.coding_direction import BINS_BEFORE
from analysis.signals.learning_job import FORMS
from analysis.signals.reward_prediction import WINDOW
from analysis.signals.tuning import BINS

Values = NDArray[np.float64]
_FRAMES = WINDOW[1] - WINDOW[0]
AREAS = tuple(GROUPS)
"""The areas of coding directions, in the order of the arrays."""


@dataclass(frozen=True)
class LearningArrays:
    """A LearningSignals message, decoded; undefined values are NaN.

    Trials are the completed ones, in their order; contrasts are those of the message.
    """

    contrasts: tuple[tuple[str, str], ...]
    trials: int
    stimuli: tuple[str, ...]
    late_early: Values
    """d' of late against early cues: (cells,)."""
    predicting: Values
    """Fraction of reward-prediction cells: (areas.NAMES,)."""
    ramp_by_position: Values
    """Population signal: (trials, 60)."""
    ramp_from_cue: Values
    """(trials, 30), from 15 frames before the cue."""
    ramp_from_lick: Values
    """(trials, 30), from 15 frames before the first lick."""
    ramp_by_lick: Values
    """Mean in trials without and with a lick in the texture: (stimuli, 2)."""
    licked: NDArray[np.bool_]
    """Whether a trial had such a lick: (trials,)."""
    projections: Values
    """(contrasts, AREAS, trials, 70), from 1 m before the corridor."""
    similarity: Values
    """(contrasts, AREAS, stimuli, FORMS)."""
    comparisons: tuple[tuple[str, ...], ...]
    sequence: tuple[Values, ...]
    """For each contrast: (AREAS, comparisons)."""
    top: tuple[tuple[int, ...], ...]
    """The cells that prefer A: contrasts x AREAS."""
    undefined: tuple[str, ...]


def learning_arrays(session: Session, row: int = -1) -> LearningArrays | None:
    """Return the signals of a row of Session.learning; None if there are none.

    Args:
        session: The session.
        row: Which message; the last one holds the signals at the end of the session.
    """
    if not len(session.learning) or not session.learning.iloc[row].ramp_by_position:
        return None
    message: Any = session.learning.iloc[row]
    trials, contrasts = int(message.trials), tuple(map(tuple, message.contrasts))
    stimuli, shape = tuple(message.stimuli), (len(contrasts), len(AREAS))
    return LearningArrays(
        contrasts,
        trials,
        stimuli,
        _values(message.late_early, -1),
        _values(message.predicting, len(NAMES)),
        _values(message.ramp_by_position, trials, BINS),
        _values(message.ramp_from_cue, trials, _FRAMES),
        _values(message.ramp_from_lick, trials, _FRAMES),
        _values(message.ramp_by_lick, len(stimuli), 2),
        np.array(message.licked, bool),
        _values(message.projections, *shape, trials, BINS_BEFORE + BINS),
        _values(message.similarity, *shape, len(stimuli), len(FORMS)),
        tuple(map(tuple, message.comparisons)),
        tuple(_values(one, len(AREAS), -1) for one in message.sequence),
        tuple(map(tuple, message.top)),
        tuple(message.undefined),
    )


def _values(data: bytes, *shape: int) -> Values:
    if not data and min(shape) > 0:  # the log is older than this signal
        return np.full(shape, np.nan)
    return np.frombuffer(data, "<f4").astype(np.float64).reshape(shape)
