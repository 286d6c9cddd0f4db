"""The signals of all trials of a session, as named arrays."""

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
    """A LearningSignals message as arrays; undefined values are NaN.

    Trials are completed trials in order of time; contrasts are those of the message.
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
    """Population signal around the cue: (trials, 30), from 15 frames before it."""
    ramp_from_lick: Values
    """Population signal around the first lick: (trials, 30), from 15 frames before it."""
    ramp_by_lick: Values
    """Mean population signal in trials without and with a lick in the texture: (stimuli, 2)."""
    licked: NDArray[np.bool_]
    """True for trials with a lick in the texture: (trials,)."""
    projections: Values
    """Projections by position: (contrasts, AREAS, trials, 70), from 1 m before the corridor."""
    similarity: Values
    """Similarity index: (contrasts, AREAS, stimuli, FORMS)."""
    comparisons: tuple[tuple[str, ...], ...]
    sequence: tuple[Values, ...]
    """Sequence similarity; for each contrast: (AREAS, comparisons)."""
    top: tuple[tuple[int, ...], ...]
    """Indices of the cells that prefer A, for each contrast and area (contrasts x AREAS)."""
    undefined: tuple[str, ...]


def learning_arrays(session: Session, row: int = -1) -> LearningArrays | None:
    """Return the signals of a row of Session.learning; None if there are none.

    Args:
        session: The session.
        row: Index of the row; the last one contains the signals at the end of the session.
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
